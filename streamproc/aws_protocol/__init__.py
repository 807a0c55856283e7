"""What every AWS service on this node shares: signatures, access keys, shapes of requests and answers, page tokens."""
