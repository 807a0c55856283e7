"""The face-api networks as OpenVINO graphs, built from the package's own weight files.

A manifest lists the tensors in the order in which they lie in the weight file; most are bytes with a scale and a minimum.
Every graph takes (1, size, size, 3) float32 RGB 0..255.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as op

Weights = dict[str, npt.NDArray[np.float32]]
Node = Any

_MEAN = (122.782, 117.001, 104.298)
EXPRESSIONS = ("neutral", "happy", "sad", "angry", "fearful", "disgusted", "surprised")
"""Order of the expression net's outputs."""


def recognition_graph(model: Path, manifest: Path) -> ov.Model:
    """dlib's face ResNet: 150x150 chip to (1, 128), not normalised."""
    net = _Net(150, read_weights(model, manifest))
    x = net.scaled_conv(net.x, "conv32_down", stride=2, same=False)
    x = op.max_pool(x, [2, 2], [1, 1], [0, 0], [0, 0], [3, 3], "floor", "valid").output(0)
    for stage, count in (("conv32", 3), ("conv64", 3), ("conv128", 2), ("conv256", 2)):
        if stage != "conv32":
            x = net.shrinking_block(x, f"{stage}_down")
        for number in range(1, count + 1):
            x = net.residual_block(x, f"{stage}_{number}")
    x = net.shrinking_block(x, "conv256_down_out")
    pooled = op.reduce_mean(x, op.constant(np.array([2, 3])), False)
    return net.model({"descriptor": op.matmul(pooled, op.constant(net.weights["fc"]), False, False)})


def landmarks_graph(model: Path, manifest: Path) -> ov.Model:
    """112x112 square face crop to (1, 136): x, y of 68 points in 0..1 of the crop."""
    net = _Net(112, read_weights(model, manifest))
    return net.model({"landmarks": net.full(net.dense_trunk(), "fc")})


def expression_graph(model: Path, manifest: Path) -> ov.Model:
    """112x112 square face crop to (1, 7) probabilities in the order of EXPRESSIONS."""
    net = _Net(112, read_weights(model, manifest))
    return net.model({"expression": op.softmax(net.full(net.dense_trunk(), "fc"), 1)})


def age_gender_graph(model: Path, manifest: Path) -> ov.Model:
    """112x112 square face crop to age (1, 1) in years and gender (1, 2): probability of male, of female."""
    net = _Net(112, read_weights(model, manifest))
    x = op.relu(net.conv(net.x, "entry_flow/conv_in", stride=2))
    x = net.xception_reduction(x, "entry_flow/reduction_block_0", activate=False)
    x = net.xception_reduction(x, "entry_flow/reduction_block_1")
    for block in range(2):
        y = x
        for layer in range(3):
            y = net.separable(op.relu(y), f"middle_flow/main_block_{block}/separable_conv{layer}")
        x = op.add(y, x)
    x = net.xception_reduction(x, "exit_flow/reduction_block")
    flat = net.pooled(op.relu(net.separable(x, "exit_flow/separable_conv")))
    return net.model({"age": net.full(flat, "fc/age"), "gender": op.softmax(net.full(flat, "fc/gender"), 1)})


def read_weights(model: Path, manifest: Path) -> Weights:
    """Tensors by name, dequantised. Raises ValueError where the two files do not fit together."""
    data = model.read_bytes()
    weights: Weights = {}
    offset = 0
    for group in json.loads(manifest.read_text(encoding="utf-8")):
        for entry in group["weights"]:
            count = int(np.prod(entry["shape"]))
            coding = entry.get("quantization")
            kind = np.dtype(coding["dtype"] if coding else "float32")
            values = np.frombuffer(data, kind, count, offset).astype(np.float32)
            if coding:
                values = values * np.float32(coding["scale"]) + np.float32(coding["min"])
            offset += count * kind.itemsize
            weights[entry["name"]] = values.reshape(entry["shape"])
    if offset != len(data):
        raise ValueError(f"{model.name} has {len(data)} bytes where {manifest.name} describes {offset}")
    return weights


