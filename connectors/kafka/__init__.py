"""Apache Kafka: a topic of video fragments in, events out."""
