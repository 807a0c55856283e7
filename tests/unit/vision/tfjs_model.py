"""A small TensorFlow.js graph model that has what real ones have: packed weights, fused operations, arithmetic on constants.

``python -m tests.unit.vision.tfjs_model DIR`` writes it, for ``tfjs_golden.mjs`` to say what TensorFlow.js itself makes of it.
"""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

FLOAT, INT = {"type": "DT_FLOAT"}, {"type": "DT_INT32"}
SIDE = 8


def picture(side: int = SIDE) -> np.ndarray:
    """(1, 3, side, side) float32 that a formula gives, so that every language can make it."""
    return np.sin(np.arange(3 * side * side, dtype=np.float64) * 0.37).astype(np.float32).reshape(1, 3, side, side)


def document() -> dict[str, Any]:
    """The topology with its manifest."""
    nodes = [
        {"name": "image", "op": "Placeholder", "attr": {"dtype": FLOAT, "shape": {"shape": _shape(1, 3, SIDE, SIDE)}}},
        *(_const(name, kind) for name, kind in _CONSTANTS),
        _op("nhwc", "Transpose", ["image", "order"], T=FLOAT, Tperm=INT),
        _op("margins", "SparseToDense", ["where", "margin_shape", "margin", "zero"], T=INT, Tindices=INT),
        _op("padded", "Pad", ["nhwc", "margins"], T=FLOAT, Tpaddings=INT),
        _fused("conv", "_FusedConv2D", ["padded", "kernel", "bias"], ["BiasAdd", "Relu6"]),
        _fused(
            "depth", "FusedDepthwiseConv2dNative", ["conv", "depth_kernel", "depth_bias", "slope"], ["BiasAdd", "Prelu"]
        ),
        _op("target", "AddV2", ["half", "half"], T=INT),
        _op(
            "large",
            "ResizeBilinear",
            ["depth", "target"],
            T=FLOAT,
            half_pixel_centers={"b": True},
            align_corners={"b": False},
        ),
        _op("map", "LeakyRelu", ["large"], T=FLOAT, alpha={"f": 0.1}),
        _op("Identity", "Identity", ["map"], T=FLOAT),
    ]
    weights = [{"name": name, **entry} for name, entry, _ in _weights()]
    return {
        "format": "graph-model",
        "modelTopology": {"node": nodes, "versions": {"producer": 1}},
        "weightsManifest": [{"paths": ["tiny.bin"], "weights": weights}],
    }


def packed() -> bytes:
    """The file of weights."""
    return b"".join(stored.tobytes() for _, _, stored in _weights())


def write(folder: Path) -> tuple[Path, Path]:
    """Topology and weights."""
    topology, weights = folder / "tiny.json", folder / "tiny.bin"
    topology.write_text(json.dumps(document()))
    weights.write_bytes(packed())
    return topology, weights


_CONSTANTS = [
    ("order", "DT_INT32"),
    ("where", "DT_INT32"),
    ("margin_shape", "DT_INT32"),
    ("margin", "DT_INT32"),
    ("zero", "DT_INT32"),
    ("kernel", "DT_FLOAT"),
    ("bias", "DT_FLOAT"),
    ("depth_kernel", "DT_FLOAT"),
    ("depth_bias", "DT_FLOAT"),
    ("slope", "DT_FLOAT"),
    ("half", "DT_INT32"),
]


def _weights() -> list[tuple[str, dict[str, Any], np.ndarray]]:
    def whole(name: str, values: Any) -> tuple[str, dict[str, Any], np.ndarray]:
        array = np.array(values, np.int32)
        return name, {"shape": list(array.shape), "dtype": "int32"}, array

    def wave(count: int, step: float) -> np.ndarray:
        return np.cos(np.arange(count) * step).astype(np.float32)

    scale = {"dtype": "uint8", "scale": 0.0078125, "min": -1.0}
    kernel = np.round((wave(108, 0.61) + 1) / 0.0078125).clip(0, 255).astype(np.uint8)
    half = {"dtype": "float16"}
    return [
        whole("order", [0, 2, 3, 1]),
        whole("where", [[1, 0], [2, 1]]),
        whole("margin_shape", [4, 2]),
        whole("margin", [1, 1]),
        whole("zero", 0),
        ("kernel", {"shape": [3, 3, 3, 4], "dtype": "float32", "quantization": scale}, kernel),
        ("bias", {"shape": [4], "dtype": "float32"}, wave(4, 1.3)),
        ("depth_kernel", {"shape": [3, 3, 4, 1], "dtype": "float32", "quantization": half}, wave(36, 0.9).astype(np.float16)),
        ("depth_bias", {"shape": [4], "dtype": "float32"}, wave(4, 2.1)),
        ("slope", {"shape": [4], "dtype": "float32"}, np.array([0.25, -0.5, 0.75, 0.1], np.float32)),
        whole("half", [6, 6]),
    ]  # fmt: skip


def _shape(*sides: int) -> dict[str, Any]:
    return {"dim": [{"size": str(side)} for side in sides]}


def _const(name: str, kind: str) -> dict[str, Any]:
    value = {"tensor": {"dtype": kind, "tensorShape": {}}}
    return {"name": name, "op": "Const", "attr": {"dtype": {"type": kind}, "value": value}}


def _op(name: str, op: str, inputs: list[str], **attrs: Any) -> dict[str, Any]:
    return {"name": name, "op": op, "input": inputs, "attr": attrs}


def _fused(name: str, op: str, inputs: list[str], steps: list[str]) -> dict[str, Any]:
    def text(word: str) -> str:
        return base64.b64encode(word.encode()).decode()

    return _op(
        name,
        op,
        inputs,
        T=FLOAT,
        strides={"list": {"i": ["1", "1", "1", "1"]}},
        dilations={"list": {"i": ["1", "1", "1", "1"]}},
        padding={"s": text("SAME")},
        data_format={"s": text("NHWC")},
        num_args={"i": str(len(inputs) - 2)},
        epsilon={"f": 0},
        fused_ops={"list": {"s": [text(step) for step in steps]}},
    )


if __name__ == "__main__":
    write(Path(sys.argv[1]))
