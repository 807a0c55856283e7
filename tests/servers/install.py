"""``python -m tests.servers.install``: fetch the servers that the tests start, where this machine can have them."""

from __future__ import annotations

import sys

from tests.servers import kafka, kvs_java, mosquitto, rtsp, s3
from tests.servers.common import Unavailable


def main() -> None:
    """Say of each server whether it is here; never fails (a test whose server is missing says so and skips)."""
    servers = (
        ("Apache Kafka", kafka.install),
        ("RTSP server", rtsp.check),
        ("S3 gateway", s3.install),
        ("mosquitto", mosquitto.check),
        ("Kinesis Video's Java programs", kvs_java.install),
    )
    for name, prepare in servers:
        try:
            prepare()
        except Unavailable as error:
            print(f"{name}: not here, its tests will be skipped ({error})", file=sys.stderr)
        else:
            print(f"{name}: ready", file=sys.stderr)


if __name__ == "__main__":
    main()
