"""The config documents: pydantic models, YAML with line numbers, and their JSON Schema."""
