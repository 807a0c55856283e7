"""One OpenVINO runtime for the process: every model is compiled once and serves all threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import openvino as ov

from streamproc.core.errors import ModelUnavailable
from streamproc.core.media import Image
from streamproc.vision.compiled import CompiledModels, Recipe

Array = npt.NDArray[Any]
Build = Callable[[ov.Core], ov.Model]
_ARRAYS = threading.Lock()


@dataclass(frozen=True, slots=True)
class ImageInput:
    """How a model wants its picture. Callers always give (1, height, width, 3) uint8 BGR; the graph converts it."""

    width: int
    height: int
    colour: Literal["BGR", "RGB"] = "BGR"
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    mean: float | tuple[float, float, float] = 0.0
    scale: float | tuple[float, float, float] = 1.0
    """The model is fed ``(pixel - mean) / scale``; three numbers are for its channels in order."""
    name: str | None = None
    """The input's name, for a model with several."""

    @property
    def shape(self) -> list[int]:
        if self.layout == "NCHW":
            return [1, 3, self.height, self.width]
        return [1, self.height, self.width, 3]


def accept_images(model: ov.Model, spec: ImageInput) -> ov.Model:
    """Fix the input's size and put uint8 BGR NHWC to whatever-the-model-wants into the graph."""
    port = model.input(spec.name) if spec.name else model.input(0)
    shape = ov.PartialShape(spec.shape)
    if port.get_partial_shape() != shape:
        model.reshape({port: shape})
        port = model.input(spec.name) if spec.name else model.input(0)
    wanted = port.get_element_type()
    steps = ov.preprocess.PrePostProcessor(model)
    image = steps.input(spec.name) if spec.name else steps.input(0)
    image.tensor().set_element_type(ov.Type.u8).set_layout(ov.Layout("NHWC"))
    image.tensor().set_color_format(ov.preprocess.ColorFormat.BGR)
    image.model().set_layout(ov.Layout(spec.layout))
    if spec.colour == "RGB":
        image.preprocess().convert_color(ov.preprocess.ColorFormat.RGB)
    if wanted != ov.Type.u8:
        image.preprocess().convert_element_type(wanted)
    if spec.mean != 0.0:
        image.preprocess().mean(_listed(spec.mean))
    if spec.scale != 1.0:
        image.preprocess().scale(_listed(spec.scale))
    return steps.build()


def _listed(value: float | tuple[float, float, float]) -> float | list[float]:
    return list(value) if isinstance(value, tuple) else value


class Network:
    """A compiled model. ``infer`` may be called from any thread; each has its own request."""

    def __init__(self, compiled: ov.CompiledModel, outputs: tuple[str, ...]) -> None:
        self._compiled = compiled
        self._local = threading.local()
        self.outputs = outputs

    def infer(self, inputs: Array | Mapping[str, Array]) -> dict[str, Array]:
        """Outputs by name, the caller's to keep. ``inputs``: the only input, or each by name; C-contiguous."""
        request = getattr(self._local, "request", None)
        if request is None:
            request = self._local.request = self._compiled.create_infer_request()
        given = dict(inputs) if isinstance(inputs, Mapping) else [inputs]
        result = request.infer(given, share_inputs=True)
        return {name: result[index] for index, name in enumerate(self.outputs)}

    def infer_image(self, canvas: Image) -> dict[str, Array]:
        """The same for one (height, width, 3) picture of the model's size."""
        return self.infer(np.ascontiguousarray(canvas)[None])


class Engine:
    """Compiles models and keeps them. Thread-safe.

    ``workers`` is how many threads will infer at the same time: each gets a stream of one core, so that nothing is
    computed in parallel inside a frame and N frames are computed side by side.
    """

    def __init__(
        self, *, device: str = "CPU", precision: str = "f32", workers: int = 2, kept: CompiledModels | None = None
    ) -> None:
        """``kept``: where compiled models outlive the process; None: nowhere."""
        _touch_arrays()
        self._kept = kept
        self.device = device
        self.precision = precision
        self.workers = max(1, workers)
        self._core = ov.Core()
        self._lock = threading.Lock()
        self._networks: dict[Hashable, Network] = {}

    def image_network(self, path: Path, spec: ImageInput, read: Build | None = None) -> Network:
        """A model file that takes pictures, compiled once for all who ask. ``read``: where OpenVINO alone cannot read it."""
        reading = read.__qualname__ if read is not None else ""
        with self._lock:
            found = self._networks.get((path, spec, reading))
            if found is None:
                recipe = Recipe(path, f"{spec} {reading}", self.device, self._config())
                kept = self._kept.load(self._core, recipe) if self._kept else None
                if kept is None:
                    kept = self._compiled(str(path), lambda core: accept_images((read or _reader(path))(core), spec))
                    if self._kept:
                        self._kept.keep(self._core, recipe, *kept)
                found = self._networks[path, spec, reading] = Network(*kept)
            return found

    def network(self, key: Hashable, build: Build) -> Network:
        """The compiled model of this key; ``build`` is called once, for the first who asks."""
        with self._lock:
            found = self._networks.get(key)
            if found is None:
                found = self._networks[key] = Network(*self._compiled(str(key), build))
            return found

    def _compiled(self, name: str, build: Build) -> tuple[ov.CompiledModel, tuple[str, ...]]:
        model = self._built(build)
        # Compiling adds names of inner nodes to the outputs; those of the model are the ones its makers gave.
        outputs = tuple(_name(port, index) for index, port in enumerate(model.outputs))
        try:
            return self._core.compile_model(model, self.device, self._config()), outputs
        except RuntimeError as error:
            raise ModelUnavailable(f"{name}: cannot be compiled for {self.device}: {_last_line(error)}") from error

    def input_size(self, model: Path) -> tuple[int, int]:
        """(width, height) that a model file's picture input says. Raises ModelUnavailable where it leaves that open."""
        for port in self._built(lambda core: core.read_model(model)).inputs:
            shape = port.get_partial_shape()
            if len(shape) != 4 or any(side.is_dynamic for side in list(shape)[1:]):
                continue
            sides = [int(side.get_length()) for side in list(shape)[1:]]
            return (sides[1], sides[0]) if sides[2] in (1, 3) else (sides[2], sides[1])
        raise ModelUnavailable(f"{model} does not say its input size; give size: [WIDTH, HEIGHT]")

    def _built(self, build: Build) -> ov.Model:
        try:
            return build(self._core)
        except RuntimeError as error:
            raise ModelUnavailable(f"a model cannot be used with its adapter: {_last_line(error)}") from error

    def _config(self) -> dict[str, Any]:
        config: dict[str, Any] = {"INFERENCE_PRECISION_HINT": self.precision, "NUM_STREAMS": self.workers}
        if self.device == "CPU":
            config |= {"INFERENCE_NUM_THREADS": self.workers, "ENABLE_CPU_PINNING": False}
        return config


def _touch_arrays() -> None:
    """Let OpenVINO's binding find numpy while one thread is here.

    It does so at the first array it is given, behind a C++ guard that knows nothing of the interpreter's lock: two threads
    that infer for the first time together can each hold one and wait for the other, for ever.
    """
    with _ARRAYS:
        tensor = ov.Tensor(np.zeros((1, 1), np.uint8), shared_memory=True)
        tensor.element_type.to_dtype()
        np.array(tensor.data)


def _reader(path: Path) -> Build:
    return lambda core: core.read_model(path)


def _last_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__


def _name(port: Any, index: int) -> str:
    names = sorted(port.get_names())
    return names[0] if names else str(index)
