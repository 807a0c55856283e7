"""TensorFlow.js graph models (a topology in JSON and a file of weights) as OpenVINO models.

The topology is a GraphDef in protobuf's JSON form whose constants lie in the file of weights, one after another. It is written back as a binary
GraphDef, which OpenVINO's TensorFlow front end reads. Three things stand between: operations of TensorFlow.js that the front end has no rule
for (fused convolutions, PReLU) are taken apart, arithmetic on constants is done here, and an input of another size needs other targets
in the resize operations.
"""

from __future__ import annotations

import base64
import json
import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from streamproc.core.errors import ModelUnavailable
from streamproc.vision.formats.graphdef import DTYPES, Array, Node, encode

MAX_TOPOLOGY_BYTES = 32 << 20
MAX_WEIGHT_BYTES = 512 << 20
MAX_NODES = 50_000
MAX_FOLDED = 1 << 20
"""Elements of a constant that is worked out here; exporters leave shapes and indexes behind, never weights."""
_UNREADABLE = (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, OverflowError)

_STORED = {"float32": "<f4", "float16": "<f2", "int32": "<i4", "uint8": "u1", "uint16": "<u2", "bool": "?"}
_FUSED = {
    "_FusedConv2D": "Conv2D",
    "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative",
    "_FusedMatMul": "MatMul",
}
_ACTIVATIONS = ("Relu", "Relu6", "Elu", "Sigmoid", "Tanh")
_FLOAT = {"type": "DT_FLOAT"}
_ARITHMETIC: Mapping[str, Callable[..., Array]] = {
    "AddV2": np.add,
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "FloorDiv": np.floor_divide,
}


