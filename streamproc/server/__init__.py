"""The daemon: config folder, HTTP server, control API; other rooms mount their own routes."""
