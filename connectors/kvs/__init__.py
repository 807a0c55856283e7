"""Kinesis video streams as feeds."""