@dataclass(frozen=True, slots=True)
class GraphModel:
    """A model as read: operations in the file's order, and constants by name."""

    nodes: tuple[Node, ...]
    constants: Mapping[str, Array]

    def resized(self, width: int, height: int) -> GraphModel:
        """The same for an NCHW picture input of another size. Raises ValueError where there is no such input.

        Exporters freeze what each bilinear resize makes; those targets grow and shrink with the input.
        """
        (holder,) = (node for node in self.nodes if node.op == "Placeholder")
        _, _, rows, columns = (int(each["size"]) for each in holder.attrs["shape"]["shape"]["dim"])
        constants = dict(self.constants)
        for target in {_base(node.inputs[1]) for node in self.nodes if node.op == "ResizeBilinear"} & set(constants):
            old = constants[target]
            constants[target] = np.array([old[0] * height // rows, old[1] * width // columns], old.dtype)
        shape = {"shape": {"dim": [{"size": side} for side in (1, 3, height, width)]}}
        fixed = replace(holder, attrs={**holder.attrs, "shape": shape})
        return GraphModel(tuple(fixed if node is holder else node for node in self.nodes), constants)

    def graph_def(self, outputs: Mapping[str, str]) -> bytes:
        """A binary GraphDef of what ``outputs`` (tensors by the name that they get) need, and nothing else."""
        by_name = {node.name: node for node in self.nodes}
        needed: set[str] = set()
        waiting = [_base(tensor) for tensor in outputs.values()]
        if missing := [name for name in waiting if name not in by_name]:
            raise ValueError(f"it has no operation {missing[0]}")
        while waiting:
            name = waiting.pop()
            if name not in needed and name in by_name:
                needed.add(name)
                waiting += [_base(each) for each in by_name[name].inputs]
        nodes = [node for node in self.nodes if node.name in needed]
        used = {_base(each) for node in nodes for each in node.inputs}
        # The front end makes leaves the outputs, so a tensor that is used further needs a leaf of its own.
        leaves = [Node(f"out/{name}", "Identity", (tensor,), {"T": _FLOAT}) for name, tensor in outputs.items()]
        return encode([*nodes, *leaves], {name: value for name, value in self.constants.items() if name in used})


def read_graph_model(topology: Path, weights: Path) -> GraphModel:
    """Read both files. Raises ModelUnavailable, naming the file, where they are damaged or hold what cannot be read."""
    try:
        document = json.loads(_whole(topology, MAX_TOPOLOGY_BYTES))
        if document["format"] != "graph-model":
            raise ValueError(f"its format is {document['format']!r}, not graph-model")
        listed = document["modelTopology"]["node"]
        if len(listed) > MAX_NODES:
            raise ValueError(f"{len(listed)} operations; {MAX_NODES} are the most")
        nodes = [_node(each) for each in listed]
        manifest = [entry for group in document["weightsManifest"] for entry in group["weights"]]
    except _UNREADABLE as error:
        raise _damaged(topology, error) from error
    try:
        constants = _constants(nodes, _read_weights(manifest, _whole(weights, MAX_WEIGHT_BYTES)))
    except _UNREADABLE as error:
        raise _damaged(weights, error) from error
    try:
        constants = _folded(nodes, constants)
        rest = [piece for node in nodes if node.name not in constants for piece in _apart(node)]
    except _UNREADABLE as error:
        raise _damaged(topology, error) from error
    return GraphModel(tuple(rest), constants)


def read_graph_def(topology: Path, weights: Path, outputs: Mapping[str, str], size: tuple[int, int]) -> bytes:
    """A binary GraphDef of the model at ``size`` (width, height) with ``outputs`` (tensors by new name). Raises ModelUnavailable."""
    model = read_graph_model(topology, weights)
    try:
        return model.resized(*size).graph_def(outputs)
    except _UNREADABLE as error:
        raise _damaged(topology, error) from error


def load(core: ov.Core, topology: Path, weights: Path, outputs: Mapping[str, str], size: tuple[int, int]) -> ov.Model:
    """The same as OpenVINO's model, its outputs by those names."""
    graph = read_graph_def(topology, weights, outputs, size)
    # The front end reads paths only; it keeps nothing of the file once it has read it.
    with tempfile.TemporaryDirectory(prefix="streamproc-") as folder:
        file = Path(folder) / "model.pb"
        file.write_bytes(graph)
        read = core.read_model(file)
    for port in read.outputs:
        for name in port.get_names():
            if name.startswith("out/"):
                port.set_names({name.removeprefix("out/").partition(":")[0]})
                break
    return read


def _damaged(path: Path, error: Exception) -> ModelUnavailable:
    said = f"no {error}" if isinstance(error, KeyError) else str(error) or type(error).__name__
    return ModelUnavailable(f"{path} is no TensorFlow.js graph model that can be read: {said}")


def _whole(path: Path, most: int) -> bytes:
    size = path.stat().st_size
    if size > most:
        raise ValueError(f"{size} bytes; {most} are the most")
    return path.read_bytes()


def _base(tensor: str) -> str:
    """The operation that makes a tensor."""
    return tensor.removeprefix("^").partition(":")[0]


def _node(entry: Mapping[str, Any]) -> Node:
    name, op, inputs = entry["name"], entry["op"], tuple(entry.get("input", ()))
    if not all(isinstance(word, str) for word in (name, op, *inputs)):
        raise ValueError("an operation's name, kind or input is no text")
    return Node(name, op, inputs, dict(entry.get("attr", {})))


def _read_weights(manifest: Sequence[Mapping[str, Any]], data: bytes) -> dict[str, Array]:
    """Arrays by name: they follow one another in the manifest's order, quantised ones as ``stored * scale + min``."""
    found: dict[str, Array] = {}
    at = 0
    for entry in manifest:
        shape = [int(side) for side in entry["shape"]]
        packed = entry.get("quantization")
        stored = np.dtype(_STORED[packed["dtype"] if packed else entry["dtype"]])
        count = math.prod(shape)
        if min(shape, default=0) < 0 or count * stored.itemsize > len(data) - at:
            raise ValueError(f"{entry['name']} of shape {shape} goes beyond the end of the weights")
        values: Array = np.frombuffer(data, stored, count, at)
        at += count * stored.itemsize
        if packed:
            values = values.astype(np.float32)
            if stored.kind == "u":
                values = values * np.float32(packed["scale"]) + np.float32(packed["min"])
            values = np.rint(values) if entry["dtype"] == "int32" else values
        found[entry["name"]] = values.astype(_STORED[entry["dtype"]]).reshape(shape)
    if at != len(data):
        raise ValueError(f"{at} bytes are named in the topology, {len(data)} are there")
    return found


def _constants(nodes: Sequence[Node], weights: Mapping[str, Array]) -> dict[str, Array]:
    """Weights in the topology's types, which count: TensorFlow.js has no 64-bit integers and stores them in 32."""
    found = {}
    for node in nodes:
        if node.op == "Const":
            if node.name not in weights:
                raise ValueError(f"no weights for {node.name}")
            found[node.name] = weights[node.name].astype(DTYPES[node.attrs["dtype"]["type"]][1])
    return found


def _folded(nodes: Sequence[Node], constants: Mapping[str, Array]) -> dict[str, Array]:
    """The constants, and what depends on nothing else. Nodes come in any order, so passes go on until one finds nothing."""
    known = dict(constants)
    waiting = [node for node in nodes if node.inputs and (node.op in _ARITHMETIC or node.op == "SparseToDense")]
    while waiting:
        left = []
        for node in waiting:
            if all(_base(each) in known for each in node.inputs):
                known[node.name] = _computed(node, [known[_base(each)] for each in node.inputs])
            else:
                left.append(node)
        if len(left) == len(waiting):
            break
        waiting = left
    return known


def _computed(node: Node, values: Sequence[Array]) -> Array:
    if node.op != "SparseToDense":
        _bounded(node, np.broadcast_shapes(*(each.shape for each in values)))
        return np.asarray(_ARITHMETIC[node.op](*values))
    where, shape, filled, default = values
    sides = [int(side) for side in np.atleast_1d(shape)]
    _bounded(node, sides)
    dense = np.full(sides, default, filled.dtype)
    if where.size:
        dense[tuple(where.reshape(-1, dense.ndim).T)] = filled
    return dense


def _bounded(node: Node, shape: Sequence[int]) -> None:
    if min(shape, default=0) < 0 or math.prod(shape) > MAX_FOLDED:
        raise ValueError(f"{node.name} makes a constant of shape {list(shape)}; {MAX_FOLDED} elements are the most")


def _apart(node: Node) -> list[Node]:
    """One operation as those that the front end knows; the last keeps its name, so that nobody who reads it must change."""
    if node.op == "Prelu":
        return _prelu(node.name, *node.inputs)
    if node.op not in _FUSED:
        return [node]
    attrs = dict(node.attrs)
    fused = attrs.pop("fused_ops", {}).get("list", {}).get("s", ())
    alpha = attrs.pop("leakyrelu_alpha", {"f": 0.2})
    for own in ("num_args", "epsilon", "TArgs", "num_host_args", "host_args"):
        attrs.pop(own, None)
    extra = list(node.inputs[2:])
    steps = [Node(node.name, _FUSED[node.op], node.inputs[:2], attrs)]
    for word in fused:
        kind = base64.b64decode(word).decode()
        before = f"{node.name}/unfused{len(steps)}"
        steps[-1] = replace(steps[-1], name=before)
        if kind == "BiasAdd":
            steps.append(Node(node.name, kind, (before, extra.pop(0)), {"T": _FLOAT}))
        elif kind in _ACTIVATIONS:
            steps.append(Node(node.name, kind, (before,), {"T": _FLOAT}))
        elif kind == "LeakyRelu":
            steps.append(Node(node.name, kind, (before,), {"T": _FLOAT, "alpha": alpha}))
        elif kind == "Prelu":
            steps += _prelu(node.name, before, extra.pop(0))
        else:
            raise ValueError(f"{node.name} has a fused {kind}, for which there is no rule")
    return steps


def _prelu(name: str, source: str, slope: str) -> list[Node]:
    """``relu(x) + slope * (x - relu(x))``."""
    attrs = {"T": _FLOAT}
    return [
        Node(f"{name}/positive", "Relu", (source,), attrs),
        Node(f"{name}/negative", "Sub", (source, f"{name}/positive"), attrs),
        Node(f"{name}/scaled", "Mul", (f"{name}/negative", slope), attrs),
        Node(name, "AddV2", (f"{name}/positive", f"{name}/scaled"), attrs),
    ]
