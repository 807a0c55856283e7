"""Buckets of S3 and of what speaks like it."""
