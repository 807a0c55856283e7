"""Stored video: one decode feeding every requested analysis, checkpoints, results."""
