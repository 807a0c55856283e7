"""What ``bench`` and ``capacity`` are given: a camera to measure with and what is to be looked for."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from streamproc.config.processor import LABEL_CLASSES, ConnectorRef, ProcessorConfig
from streamproc.core.errors import InputError
from streamproc.logic.redact import redact_url

if TYPE_CHECKING:
    from streamproc.measure.sample import Sample
    from streamproc.perception.provider import ModelProvider

CAMERA = re.compile(r"rtsps?://", re.IGNORECASE)


@contextmanager
def measuring(camera: str | None, config: Path | None, data_dir: Path) -> Iterator[tuple[Sample, ModelProvider, Path]]:
    """A sample of ``camera`` (a clip, rtsp://..., or the made scene), models, and a folder below ``data_dir`` to write to."""
    from streamproc.config.folder import node_of
    from streamproc.config.node import NodeConfig
    from streamproc.perception.provider import ModelProvider

    node = node_of(config) if config is not None else NodeConfig()
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        place = tempfile.TemporaryDirectory(prefix="measure-", dir=data_dir)
    except OSError as error:
        raise InputError(f"--data-dir: {data_dir} cannot be used: {error.strerror or error}") from None
    with place as folder:
        yield sample_of(camera, Path(folder)), ModelProvider(node, data_dir, workers=1), Path(folder)


def sample_of(camera: str | None, folder: Path) -> Sample:
    """Raises InputError where there is no video."""
    from streamproc.measure.sample import of_camera, of_clip

    if camera is None:
        from streamproc.cli.demo import made_scene

        return of_clip(made_scene(), "the made scene")
    if CAMERA.match(camera):
        ref = ConnectorRef.model_validate({"type": "rtsp", "url": camera})
        return of_camera(ref, redact_url(camera), folder)
    return of_clip(Path(camera))


def wanted(config: Path | None, classes: str) -> ProcessorConfig:
    """The document of ``config``, or one that looks for ``classes`` (by comma). Raises ConfigError, InputError."""
    if config is not None:
        from connectors.catalog import check
        from streamproc.config.load import load_processor

        return load_processor(config, check)
    asked = [word.strip().upper() for word in classes.split(",") if word.strip()]
    unknown = [word for word in asked if word not in (*LABEL_CLASSES, "ALL")]
    if unknown or not asked:
        raise InputError(f"--classes: {(unknown or [classes])[0]!r} is no class; use {', '.join(LABEL_CLASSES)}")
    document: dict[str, Any] = {"source": {"type": "file", "path": "clip"}, "labels": {"classes": asked}}
    return ProcessorConfig.model_validate(document)
