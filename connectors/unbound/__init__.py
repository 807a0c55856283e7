"""A feed that this box does not know: whoever starts it learns why it cannot be."""
