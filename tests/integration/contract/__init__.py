"""What every source and every sink promises, each against the real outside."""
