"""Standard output, for people and pipes."""
