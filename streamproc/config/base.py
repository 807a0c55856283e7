"""What every config model shares."""

import functools
import re
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from streamproc.core.event import EventType

_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")


class Settings(BaseModel):
    """Frozen, and refuses keys that it does not know (a typo must not be silently ignored)."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True, use_attribute_docstrings=True)

    @field_validator("*", mode="before")
    @classmethod
    def _no_boolean_for_a_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Python takes true for 1 (and YAML takes yes for true); who wrote that into a number's place meant something else."""
        if info.field_name is not None and _takes_numbers_only(cls, info.field_name) and _holds_boolean(value):
            raise ValueError("true and false are no numbers; write the number in digits")
        return value

    @field_validator("*", mode="before")
    @classmethod
    def _no_address_for_a_path(cls, value: Any, info: ValidationInfo) -> Any:
        """A path made of an address is no address any more, and hides no password."""
        if isinstance(value, str) and _ADDRESS.match(value) and info.field_name is not None:
            kinds = set(_leaves(cls.model_fields[info.field_name].annotation))
            if kinds - {type(None)} == {Path}:
                raise ValueError("a path is wanted, and this is an address; give another type, or the file's path")
        return value


@functools.cache
def _takes_numbers_only(model: type[BaseModel], field: str) -> bool:
    """Whether numbers, and no booleans, may stand in that field or in the lists and tables that it holds."""
    kinds = set(_leaves(model.model_fields[field].annotation))
    return bool(kinds & {int, float}) and not kinds & {bool, Any}


def _leaves(annotation: Any) -> list[Any]:
    """The types that an annotation is made of."""
    inner = get_args(annotation)
    return [leaf for each in inner for leaf in _leaves(each)] if inner else [annotation]


def _holds_boolean(value: Any) -> bool:
    if isinstance(value, dict):
        return any(_holds_boolean(each) for each in value.values())
    if isinstance(value, list | tuple):
        return any(_holds_boolean(each) for each in value)
    return isinstance(value, bool)


WRONG_FIELD = "wrong_field"
"""The type of an error that a validator of a whole model lays at one of its keys."""


def wrong(field: str, words: str) -> PydanticCustomError:
    """What a validator of a whole model raises: ``field`` is the key to fix, ``words`` say what is wrong and the fix."""
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
