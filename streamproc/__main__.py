"""``python -m streamproc``."""

from streamproc.cli import main

main()
