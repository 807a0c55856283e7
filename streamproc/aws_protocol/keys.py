"""The access keys of the endpoint: read from the box's config, the environment or a 0600 file, and what each may do."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

import yaml
from pydantic import TypeAdapter, ValidationError

from streamproc.config.node import AccessKey, ServerSettings
from streamproc.config.secret_file import complaint
from streamproc.core.errors import ConfigError, Fault
from streamproc.logic.redact import shown_variable

_LIST_OF_KEYS = TypeAdapter(tuple[AccessKey, ...])


@dataclass(frozen=True, slots=True)
class Key:
    """One access key with its secret. The secret stays out of repr and so out of logs."""

    access_key_id: str
    secret: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    operations: tuple[str, ...] | None = None
    processors: tuple[str, ...] | None = None
    streams: tuple[str, ...] | None = None

    def may_call(self, operation: str) -> bool:
        return self.operations is None or any(fnmatchcase(operation, allowed) for allowed in self.operations)

    def may_touch(self, processor: str) -> bool:
        return self.processors is None or any(fnmatchcase(processor, allowed) for allowed in self.processors)

    def may_use_stream(self, stream: str) -> bool:
        """Whether it may write to or read from a video stream of this node."""
        return self.streams is None or any(fnmatchcase(stream, allowed) for allowed in self.streams)


def load_keys(settings: ServerSettings, folder: Path, environ: Mapping[str, str] = os.environ) -> dict[str, Key]:
    """All keys by id. A relative ``credentials_file`` is relative to ``folder``, the config folder.

    Raises ConfigError naming the field and the fix: a missing variable, a file that others may read, one id twice.
    """
    entries = [(f"server.credentials[{index}]", entry) for index, entry in enumerate(settings.credentials)]
    if settings.credentials_file is not None:
        file = folder / settings.credentials_file
        entries += [(f"{file}[{index}]", entry) for index, entry in enumerate(_read_file(file))]
    keys: dict[str, Key] = {}
    for place, entry in entries:
        if entry.access_key_id in keys:
            raise _refused(place, f"the access key {entry.access_key_id} is there twice; remove one")
        keys[entry.access_key_id] = _to_key(place, entry, environ)
    return keys


def _to_key(place: str, entry: AccessKey, environ: Mapping[str, str]) -> Key:
    if entry.secret_access_key_env is not None:
        secret = environ.get(entry.secret_access_key_env, "")
        if not secret:
            variable = shown_variable(entry.secret_access_key_env)
            raise _refused(place, f"the environment variable {variable} is not set; set the secret")
    else:
        if place.startswith("server.credentials["):
            raise _refused(
                place, "a secret does not belong in this file; use secret_access_key_env or credentials_file"
            )
        assert entry.secret_access_key is not None  # AccessKey holds that one of the two is given
        secret = entry.secret_access_key.get_secret_value()
    token = entry.session_token.get_secret_value() if entry.session_token else None
    return Key(entry.access_key_id, secret, token, entry.operations, entry.processors, entry.streams)


def _read_file(file: Path) -> tuple[AccessKey, ...]:
    try:
        wrong = complaint(file)
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise _refused("server.credentials_file", f"{file} cannot be read: {error.strerror}") from error
    if wrong is not None:
        raise _refused("server.credentials_file", wrong)
    try:
        return _LIST_OF_KEYS.validate_python(yaml.safe_load(text) or [])
    except yaml.YAMLError as error:
        raise _refused("server.credentials_file", f"{file} is no YAML") from error
    except ValidationError as error:
        # Not str(error): pydantic repeats the input there, and that is a secret.
        faults = "; ".join(f"[{'.'.join(map(str, fault['loc']))}] {fault['msg']}" for fault in error.errors())
        raise _refused("server.credentials_file", f"{file}: {faults}") from None


def _refused(place: str, message: str) -> ConfigError:
    return ConfigError("streamproc.yaml", [Fault(place, message)])
