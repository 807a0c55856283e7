"""One folder per outside system: settings.py, source.py, sink.py. ``catalog`` is the table of them."""
