"""A bucket as a shelf of small objects: put, get, list, delete, under exactly the keys that are given."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import BotoCoreError, ClientError

from connectors.aws import sink_error
from connectors.context import ConnectorContext, secret
from connectors.s3.picture_settings import S3PictureSettings
from streamproc.core.errors import StorageUnavailable

CONNECT_S, READ_S = 2, 5
"""Timeouts of one try; whoever asks tries again himself."""
_GONE = {"NoSuchKey", "404", "NotFound"}
_PAGE = 1000


class Bucket:
    """Synchronous and thread-safe. Every method may block for ``CONNECT_S + READ_S``; what the store says becomes StorageUnavailable, in words
    without credentials."""

    def __init__(self, settings: S3PictureSettings, context: ConnectorContext) -> None:
        """Raises InputError where an environment variable that is named is not set."""
        self._settings = settings
        self._region = settings.region or context.region
        self._endpoint = settings.endpoint_url or context.endpoint_url
        names = (settings.access_key_id_env, settings.secret_access_key_env, settings.session_token_env)
        fields = ("access_key_id_env", "secret_access_key_env", "session_token_env")
        found = [
            secret(name, f"cluster.pictures.{field}") if name else None
            for name, field in zip(names, fields, strict=True)
        ]
        self._keys = Credentials(found[0], found[1], found[2]) if found[0] and found[1] else None
        extra = {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": settings.kms_key_id}
        self._extra = extra if settings.kms_key_id else {}
        self._client: Any = None
        self._opening = threading.Lock()

    @property
    def place(self) -> str:
        """For people."""
        return f"s3://{self._settings.bucket}"

    def put(self, key: str, data: bytes) -> None:
        """Returns when the store has it; what was there before is replaced at once."""
        self._ask("put_object", Key=key, Body=data, ContentType="application/octet-stream", **self._extra)

    def get(self, key: str) -> bytes | None:
        """None: there is no such object."""
        try:
            answer = self._ask("get_object", Key=key)
            data: bytes = answer["Body"].read()
        except _NoSuchKey:
            return None
        except (BotoCoreError, OSError) as error:
            raise StorageUnavailable(f"{self.place}: {sink_error(error, 's3')}") from None
        return data

    def older_than(self, prefix: str, before: datetime) -> Iterator[list[str]]:
        """Keys of objects that the store had before that time, in groups that ``delete`` takes."""
        more: dict[str, str] = {}
        while True:
            page = self._ask("list_objects_v2", Prefix=prefix, MaxKeys=_PAGE, **more)
            if keys := [each["Key"] for each in page.get("Contents", ()) if each["LastModified"] < before]:
                yield keys
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def delete(self, keys: Sequence[str]) -> None:
        """At most a thousand."""
        answer = self._ask("delete_objects", Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True})
        if errors := answer.get("Errors"):
            raise StorageUnavailable(f"{self.place}: {errors[0].get('Code')} for {len(errors)} objects")

    def close(self) -> None:
        if self._client is not None:
            self._client.close()

    def _ask(self, operation: str, **more: Any) -> dict[str, Any]:
        try:
            client = self._open()
            answer: dict[str, Any] = getattr(client, operation)(Bucket=self._settings.bucket, **more)
        except ClientError as error:
            if operation == "get_object" and error.response.get("Error", {}).get("Code") in _GONE:
                raise _NoSuchKey from None
            raise StorageUnavailable(f"{self.place}: {sink_error(error, 's3')}") from None
        except (BotoCoreError, OSError) as error:
            raise StorageUnavailable(f"{self.place}: {sink_error(error, 's3')}") from None
        return answer

    def _open(self) -> Any:
        with self._opening:
            if self._client is None:
                self._client = self._make()
            return self._client

    def _make(self) -> Any:
        """Credentials that the chain finds are renewed by it."""
        session = botocore.session.Session(profile=self._settings.profile)
        if self._keys is not None:
            session.set_credentials(self._keys.access_key, self._keys.secret_key, self._keys.token)
        styles = {True: "path", False: "virtual", None: "path" if self._endpoint else "auto"}
        config = Config(
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            retries={"mode": "standard", "total_max_attempts": 1},
            s3={"addressing_style": styles[self._settings.path_style]},
        )
        return session.create_client("s3", region_name=self._region, endpoint_url=self._endpoint, config=config)


class _NoSuchKey(Exception):
    """There is no such object."""
