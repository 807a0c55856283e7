"""Amazon Kinesis Data Streams, or whatever speaks its API."""
