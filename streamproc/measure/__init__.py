"""What this machine can carry: costs of each stage, and how many cameras that makes."""
