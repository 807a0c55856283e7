"""Compiled models that outlive the process: the same answers, and compiled anew whenever anything that matters is another."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from streamproc.vision.compiled import CompiledModels
from streamproc.vision.engine import Engine, ImageInput, Network

SPEC = ImageInput(8, 4, mean=3.0, scale=2.0)
PICTURE = np.arange(4 * 8 * 3, dtype=np.uint8).reshape(4, 8, 3)


class Reader:
    """Reads a model and counts how often."""

    def __init__(self, model: Path) -> None:
        self.model = model
        self.times = 0

    def read(self, core: ov.Core) -> ov.Model:
        self.times += 1
        return core.read_model(self.model)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return made(tmp_path / "model" / "tiny.xml", 0.5)


def made(path: Path, factor: float) -> Path:
    path.parent.mkdir(exist_ok=True)
    picture = ops.parameter([1, 3, 4, 8], np.float32, name="picture")
    out = ops.reduce_sum(ops.multiply(picture, np.float32(factor)), np.array([2, 3]), keep_dims=False)
    out.output(0).set_names({"sums"})
    ov.save_model(ov.Model([ops.result(out)], [picture], "tiny"), path, compress_to_fp16=False)
    return path


def network(folder: Path, reader: Reader, spec: ImageInput = SPEC, precision: str = "f32") -> Network:
    """As a new process would have it."""
    engine = Engine(workers=1, precision=precision, kept=CompiledModels(folder))
    return engine.image_network(reader.model, spec, reader.read)


def test_the_next_process_reads_no_model_and_answers_the_same(tmp_path: Path, model: Path) -> None:
    reader = Reader(model)
    first = network(tmp_path / "kept", reader).infer_image(PICTURE)
    again = network(tmp_path / "kept", reader).infer_image(PICTURE)
    assert reader.times == 1 and list(first) == list(again) == ["sums"]
    assert np.array_equal(first["sums"], again["sums"])
    assert first["sums"][0, 0] == pytest.approx(((PICTURE[..., 0].astype(float) - 3) / 2 * 0.5).sum())


def test_whatever_changes_the_outcome_has_it_compiled_anew(tmp_path: Path, model: Path) -> None:
    reader, kept = Reader(model), tmp_path / "kept"
    first = network(kept, reader).infer_image(PICTURE)
    assert not np.array_equal(network(kept, reader, ImageInput(8, 4)).infer_image(PICTURE)["sums"], first["sums"])
    network(kept, reader, precision="bf16")
    assert reader.times == 3
    made(model, 0.25)
    assert np.allclose(network(kept, reader).infer_image(PICTURE)["sums"] * 2, first["sums"])
    assert reader.times == 4


@pytest.mark.parametrize(
    "damage", [b"", b"{}\n", b"no json\nblob", None], ids=["empty", "no words", "no head", "cut off"]
)
def test_a_damaged_file_is_replaced(tmp_path: Path, model: Path, damage: bytes | None) -> None:
    reader, kept = Reader(model), tmp_path / "kept"
    first = network(kept, reader).infer_image(PICTURE)
    (file,) = kept.iterdir()
    file.write_bytes(file.read_bytes()[:-100] if damage is None else damage)
    assert np.array_equal(network(kept, reader).infer_image(PICTURE)["sums"], first["sums"])
    network(kept, reader)
    assert reader.times == 2
    assert [each.name for each in kept.iterdir()] == [file.name]


def test_where_nothing_can_be_kept_models_are_compiled_each_time(tmp_path: Path, model: Path) -> None:
    reader, kept = Reader(model), tmp_path / "kept"
    kept.write_text("a file stands where the folder should be")
    for _ in range(2):
        network(kept, reader).infer_image(PICTURE)
    assert reader.times == 2
