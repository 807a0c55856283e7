"""EfficientNet-Lite0 as an OpenVINO graph, built from its PyTorch weights.

The layout is EfficientNet-B0's (Tan and Le 2019) without squeeze-and-excite and with ReLU6 in place of swish, as Google's
EfficientNet-Lite has it: a stem, sixteen inverted residual blocks in seven stages, a head, a mean and a fully connected layer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import openvino as ov
from openvino import opset13 as op

from streamproc.core.errors import ModelUnavailable
from streamproc.vision.formats.torch_file import read_tensors

SIDE = 224
_STAGES = ((1, 1), (2, 2), (2, 2), (3, 2), (3, 1), (4, 2), (1, 1))
"""Blocks of each stage, and the stride of its first."""
_EPSILON = 1e-3
"""Of the batch normalisation; TensorFlow's, which the weights were trained with (PyTorch's own default is 1e-5)."""
Weights = Mapping[str, npt.NDArray[Any]]
Node = Any


def efficientnet_lite0_graph(path: Path) -> ov.Model:
    """(1, 3, 224, 224) RGB as ``(x - 127) / 128`` to (1, 1000) probabilities. Raises ModelUnavailable for a damaged file."""
    try:
        return _graph(read_tensors(path))
    except KeyError as error:
        raise ModelUnavailable(f"{path} is no EfficientNet-Lite0: it has no {error}") from error


def _graph(weights: Weights) -> ov.Model:
    image = op.parameter([1, 3, SIDE, SIDE], np.float32, name="image")
    image.output(0).set_names({"image"})
    x: Node = _convolution(weights, image, "_conv_stem", "_bn0", stride=2)
    number = 0
    for count, stride in _STAGES:
        for index in range(count):
            x = _block(weights, x, f"_blocks.{number}.", stride if index == 0 else 1, residual=index > 0)
            number += 1
    x = _convolution(weights, x, "_conv_head", "_bn1")
    x = op.reduce_mean(x, op.constant(np.array([2, 3])), False)
    x = op.matmul(x, op.constant(np.ascontiguousarray(weights["_fc.weight"])), False, True)
    answer = op.softmax(op.add(x, op.constant(weights["_fc.bias"].reshape(1, -1))), 1)
    answer.output(0).set_names({"probabilities"})
    return ov.Model([answer], [image], "efficientnet_lite0")


def _block(weights: Weights, x: Node, name: str, stride: int, *, residual: bool) -> Node:
    """Expand (not in the first), depthwise, project; a block that keeps size and width adds what came in."""
    y = x
    if f"{name}_expand_conv.weight" in weights:
        y = _convolution(weights, y, f"{name}_expand_conv", f"{name}_bn0")
    y = _convolution(weights, y, f"{name}_depthwise_conv", f"{name}_bn1", stride=stride, depthwise=True)
    y = _convolution(weights, y, f"{name}_project_conv", f"{name}_bn2", activate=False)
    return op.add(x, y) if residual else y


def _convolution(
    weights: Weights,
    x: Node,
    kernel: str,
    norm: str,
    *,
    stride: int = 1,
    depthwise: bool = False,
    activate: bool = True,
) -> Node:
    """A convolution with its batch normalisation folded in; padding as TensorFlow's SAME."""
    gamma, beta, mean, variance = (
        weights[f"{norm}.{part}"] for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / np.sqrt(variance + _EPSILON)
    filters = (weights[f"{kernel}.weight"] * scale.reshape(-1, 1, 1, 1)).astype(np.float32)
    bias = op.constant((beta - mean * scale).astype(np.float32).reshape(1, -1, 1, 1))
    if depthwise:
        filters = filters[:, None]
    make = op.group_convolution if depthwise else op.convolution
    x = make(x, op.constant(filters), [stride] * 2, [0, 0], [0, 0], [1, 1], "same_upper")
    x = op.add(x, bias)
    return op.clamp(x, 0.0, 6.0) if activate else x
