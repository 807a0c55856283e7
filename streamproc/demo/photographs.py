"""The photographs of the demo's scene: files of scikit-image, which is not imported for them and need not be installed."""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from streamproc.core.errors import InputError
from streamproc.vision.catalogue import Wheel
from streamproc.vision.packages import FetchFailed, Packages
from streamproc.vision.store import default_cache

Pixels = npt.NDArray[np.uint8]

PACKAGE, VERSION = "scikit-image", "0.26.0"
FILES = {"person": "astronaut.png", "cat": "chelsea.png", "wall": "brick.png", "ground": "gravel.png"}
"""NASA's portrait of Eileen Collins, Stéfan van der Walt's cat Chelsea, textures of brick and gravel: public domain or CC0."""


def load_photographs() -> dict[str, Pixels]:
    """The four photographs by what they show, BGR: of the installed package, else out of its wheel, which is fetched for them.

    Raises InputError where neither can be had.
    """
    spec = importlib.util.find_spec("skimage")
    if spec is not None and spec.origin is not None:
        return _read(Path(spec.origin).parent / "data")
    packages = Packages(default_cache() / ".tools")
    try:
        with tempfile.TemporaryDirectory(prefix="streamproc-") as folder:
            for file in FILES.values():
                source = Wheel(PACKAGE, VERSION, f"skimage/data/{file}")
                packages.copy(source, Path(folder) / file, lambda done: None)
            return _read(Path(folder))
    except FetchFailed as error:
        said = f"the demo's scene is made from photographs of {PACKAGE}, which cannot be had ({error})"
        raise InputError(f"{said}; install streamproc[demo], or name a clip of yours") from error
    finally:
        packages.close()


def _read(folder: Path) -> dict[str, Pixels]:
    pictures: dict[str, Pixels] = {}
    for what, file in FILES.items():
        picture = cv2.imread(str(folder / file))
        if picture is None:
            raise InputError(f"{folder / file} is no picture; install {PACKAGE} {VERSION}, or name a clip of yours")
        pictures[what] = picture.astype(np.uint8)
    return pictures
