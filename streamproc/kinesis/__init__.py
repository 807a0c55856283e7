"""Kinesis Video Streams on this node: the wire of its producers and consumers, and the store of fragments behind it."""
