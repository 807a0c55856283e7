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

CONNECT_S, HEAD_S, READ_S = 3, 5, 20
"""Timeouts of one try: a client waits for what the object is, a worker for its bytes."""

_made = threading.Lock()
"""botocore's sessions are not to be used by several threads while clients are made."""


class S3Object:
    """Synchronous; used by one thread at a time. Errors of the store become OSError with the store's words."""

    def __init__(self, bucket: str, key: str, options: Mapping[str, str], version: str | None = None) -> None:
        """``options``: ``endpoint_url``, ``region`` and where the credentials are (``connectors.chain.named_credentials``).

        Raises InputError where an environment variable that is named is not set.
        """
        self._place = {"Bucket": bucket, "Key": key, **({"VersionId": version} if version else {})}
        self._options = options
        self._keys = named_credentials(options)
        self._client = self._make(HEAD_S, 2)
        head = self._ask("head_object")
        self.size = int(head["ContentLength"])
        self.etag: str | None = head.get("ETag")
        self.version = str(self.etag or head.get("LastModified") or self.size)
        """Changes when the bytes change."""
        self._reads = False

    def read(self, start: int, end: int) -> bytes:
        """Bytes from ``start`` up to ``end``, of the object as it was when it was opened. Raises OSError, also where it was changed since."""
        if not self._reads:
            self._client.close()
            self._client, self._reads = self._make(READ_S, 3), True
        unchanged = {"IfMatch": self.etag} if self.etag and not self.etag.startswith("W/") else {}
        answer = self._ask("get_object", Range=f"bytes={start}-{end - 1}", **unchanged)
        try:
            data: bytes = answer["Body"].read()
        except BotoCoreError as error:
            raise OSError(str(error)) from None
        return data

    def close(self) -> None:
        self._client.close()

    def _make(self, read_s: int, tries: int) -> Any:
        endpoint = self._options.get("endpoint_url")
        config = Config(
            connect_timeout=CONNECT_S,
            read_timeout=read_s,
            retries={"mode": "standard", "total_max_attempts": tries},
            s3={"addressing_style": "path"} if endpoint else {},
            **({} if self._keys is not None else {"signature_version": UNSIGNED}),
        )
        with _made:
            return botocore.session.get_session().create_client(
                "s3",
                region_name=self._options.get("region"),
                endpoint_url=endpoint,
                config=config,
                **{f"aws_{name}": value for name, value in (self._keys or {}).items()},
            )

    def _ask(self, operation: str, **more: Any) -> dict[str, Any]:
        try:
            answer: dict[str, Any] = getattr(self._client, operation)(**self._place, **more)
        except ClientError as error:
            raise OSError(str(error.response.get("Error", {}).get("Message") or error)) from None
        except (BotoCoreError, ParamValidationError, ValueError) as error:
            raise OSError(str(error)) from None
        return answer
