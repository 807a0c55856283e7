"""Measurements, each run with ``python -m benchmarks.NAME [--corpus DIR] [--json]``."""
