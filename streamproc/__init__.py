"""Rekognition Video on your own edge box."""

__version__ = "0.1.0"
