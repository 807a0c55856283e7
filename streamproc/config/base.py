"""What every config model shares."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from streamproc.core.event import EventType


class Settings(BaseModel):
    """Frozen, and refuses keys that it does not know (a typo must not be silently ignored)."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True)


WRONG_FIELD = "wrong_field"
"""The type of an error that a validator of a whole model lays at one of its keys."""


def wrong(field: str, words: str) -> PydanticCustomError:
    """What a validator of a whole model raises: ``field`` is the key to mend, ``words`` say what is wrong and the mend."""
    return PydanticCustomError(WRONG_FIELD, "{words}", {"words": words, "field": field})


class OutputSettings(Settings):
    """What every output's settings have in common."""

    name: str | None = Field(default=None, pattern=r"^[a-zA-Z0-9_.\-]{1,64}$")
    """What lists, metrics and logs call this output; its type where left out. What waits for it belongs to this name."""
    format: Literal["plain", "aws"] = "plain"
    """The form of the documents: streamproc's own, or the service's."""
    events: tuple[EventType, ...] | None = Field(default=None, min_length=1)
    """Which events it takes. Left out: every notification; with ``format: aws`` those that the service knows."""
    records: bool | None = None
    """Whether it takes a face search record for each analysed frame. Left out: file, stdout, kafka and kinesis with
    ``format: aws`` do."""
