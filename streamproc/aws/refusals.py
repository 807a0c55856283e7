"""What a processor that the endpoint made fails with when its output may not deliver: the service's status messages.

The service fails a face search whose data stream it may not write to, or which is not there; the texts for those are its own (developer
guide, troubleshooting of streaming video). For topics and buckets none are known: these say the same of them.
"""

from __future__ import annotations

from streamproc.aws.arns import account_of, resource_name
from streamproc.config.processor import ProcessorConfig
from streamproc.core.errors import SinkDenied


def words_for(config: ProcessorConfig, error: SinkDenied) -> str | None:
    """The StatusMessage; None for processors of config files and the control API, which go on while their events wait."""
    created = config.aws.get("create")
    if created is None:
        return None
    output = created.get("Output") or {}
    match error.service:
        case "kinesis" if "KinesisDataStream" in output:
            arn = output["KinesisDataStream"]["Arn"]
            missing = f"Stream {resource_name(arn)} under account {account_of(arn)} not found"
            return missing if error.missing else "Access denied to Kinesis Data"
        case "sns":
            place = f"SNS topic {(created.get('NotificationChannel') or {}).get('SNSTopicArn', '')}".strip()
        case "s3":
            place = f"S3 bucket {(output.get('S3Destination') or {}).get('Bucket', '')}".strip()
        case service:
            place = service
    return f"{place} doesn't exist" if error.missing else f"Access denied to {place}"
