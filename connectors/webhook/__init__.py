"""HTTP requests to an address of the user's."""
