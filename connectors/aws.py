"""What the outputs that speak to AWS (or to what imitates it) share: settings, a client that is opened on first use, error words."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Literal

from aiobotocore.config import AioConfig
from aiobotocore.session import AioSession, get_session
from botocore.credentials import Credentials
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from connectors.aws_access import AwsAccess
from connectors.context import ConnectorContext, secret
from streamproc.config.base import OutputSettings
from streamproc.core.errors import InputError, SinkBusy, SinkDenied, SinkError, SinkRejected
from streamproc.logic.redact import redact
from streamproc.threads import CLIENTS

Addressing = Literal["path", "virtual", "auto"]


class AwsOutputSettings(OutputSettings, AwsAccess):
    """What outputs at AWS have in common."""


def open_client(
    service: str,
    access: AwsAccess,
    region: str,
    endpoint_url: str | None,
    config: AioConfig,
    given: Credentials | None = None,
) -> Any:
    """A client to be entered. Reads the service's model, which takes a while. Raises InputError, and BotoCoreError for a profile.

    ``given``: credentials that were found already.
    """
    session = AioSession(profile=access.profile) if access.profile else get_session()
    _warm(session, service)
    keys = {
        "aws_access_key_id": access.access_key_id_env,
        "aws_secret_access_key": access.secret_access_key_env,
        "aws_session_token": access.session_token_env,
    }
    named = {name: secret(variable, f"{name[4:]}_env") for name, variable in keys.items() if variable}
    if given is not None:
        named = {"aws_access_key_id": given.access_key, "aws_secret_access_key": given.secret_key}
        named |= {"aws_session_token": given.token} if given.token else {}
    return session.create_client(service, region_name=region, endpoint_url=endpoint_url, config=config, **named)


class AwsClient:
    """One service's client: opened on first use, used by many tasks, closed once."""

    def __init__(
        self,
        service: str,
        settings: AwsOutputSettings,
        context: ConnectorContext,
        *,
        region: str | None = None,
        path_style: bool | None = None,
    ) -> None:
        self._service = service
        self._settings = settings
        self._region = settings.region or region or context.region
        self.endpoint_url = settings.endpoint_url or context.endpoint_url
        styles: dict[bool | None, Addressing] = {
            True: "path",
            False: "virtual",
            None: "path" if self.endpoint_url else "auto",
        }
        self._addressing = styles[path_style]
        self._stack = AsyncExitStack()
        self._client: Any = None
        self._opening = asyncio.Lock()

    async def call(self, operation: str, **parameters: Any) -> Any:
        """Call a method of the client. Raises SinkBusy or SinkRejected with words that hold no credentials."""
        try:
            client = await self._open()
            return await getattr(client, operation)(**parameters)
        except (ClientError, BotoCoreError, OSError, TimeoutError) as error:
            raise sink_error(error, self._service) from error
        except InputError as error:
            raise SinkBusy(str(error)) from error

    async def aclose(self) -> None:
        self._client = None
        await self._stack.aclose()

    async def _open(self) -> Any:
        async with self._opening:
            if self._client is None:
                # In a thread: reading the service's model takes long enough to be felt by live feeds on the loop.
                made = await CLIENTS.run(
                    open_client,
                    self._service,
                    self._settings,
                    self._region,
                    self.endpoint_url,
                    _config(self._addressing),
                )
                self._client = await self._stack.enter_async_context(made)
            return self._client


def sink_error(error: Exception, service: str) -> SinkError:
    """What an error of the library means for the event.

    Whatever a person or the provider can fix (rights, a missing bucket, expired credentials, load) is worth waiting for; only
    what is wrong with the request itself is refused for good.
    """
    if isinstance(error, ClientError):
        code = str(error.response.get("Error", {}).get("Code", ""))
        status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500))
        words = redact(f"{code or status}: {error.response.get('Error', {}).get('Message', '')}").strip(": ")
        if code in _DENIED | _MISSING:
            return SinkDenied(words, service, missing=code in _MISSING)
        if status in _REFUSED and code not in _WILL_PASS:
            return SinkRejected(words)
        return SinkBusy(words)
    if isinstance(error, ParamValidationError):
        return SinkRejected(redact(str(error)))
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return SinkBusy("there are no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a profile")
    return SinkBusy(redact(str(error)) or type(error).__name__)


_DENIED = frozenset(
    {"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "AuthorizationError", "AuthorizationErrorException"}
    | {"KMSAccessDenied", "KMSAccessDeniedException", "KMS.AccessDeniedException"}
)
_MISSING = frozenset({"NoSuchBucket", "NotFound", "NotFoundException", "ResourceNotFoundException"})
_REFUSED = frozenset({400, 405, 411, 413, 414, 415, 422})
_WILL_PASS = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "RequestTimeout",
        "RequestTimeTooSkewed",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "Throttled",
        "ThrottledException",
        "InvalidClientTokenId",
        "InvalidAccessKeyId",
        "UnrecognizedClientException",
        "AuthorizationHeaderMalformed",
        "KMS.DisabledException",
        "KMSThrottling",
        "KMSThrottlingException",
        "TokenRefreshRequired",
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
    }
)
"""Codes that come with status 400 although trying again may help."""


def _config(addressing: Addressing) -> AioConfig:
    """One attempt a call (the outbox tries again), and no checksums that only Amazon's own S3 understands."""
    return AioConfig(
        retries={"total_max_attempts": 1, "mode": "standard"},
        connect_timeout=5,
        read_timeout=20,
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        s3={"addressing_style": addressing},
    )


def _warm(session: AioSession, service: str) -> None:
    loader = session.get_component("data_loader")
    loader.load_service_model(service, "service-2")
    loader.load_service_model(service, "endpoint-rule-set-1")
    loader.load_data_with_path("endpoints")
