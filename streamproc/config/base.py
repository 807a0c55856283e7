"""What every config model shares."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Frozen, and refuses keys that it does not know (a typo must not be silently ignored)."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True)
