"""One file a model family: what goes in, and what the outputs mean."""
