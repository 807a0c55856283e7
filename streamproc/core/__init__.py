"""Nouns: small frozen types that every other room speaks. No IO, no clock, no threads."""
