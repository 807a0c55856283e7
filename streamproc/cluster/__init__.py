"""Several nodes that share processors: who runs which, what is committed where all can read it, and taking over."""
