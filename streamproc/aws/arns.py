"""Names in ARNs, and the ARNs of what lives on this node."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Arns:
    """Makes ARNs with the node's region and account."""

    region: str
    account: str

    def processor(self, name: str) -> str:
        return f"arn:aws:rekognition:{self.region}:{self.account}:streamprocessor/{name}"

    def collection(self, name: str) -> str:
        return f"arn:aws:rekognition:{self.region}:{self.account}:collection/{name}"

    def video_stream(self, name: str) -> str:
        """For a processor that a client did not make: its feed has no ARN of its own."""
        return f"arn:aws:kinesisvideo:{self.region}:{self.account}:stream/{name}/0"

    def data_stream(self, name: str) -> str:
        return f"arn:aws:kinesis:{self.region}:{self.account}:stream/{name}"


def resource_name(arn: str) -> str:
    """The name that people know: of ``...:stream/NAME/TIME``, ``...:stream/NAME`` or ``...:sns:R:A:NAME``."""
    resource = arn.split(":", 5)[5] if arn.count(":") >= 5 else arn
    kind, slash, rest = resource.partition("/")
    return rest.split("/", 1)[0] if slash and kind == "stream" else resource


def account_of(arn: str) -> str:
    parts = arn.split(":")
    return parts[4] if len(parts) > 4 else ""


def rekognition_resource(arn: str) -> tuple[str, str]:
    """(kind, name) of a taggable resource, e.g. ("streamprocessor", "porch"). ("", "") for anything else.

    Region and account are not compared: scripts bring those of the account that they were written for. Collections have
    had ARNs without the leading ``arn:``.
    """
    parts = arn.removeprefix("arn:").split(":", 4)
    if len(parts) != 5 or parts[1] != "rekognition":
        return "", ""
    kind, _, name = parts[4].partition("/")
    return kind, name
