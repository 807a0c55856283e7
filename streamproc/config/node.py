"""The node's document, ``streamproc.yaml``: server, bindings, stores, defaults. All of it is optional."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, field_validator, model_validator

from streamproc.config.base import Settings, wrong
from streamproc.config.cluster import ClusterSettings
from streamproc.config.duration import Duration
from streamproc.config.explain import ExplainSettings
from streamproc.config.kinesis_video import KinesisVideoSettings
from streamproc.config.model_settings import ModelSettings
from streamproc.config.processor import ConnectorRef
from streamproc.config.size import Size
from streamproc.config.webrtc import WebrtcSettings


class AccessKey(Settings):
    """One access key of the AWS endpoint."""

    access_key_id: str = Field(min_length=1)
    secret_access_key_env: str | None = None
    """Environment variable that holds the secret."""
    secret_access_key: SecretStr | None = None
    """The secret itself: only in a credentials_file with mode 0600."""
    session_token: SecretStr | None = None
    operations: tuple[str, ...] | None = None
    """Allowed operations, * allowed; all where left out."""
    processors: tuple[str, ...] | None = None
    """Allowed processors, * allowed; all where left out."""
    streams: tuple[str, ...] | None = None
    """Allowed video streams of this node, * allowed; all where left out."""

    @model_validator(mode="after")
    def _one_secret(self) -> AccessKey:
        if (self.secret_access_key_env is None) == (self.secret_access_key is None):
            raise ValueError("give secret_access_key_env (or, in a credentials_file, secret_access_key)")
        return self


class Token(Settings):
    """One bearer token of the pages, WHIP, WHEP and the control API."""

    name: str
    token_env: str | None = None
    token: SecretStr | None = None
    may: tuple[Literal["publish", "watch", "view", "review", "control", "admin", "metrics"], ...] = ("watch",)
    """``publish`` and ``watch``: WHIP, WHEP and the watch page. ``view``, ``review``, ``control`` and ``admin``: what a user of that
    role may do; ``control`` includes ``view`` and ``review``. ``metrics``: /metrics."""

    @model_validator(mode="after")
    def _one_token(self) -> Token:
        if (self.token_env is None) == (self.token is None):
            raise ValueError("give token_env (or token)")
        return self


class User(Settings):
    """One person who may sign in to the console."""

    name: str = Field(min_length=1, max_length=64)
    password_hash_env: str = Field(min_length=1)
    """Environment variable that holds the line that ``streamproc passwd`` printed."""
    role: Literal["view", "review", "control", "admin"] = "view"
    """``view``: cameras and events without faces. ``review``: also faces and jobs. ``control``: also change processors.
    ``admin``: also the node's own document."""


class ProxySettings(Settings):
    """A reverse proxy that is believed when it names the user."""

    trusted: tuple[str, ...] = Field(min_length=1)
    """Addresses the proxy's requests come from; the same headers from anybody else are ignored."""
    user_header: str = "X-Forwarded-User"
    role: Literal["view", "review", "control", "admin"] = "view"
    """Role of names that ``users`` does not list."""

    @field_validator("trusted")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for address in value:
            ipaddress.ip_address(address)
        return value


class ServerSettings(Settings):
    """What the daemon serves and to whom."""

    listen: str = Field(default="127.0.0.1:4566", pattern=r"^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$")
    """HOST:PORT."""
    credentials: tuple[AccessKey, ...] = ()
    credentials_file: Path | None = None
    """YAML list of access keys; must have mode 0600, or be mounted for this process's own group alone."""
    tokens: tuple[Token, ...] = ()
    users: tuple[User, ...] = ()
    """Who may sign in to the console. Where there are any, the console and the control API need a session or a token, also on this host."""
    proxy: ProxySettings | None = None
    """A reverse proxy that signs people in and says who they are."""
    local: Literal["open", "token"] = "open"
    """``open``: requests from this host itself need no token. ``token``: they do too; for a node behind a reverse proxy on the same host
    that adds no header by which forwarded requests could be told."""
    tls_cert: Path | None = None
    """Certificate (PEM, with its chain): everything is then served by HTTPS."""
    tls_key: Path | None = None
    """Its private key, PEM; left out where it lies in the same file."""

    @model_validator(mode="after")
    def _each_user_once(self) -> ServerSettings:
        names = [user.name for user in self.users]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise wrong("users", f"{twice!r} is there twice; give each user one entry")
        return self

    @model_validator(mode="after")
    def _no_key_alone(self) -> ServerSettings:
        if self.tls_key is not None and self.tls_cert is None:
            raise wrong("tls_key", "there is no tls_cert beside it, so nothing would be encrypted; add tls_cert")
        return self


