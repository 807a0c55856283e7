"""What every HTTP surface of the node shares."""
