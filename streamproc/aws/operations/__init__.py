"""The operations that are served: one small function each, from the request's structure to the answer's."""
