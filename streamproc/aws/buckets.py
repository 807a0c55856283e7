"""Objects of buckets: a bucket is bound to a folder, to another S3, or is the user's own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import structlog
from aiobotocore.session import get_session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from connectors.chain import named_credentials
from streamproc.aws.bindings import match
from streamproc.aws_protocol.faults import AwsFault
from streamproc.config.node import AwsSettings
from streamproc.config.processor import ConnectorRef
from streamproc.core.errors import InputError
from streamproc.jobs.sources import NO_OBJECT
from streamproc.threads import FOLDERS, STORES, StillBusy
from streamproc.trouble import Trouble

P = ParamSpec("P")
R = TypeVar("R")
log = structlog.get_logger(__name__)
_LONGEST_NAME = 255
"""Bytes of a file's name on every common file system."""
_CREDENTIALS = ("profile", "access_key_id_env", "secret_access_key_env", "session_token_env")
"""Settings of a binding that say where the credentials are, as outputs have them."""


def invalid_object(message: str = NO_OBJECT) -> AwsFault:
    return AwsFault("InvalidS3ObjectException", message)


@dataclass(frozen=True, slots=True)
class ObjectPlace:
    """Where an object is: a file, or a key in an S3."""

    bucket: str
    key: str
    version: str | None = None
    path: Path | None = None
    """Of a bucket that is bound to a folder."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Of an S3: endpoint_url, region, and where its credentials are (``_CREDENTIALS``)."""


class Buckets:
    """Finds objects by the S3Object of a request."""

    def __init__(self, bindings: Mapping[str, ConnectorRef], aws: AwsSettings) -> None:
        self._bindings = bindings
        self._aws = aws
        self._hanging: dict[str, Trouble] = {}
        """By folder or store."""

    async def find(self, s3_object: Mapping[str, Any]) -> ObjectPlace:
        """``place`` off the event loop."""
        return await self.in_folder(s3_object.get("Bucket"), self.place, s3_object)

    async def in_folder(self, bucket: str | None, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """``call``, which touches the bucket: in a thread of its folder's or store's own. Raises AwsFault where that hangs."""
        bound = match(self._bindings, f"arn:aws:s3:::{bucket}", bucket) if bucket else None
        if bound is not None and bound.type == "file":
            threads, place = FOLDERS, _folder_of(bound)
        else:
            threads, place = STORES, next((name for name, ref in self._bindings.items() if ref is bound), "S3")
        hangs = self._hanging.setdefault(
            place, Trouble("bucket_does_not_answer", "bucket_answers", bucket=bucket, place=place)
        )
        try:
            found = await threads.run(place, call, *args, **kwargs)
            hangs.over()
            return found
        except StillBusy as error:
            hangs.met(error)
            raise invalid_object() from None

    def place(self, s3_object: Mapping[str, Any]) -> ObjectPlace:
        """Raises AwsFault where the request does not say which object, or a bound folder does not have it. Blocks on the folder."""
        bucket, key, version = s3_object.get("Bucket"), s3_object.get("Name"), s3_object.get("Version")
        if not bucket or not key:
            raise invalid_object("Request has invalid S3 object.")
        bound = match(self._bindings, f"arn:aws:s3:::{bucket}", bucket)
        if bound is None:
            return ObjectPlace(bucket, key, version, options=self._options({}))
        if bound.type == "file":
            return ObjectPlace(bucket, key, version, _file_of(Path(_folder_of(bound)), key))
        key = "/".join(filter(None, (str(bound.options.get("prefix", "")).strip("/"), key)))
        return ObjectPlace(str(bound.options.get("bucket", bucket)), key, version, options=self._options(bound.options))

    def _options(self, options: Mapping[str, Any]) -> dict[str, str]:
        endpoint = options.get("endpoint_url") or options.get("endpoint") or self._aws.endpoint_url
        found = {"region": options.get("region") or self._aws.region, "endpoint_url": endpoint}
        found |= {name: options.get(name) for name in _CREDENTIALS}
        return {name: str(value) for name, value in found.items() if value}

    async def read(self, s3_object: Mapping[str, Any], most_bytes: int) -> bytes:
        """The whole object. Raises AwsFault: not there, not allowed, or larger than ``most_bytes``."""
        bucket = s3_object.get("Bucket")
        place = await self.find(s3_object)
        if place.path is not None:
            return await self.in_folder(bucket, _read_file, place.path, most_bytes)
        return await _read_s3(place, most_bytes)


def _folder_of(bound: ConnectorRef) -> str:
    return str(bound.options.get("directory", "."))


def _file_of(folder: Path, key: str) -> Path:
    """The file that is this very key in a bound folder. Raises AwsFault where there is none.

    To S3 ``/a``, ``a//b`` and ``a/../b`` are keys of their own; no file of a folder is called so.
    """
    parts = key.split("/")
    if "\0" in key or any(part in ("", ".", "..") or len(part.encode()) > _LONGEST_NAME for part in parts):
        raise invalid_object()
    folder = folder.resolve()
    try:
        path = folder.joinpath(*parts).resolve()
        there = path.is_relative_to(folder) and path.is_file()
    except OSError:
        there = False
    if not there:
        raise invalid_object()
    return path


def _read_file(path: Path, most_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError:
        raise invalid_object() from None
    if len(data) > most_bytes:
        raise _too_large()
    return data


def _too_large() -> AwsFault:
    return AwsFault("ImageTooLargeException", "Image size is too large.")


def s3_client(place: ObjectPlace) -> Any:
    """An aiobotocore S3 client (an async context manager); path-style where an endpoint is set. Raises InputError for a secret that is
    not set."""
    style: Any = {"addressing_style": "path"} if "endpoint_url" in place.options else {}
    config = Config(s3=style, connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 2})
    own = any(name in place.options for name in _CREDENTIALS)
    keys = (
        named_credentials(place.options) if own else None
    ) or {}  # else the client walks the chain itself, without blocking
    return get_session().create_client(
        "s3",
        region_name=place.options.get("region"),
        endpoint_url=place.options.get("endpoint_url"),
        config=config,
        **{f"aws_{name}": value for name, value in keys.items()},
    )


async def _read_s3(place: ObjectPlace, most_bytes: int) -> bytes:
    version = {"VersionId": place.version} if place.version else {}
    try:
        async with s3_client(place) as client:
            answer = await client.get_object(Bucket=place.bucket, Key=place.key, **version)
            if answer["ContentLength"] > most_bytes:
                raise _too_large()
            async with answer["Body"] as body:
                data: bytes = await body.read()
                return data
    except (ClientError, BotoCoreError, OSError, ValueError, InputError) as error:
        log.warning("object_unreadable", bucket=place.bucket, key=place.key, reason=str(error))
        raise invalid_object() from None
