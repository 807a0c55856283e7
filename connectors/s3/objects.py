"""One object of an S3, read by byte ranges under exactly its key: to S3 ``/a``, ``a//b`` and ``a/../b`` are names like any other."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

import botocore.session
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from connectors.chain import named_credentials

CONNECT_S, READ_S = 3, 5
"""Timeouts of one try: a client waits for the first answer, and a worker for each of the next."""
TRIES = 2

_made = threading.Lock()
"""botocore's sessions are not to be used by several threads while clients are made."""


class S3Object:
    """Synchronous; used by one thread at a time. Errors of the store become OSError with the store's words."""

    def __init__(self, bucket: str, key: str, options: Mapping[str, str], version: str | None = None) -> None:
        """``options``: ``endpoint_url``, ``region`` and where the credentials are (``connectors.chain.named_credentials``).

        Raises InputError where an environment variable that is named is not set.
        """
        self._place = {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}
        keys = named_credentials(options)
        endpoint = options.get("endpoint_url")
        config = Config(
            connect_timeout=CONNECT_S,
            read_timeout=READ_S,
            retries={"mode": "standard", "total_max_attempts": TRIES},
            s3={"addressing_style": "path"} if endpoint else {},
            **({} if keys is not None else {"signature_version": UNSIGNED}),
        )
        with _made:
            self._client: Any = botocore.session.get_session().create_client(
                "s3",
                region_name=options.get("region"),
                endpoint_url=endpoint,
                config=config,
                **{f"aws_{name}": value for name, value in (keys or {}).items()},
            )
        head = self._ask("head_object")
        self.size = int(head["ContentLength"])
        self.etag: str | None = head.get("ETag")
        self.version = str(self.etag or head.get("LastModified") or self.size)
        """Changes when the bytes change."""

    def read(self, start: int, end: int) -> bytes:
        """Bytes from ``start`` up to ``end``, of the object as it was when it was opened. Raises OSError, also where it was changed since."""
        unchanged = {"IfMatch": self.etag} if self.etag and not self.etag.startswith("W/") else {}
        answer = self._ask("get_object", Range=f"bytes={start}-{end - 1}", **unchanged)
        try:
            data: bytes = answer["Body"].read()
        except BotoCoreError as error:
            raise OSError(str(error)) from None
        return data

    def close(self) -> None:
        self._client.close()

    def _ask(self, operation: str, **more: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**self._place, **more)
        except ClientError as error:
            raise OSError(str(error.response.get("Error", {}).get("Message") or error)) from None
        except (BotoCoreError, ParamValidationError, ValueError) as error:
            raise OSError(str(error)) from None
        return answer
