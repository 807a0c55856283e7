"""A feed that this node does not know: whoever starts it learns why it cannot be."""
