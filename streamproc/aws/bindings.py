"""What the streams, topics and buckets of a request mean on this node: a binding, else the user's own AWS."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from connectors.catalog import settings_class
from streamproc.aws.arns import account_of, resource_name
from streamproc.config.node import AwsSettings, Bindings
from streamproc.config.processor import ConnectorRef


class Unbound(Exception):
    """Nothing here answers to that name. The text is what the service says in StatusMessage where it has words for it."""


def match(bindings: Mapping[str, ConnectorRef], arn: str, name: str | None = None) -> ConnectorRef | None:
    """The binding of ``arn`` or its name: an exact key first, then the longest pattern."""
    names = (arn, name or resource_name(arn))
    for candidate in names:
        if candidate in bindings:
            return bindings[candidate]
    for pattern in sorted(bindings, key=len, reverse=True):
        if any(fnmatchcase(candidate, pattern) for candidate in names):
            return bindings[pattern]
    return None


class Resolver:
    """Turns ARNs and buckets into connector references.

    ``own_stream`` says whether a name is that of one of this node's own video streams; it is asked where a binding is missing.
    ``has_credentials`` says whether the user's own AWS can be asked at all; it is called only where a binding is missing.
    Relative paths of bindings start at ``folder``.
    """

    def __init__(
        self,
        bindings: Bindings,
        aws: AwsSettings,
        has_credentials: Callable[[], bool],
        folder: Path = Path(),
        own_stream: Callable[[str], bool] = lambda name: False,
    ) -> None:
        self.bindings = Bindings(
            streams=_all_at(bindings.streams, folder),
            data_streams=_all_at(bindings.data_streams, folder),
            topics=_all_at(bindings.topics, folder),
            buckets=_all_at(bindings.buckets, folder),
        )
        self._aws = aws
        self._has_credentials = has_credentials
        self._own_stream = own_stream

    def video_stream(self, arn: str) -> ConnectorRef:
        """The feed that a Kinesis video stream's ARN means."""
        name = resource_name(arn)
        bound = match(self.bindings.streams, arn)
        if bound is None:
            if not self._own_stream(name):
                raise Unbound(f"Stream {name} doesn't exist")
            return _ref("kvs", stream=name, endpoint_url="local")
        if "stream" in settings_class(bound.type, "source").model_fields and "stream" not in bound.options:
            return _with_defaults(bound, {"stream": name})
        return bound

    def data_stream(self, arn: str) -> ConnectorRef:
        """Where face search records go."""
        name = resource_name(arn)
        bound = match(self.bindings.data_streams, arn)
        if bound is not None:
            extra: dict[str, object] = {"stream": name} if bound.type == "file" else {}
            return _with_defaults(bound, {"format": "aws", "events": ["face_record"], **extra})
        if not self._own_aws():
            raise Unbound(f"Stream {name} under account {account_of(arn)} not found")
        return _ref("kinesis", stream_arn=arn, **self._endpoint())

    def topic(self, arn: str) -> ConnectorRef:
        """Where notifications go."""
        bound = match(self.bindings.topics, arn)
        if bound is not None:
            extra: dict[str, object] = {"stream": resource_name(arn), "pictures": False} if bound.type == "file" else {}
            return _with_defaults(bound, {"name": "topic", "format": "aws", **extra})
        if not self._own_aws():
            raise Unbound(f"Topic {arn} is not bound here and there are no AWS credentials to publish to it")
        return _ref("sns", name="topic", topic_arn=arn, format="aws", **self._endpoint())

    def bucket(self, bucket: str, prefix: str, kms_key_id: str | None) -> ConnectorRef:
        """Where pictures and session summaries go."""
        bound = match(self.bindings.buckets, f"arn:aws:s3:::{bucket}", bucket)
        if bound is not None:
            return _in_bucket(bound, bucket, prefix, kms_key_id)
        if not self._own_aws():
            raise Unbound(f"Bucket {bucket} is not bound here and there are no AWS credentials to write to it")
        key = {"kms_key_id": kms_key_id} if kms_key_id else {}
        return _ref("s3", name="bucket", bucket=bucket, prefix=prefix, format="aws", **key, **self._endpoint())

    def _own_aws(self) -> bool:
        return self._aws.endpoint_url is not None or self._has_credentials()

    def _endpoint(self) -> dict[str, str]:
        endpoint = {"endpoint_url": self._aws.endpoint_url} if self._aws.endpoint_url else {}
        return {"region": self._aws.region, **endpoint}


def _with_defaults(ref: ConnectorRef, defaults: Mapping[str, object]) -> ConnectorRef:
    return _ref(ref.type, **(dict(defaults) | ref.options))


def _ref(kind: str, **options: object) -> ConnectorRef:
    return ConnectorRef.model_validate({"type": kind, **options})


def _in_bucket(bound: ConnectorRef, bucket: str, prefix: str, kms_key_id: str | None) -> ConnectorRef:
    """A bound bucket with the prefix of its keys. One that is a folder keeps its objects there under the same keys.

    Raises Unbound where encryption by a KMS key is asked of what cannot encrypt: objects would lie in clear without a word.
    """
    if kms_key_id and bound.type != "s3":
        raise Unbound(
            f"Bucket {bucket} is bound to a {bound.type} here, which cannot encrypt with KmsKeyId; leave it out or bind an S3"
        )
    if bound.type == "file":
        # The prefix cannot lead out of the folder.
        parts = [part for part in prefix.split("/") if part not in ("", ".", "..") and "\0" not in part]
        folder = str(bound.options.get("directory", "."))
        return _ref("s3", name="bucket", bucket=bucket, prefix="/".join(parts), directory=folder, format="aws")
    extra: dict[str, object] = {}
    if bound.type == "s3":
        extra = {"prefix": "/".join(filter(None, (str(bound.options.get("prefix", "")).strip("/"), prefix)))}
        # A client looks for its pictures where it asked for them, whatever its bucket is bound to.
        extra["uri_base"] = "/".join(filter(None, (f"s3://{bucket}", prefix.strip("/"))))
        extra |= {"kms_key_id": kms_key_id} if kms_key_id else {}
    return _ref(bound.type, **({"name": "bucket", "format": "aws"} | bound.options | extra))


def _all_at(refs: Mapping[str, ConnectorRef], folder: Path) -> dict[str, ConnectorRef]:
    return {name: _at(ref, folder) for name, ref in refs.items()}


def _at(ref: ConnectorRef, folder: Path) -> ConnectorRef:
    if ref.type != "file":
        return ref
    paths = {
        name: str(folder.absolute() / str(ref.options[name])) for name in ("path", "directory") if name in ref.options
    }
    return _ref(ref.type, **(ref.options | paths))
