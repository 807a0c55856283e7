"""The console: pages for people over the API, signing in, and editing regions."""
