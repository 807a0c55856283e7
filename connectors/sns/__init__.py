"""Topics of Amazon SNS and of what speaks like it."""