class _Net:
    """Layers of one network, NCHW, by the names of its tensors."""

    def __init__(self, size: int, weights: Weights) -> None:
        self.weights = weights
        self._input = op.parameter([1, size, size, 3], np.float32, name="image")
        self._input.output(0).set_names({"image"})
        planes = op.transpose(self._input, op.constant(np.array([0, 3, 1, 2])))
        mean = op.constant(np.array(_MEAN, np.float32).reshape(1, 3, 1, 1))
        self.x: Node = op.multiply(op.subtract(planes, mean), op.constant(np.float32(1 / 255)))

    def model(self, outputs: dict[str, Node]) -> ov.Model:
        for name, node in outputs.items():
            node.output(0).set_names({name})
        return ov.Model(list(outputs.values()), [self._input], "face_api")

    def conv(self, x: Node, name: str, *, stride: int = 1) -> Node:
        return _conv(x, self.weights[f"{name}/filters"], self.weights[f"{name}/bias"], stride, same=True)

    def separable(self, x: Node, name: str, *, stride: int = 1) -> Node:
        """Depthwise then pointwise; depthwise kernels [3, 3, C, 1] become [C, 1, 1, 3, 3]."""
        kernel = np.ascontiguousarray(self.weights[f"{name}/depthwise_filter"].transpose(2, 3, 0, 1)[:, :, None])
        x = op.group_convolution(x, op.constant(kernel), [stride] * 2, [0, 0], [0, 0], [1, 1], "same_upper")
        return _conv(x, self.weights[f"{name}/pointwise_filter"], self.weights[f"{name}/bias"], 1, same=True)

    def full(self, x: Node, name: str) -> Node:
        bias = op.constant(self.weights[f"{name}/bias"].reshape(1, -1))
        return op.add(op.matmul(x, op.constant(self.weights[f"{name}/weights"]), False, False), bias)

    def pooled(self, x: Node) -> Node:
        x = op.avg_pool(x, [2, 2], [0, 0], [0, 0], [7, 7], True, "floor", "valid")
        return op.reshape(x, op.constant(np.array([0, -1])), True)

    def dense_trunk(self) -> Node:
        """Four blocks of four layers, each fed with the sum of those before it."""
        x = self.x
        for block in range(4):
            name = f"dense{block}"
            first = (
                self.conv(x, f"{name}/conv0", stride=2) if block == 0 else self.separable(x, f"{name}/conv0", stride=2)
            )
            first = op.relu(first)
            total = op.add(first, self.separable(first, f"{name}/conv1"))
            for layer in (2, 3):
                total = op.add(total, self.separable(op.relu(total), f"{name}/conv{layer}"))
            x = op.relu(total)
        return self.pooled(x)

    def xception_reduction(self, x: Node, name: str, *, activate: bool = True) -> Node:
        y = self.separable(op.relu(x) if activate else x, f"{name}/separable_conv0")
        y = self.separable(op.relu(y), f"{name}/separable_conv1")
        y = op.max_pool(y, [2, 2], [1, 1], [0, 0], [0, 0], [3, 3], "floor", "same_upper").output(0)
        return op.add(y, self.conv(x, f"{name}/expansion_conv", stride=2))

    def scaled_conv(self, x: Node, name: str, *, stride: int = 1, same: bool = True, activate: bool = True) -> Node:
        """A convolution with its scale layer folded in."""
        scale, shift = self.weights[f"{name}/scale/weights"], self.weights[f"{name}/scale/biases"]
        kernel = self.weights[f"{name}/conv/filters"] * scale.reshape(1, 1, 1, -1)
        bias = self.weights[f"{name}/conv/bias"] * scale + shift
        x = _conv(x, kernel, bias, stride, same=same)
        return op.relu(x) if activate else x

    def residual_block(self, x: Node, name: str) -> Node:
        y = self.scaled_conv(self.scaled_conv(x, f"{name}/conv1"), f"{name}/conv2", activate=False)
        return op.relu(op.add(y, x))

    def shrinking_block(self, x: Node, name: str) -> Node:
        """Halves the map and widens it; the two branches are padded with zeros to one shape."""
        y = self.scaled_conv(x, f"{name}/conv1", stride=2, same=False)
        y = self.scaled_conv(y, f"{name}/conv2", activate=False)
        skip = op.avg_pool(x, [2, 2], [0, 0], [0, 0], [2, 2], True, "floor", "valid")
        have, want = ([int(side) for side in node.output(0).get_shape()] for node in (y, skip))
        y = _pad(y, [0, 0, want[2] - have[2], want[3] - have[3]])
        skip = _pad(skip, [0, have[1] - want[1], 0, 0])
        return op.relu(op.add(skip, y))


def _conv(x: Node, kernel: npt.NDArray[np.float32], bias: npt.NDArray[np.float32], stride: int, *, same: bool) -> Node:
    """Kernels lie as height, width, in, out."""
    weights = op.constant(np.ascontiguousarray(kernel.transpose(3, 2, 0, 1)))
    padding = "same_upper" if same else "valid"
    x = op.convolution(x, weights, [stride] * 2, [0, 0], [0, 0], [1, 1], padding)
    return op.add(x, op.constant(np.ascontiguousarray(bias.reshape(1, -1, 1, 1))))


def _pad(x: Node, ends: list[int]) -> Node:
    if not any(ends):
        return x
    none = op.constant(np.zeros(4, np.int64))
    return op.pad(x, none, op.constant(np.array(ends, np.int64)), "constant", op.constant(np.float32(0)))
