"""How a config folder is laid out: ``streamproc.yaml`` and ``processors/NAME.yaml``."""

from __future__ import annotations

from pathlib import Path

from streamproc.config.load import load_node
from streamproc.config.node import NodeConfig

NODE_FILE = "streamproc.yaml"
PROCESSORS = "processors"
SUFFIXES = (".yaml", ".yml")


def base_dir_of(file: Path) -> Path:
    """The config folder that a processor's file belongs to: what its relative paths start from."""
    folder = file.absolute().parent
    return folder.parent if folder.name == PROCESSORS else folder


def node_of(file: Path) -> NodeConfig:
    """The node's document beside a processor's file, or the defaults. Raises ConfigError."""
    return load_node(base_dir_of(file) / NODE_FILE)


def processor_files(folder: Path) -> dict[Path, str]:
    """The processors' files of a config folder and the names they stand for. Editors' leftovers are passed over."""
    found: dict[Path, str] = {}
    for place in (folder / PROCESSORS, folder):
        if not place.is_dir():
            continue
        for path in sorted(place.iterdir()):
            hidden = path.name.startswith((".", "#", "~")) or path.name == NODE_FILE
            if path.suffix in SUFFIXES and not hidden and path.is_file():
                found[path] = path.stem
    return found
