"""TensorFlow.js graph models, beside what TensorFlow.js 4.22 makes of the same files (``tfjs_golden.mjs``)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamproc.core.errors import ModelUnavailable
from streamproc.vision.formats.tfjs import load, read_graph_def, read_graph_model
from tests.unit.vision import tfjs_model

GOLDEN = [1.6142, 1.35034, 1.48272, 1.91123, 1.57535, 1.86833, 1.79261, 1.41184, 1.97818, 0.87746, 0.78661, 1.83028]
GOLDEN_SUM = 465.9975022820872


def answers(model: ov.Model, side: int) -> np.ndarray:
    config = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    return ov.Core().compile_model(model, "CPU", config)([tfjs_model.picture(side)])[0]


def test_a_model_answers_as_in_tensorflow_js(tmp_path: Path) -> None:
    model = load(ov.Core(), *tfjs_model.write(tmp_path), {"map": "map"}, (8, 8))
    assert [port.get_any_name() for port in model.outputs] == ["map"]
    answer = answers(model, 8)
    assert answer.shape == (1, 12, 12, 4)
    assert answer.sum() == pytest.approx(GOLDEN_SUM, rel=1e-5)
    assert answer.reshape(-1)[:: answer.size // 12][:12] == pytest.approx(GOLDEN, abs=2e-5)


def test_another_input_size_resizes_what_the_exporter_froze(tmp_path: Path) -> None:
    model = load(ov.Core(), *tfjs_model.write(tmp_path), {"map": "map"}, (16, 16))
    assert answers(model, 16).shape == (1, 24, 24, 4)


def test_an_output_that_is_used_further_is_one_and_the_rest_is_left_out(tmp_path: Path) -> None:
    model = load(ov.Core(), *tfjs_model.write(tmp_path), {"early": "conv"}, (8, 8))
    assert answers(model, 8).shape == (1, 9, 9, 4)
    assert not [each for each in model.get_ops() if each.get_type_name() == "Interpolate"]


def changed(change: Any) -> Any:
    document = tfjs_model.document()
    change(document)
    return document


def node(document: dict[str, Any], name: str) -> dict[str, Any]:
    return next(each for each in document["modelTopology"]["node"] if each["name"] == name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda doc: doc.update(format="layers-model"), "layers-model"),
        (lambda doc: doc.pop("modelTopology"), "modelTopology"),
        (lambda doc: doc["weightsManifest"][0]["weights"].pop(), "bytes are named"),
        (lambda doc: doc["weightsManifest"][0]["weights"][5].update(shape=[3, 3, 1 << 40, 4]), "beyond the end"),
        (lambda doc: doc["weightsManifest"][0]["weights"][5].update(shape=[-1, 108]), "beyond the end"),
        (lambda doc: doc["weightsManifest"][0]["weights"][6].update(dtype="string"), "string"),
        (lambda doc: node(doc, "conv")["attr"]["fused_ops"]["list"].update(s=["U2VsdQ=="]), "fused Selu"),
        (lambda doc: node(doc, "kernel").update(name="other"), "no weights for other"),
        (lambda doc: node(doc, "map").update(op=7), "is no text"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(tmp_path: Path, change: Any, said: str) -> None:
    topology, weights = tfjs_model.write(tmp_path)
    topology.write_text(json.dumps(changed(change)))
    with pytest.raises(ModelUnavailable, match=said) as caught:
        read_graph_model(topology, weights)
    assert "tiny." in str(caught.value) and "\n" not in str(caught.value)


def test_a_constant_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    topology, weights = tfjs_model.write(tmp_path)
    data = weights.read_bytes()
    at = data.index(np.array([4, 2], np.int32).tobytes())
    weights.write_bytes(data[:at] + np.array([1 << 30, 1 << 30], np.int32).tobytes() + data[at + 8 :])
    with pytest.raises(ModelUnavailable, match="elements are the most"):
        read_graph_model(topology, weights)


def test_an_operation_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="no operation heads"):
        load(ov.Core(), *tfjs_model.write(tmp_path), {"x": "heads"}, (8, 8))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_damaged_files_are_refused_or_read_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    """Bytes of either file changed, cut out or doubled anywhere."""
    folder = tmp_path_factory.mktemp("tfjs")
    paths = tfjs_model.write(folder)
    victim = paths[data.draw(st.integers(0, 1))]
    whole = victim.read_bytes()
    start = data.draw(st.integers(0, len(whole) - 1))
    stop = data.draw(st.integers(start, min(len(whole), start + 40)))
    victim.write_bytes(whole[:start] + data.draw(st.binary(max_size=40)) + whole[stop:])
    try:
        assert read_graph_def(*paths, {"map": "map"}, (8, 8))
    except ModelUnavailable as error:
        assert "tiny." in str(error)