class Bindings(Settings):
    """What an ARN, stream, topic or bucket of a request means on this node. Keys may be names or ARNs, * allowed."""

    streams: dict[str, ConnectorRef] = {}
    data_streams: dict[str, ConnectorRef] = {}
    topics: dict[str, ConnectorRef] = {}
    buckets: dict[str, ConnectorRef] = {}


class AwsSettings(Settings):
    """The user's own S3, SNS, SQS and Kinesis, for whatever is not bound."""

    endpoint_url: str | None = Field(default=None, pattern=r"^https?://[^\s@]+$")
    region: str = "us-east-1"
    account: str = Field(default="000000000000", pattern=r"^\d{12}$")
    """The account id that ARNs made here carry."""


class StoreSettings(Settings):
    data_dir: Path | None = None


class Limits(Settings):
    """Caps that the service has; raise them here."""

    max_jobs: int = Field(default=20, ge=1)
    queue_jobs: bool = False
    """Queue jobs beyond max_jobs instead of refusing them."""
    max_image_bytes: int = Field(default=15_728_640, ge=1)
    max_inline_image_bytes: int = Field(default=5_242_880, ge=1)
    """Of a picture inside a request to the AWS endpoint."""
    max_body_bytes: int = Field(default=10_000_000, ge=1000)
    """Of a request to the AWS endpoint."""
    max_session_seconds: int = Field(default=120, ge=1)
    """Of MaxDurationInSeconds."""
    max_regions: int = Field(default=10, ge=0)
    """Of RegionsOfInterest."""
    max_processors: int = Field(default=10_000, ge=1)
    """Made through the AWS endpoint."""
    max_video_bytes: int = Field(default=10 * 1024**3, ge=1)
    max_video_seconds: Duration = 6 * 3600.0


class NodeFaceSettings(Settings):
    """Faces on this node: the models of all collections, and how vectors lie on disk."""

    detector: Literal["yunet", "centerface"] = "yunet"
    """Finds faces. Left out: YuNet, or CenterFace where YuNet cannot be had."""
    embedder: Literal["face_reidentification_retail_0095", "faceapi_recognition"] = "face_reidentification_retail_0095"
    """Tells faces apart. A collection belongs to the embedder that it was made with. Left out: the one that the node's collections were made
    with; where there are none 0095, or face-api's where that cannot be had."""
    key_file: Path | None = None
    """32-byte key (mode 0600, or mounted for this process's own group alone); the stored vectors are then encrypted (AES-256-GCM)."""


class OutboxSettings(Settings):
    """What waits on disk until an output took it."""

    max_bytes: int = Field(default=2 * 1024**3, ge=1_000_000)
    """Quota of the spool. When full: pictures of the oldest undelivered events go first, then new records; notifications stay."""
    keep_delivered: Duration = 24 * 3600.0
    """Least time for which an event stays that all outputs have taken; ``history`` usually keeps it longer."""


class HistorySettings(Settings):
    """Events and their pictures for people who look back, whatever the outputs have taken."""

    keep: Duration = 30 * 86400.0
    """0: only as long as outbox.keep_delivered."""
    max_bytes: Size = 5 * 10**9
    """Of events and pictures that no output waits for; the oldest go first. What outputs wait for counts in outbox.max_bytes."""


class NodeConfig(Settings):
    """``streamproc.yaml``."""

    server: ServerSettings = ServerSettings()
    bindings: Bindings = Bindings()
    aws: AwsSettings = AwsSettings()
    stores: StoreSettings = StoreSettings()
    models: ModelSettings = ModelSettings()
    limits: Limits = Limits()
    outbox: OutboxSettings = OutboxSettings()
    history: HistorySettings = HistorySettings()
    explain: ExplainSettings = ExplainSettings()
    outputs: tuple[ConnectorRef, ...] = ()
    """Outputs of processors that name none."""
    workers: int | None = Field(default=None, ge=1, le=256)
    """Threads that decode and infer; one more than cores where left out (no more than cores infer at a time)."""
    cpu_target: float | None = Field(default=80.0, ge=0, le=100)
    """Percent of the cores (of those it may use) over which live processors are eased: second look off, rate halved, quartered, idle
    more readily, a smaller model; undone when there is room again. 0 or null: never."""
    webrtc: WebrtcSettings = WebrtcSettings()
    faces: NodeFaceSettings = NodeFaceSettings()
    kinesis_video: KinesisVideoSettings | None = None
    """Kinesis Video Streams on the daemon's port. Being there turns it on; {} takes the defaults."""
    cluster: ClusterSettings | None = None
    """Other nodes that share the processors and take over from this one."""
