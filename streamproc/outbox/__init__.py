"""Durable delivery: what the journal owes goes to the outputs, in order, again and again until they confirm."""
