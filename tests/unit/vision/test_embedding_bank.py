"""A user's own words: the file, the scores, and the labels they become; with a small made encoder (the mean colour of the picture)."""

import json
from pathlib import Path

import numpy as np
import openvino as ov
import openvino.opset13 as ops
import pytest
from pydantic import ValidationError

from streamproc.config.model_settings import ModelSettings, OwnModel
from streamproc.config.node import NodeConfig
from streamproc.core.errors import InputError
from streamproc.core.vision import Box
from streamproc.perception.bank_finder import BankFinder
from streamproc.perception.claims import Claim
from streamproc.perception.provider import ModelProvider
from streamproc.perception.still_labels import LabelOptions, labels_of, say_unknown
from streamproc.perception.taxonomy import taxonomy
from streamproc.vision.adapters.embedding_bank import read_bank
from streamproc.vision.zoo import open_zoo

BANK = {
    "names": ["red gate", "Sky"],
    "vectors": [[2.0, 0.0, 0.0], [0.0, 0.0, 1.0]],
    "thresholds": [0.8, 0.8],
    "mean": 0.0,
    "scale": 255.0,
}


@pytest.fixture
def settings(tmp_path: Path) -> ModelSettings:
    pixels = ops.parameter([1, 3, 32, 32], np.float32, name="pixels")
    vector = ops.reduce_mean(pixels, np.array([2, 3]), keep_dims=False)
    ov.save_model(ov.Model([vector], [pixels]), tmp_path / "colour.xml", compress_to_fp16=False)
    (tmp_path / "words.json").write_text(json.dumps(BANK))
    own = {"mine": {"adapter": "embedding_bank", "path": "colour.xml", "bank": "words.json"}}
    return ModelSettings(own=own).below(tmp_path)  # type: ignore[arg-type]


def picture(red: int, green: int, blue: int) -> np.ndarray:
    return np.full((40, 60, 3), (blue, green, red), np.uint8)


def test_a_word_is_as_sure_as_the_cosine_is_over_its_threshold(settings: ModelSettings) -> None:
    bank = open_zoo(settings, workers=1).word_bank("mine")
    red, sky = bank.classify(picture(255, 0, 0))
    assert red > 0.99 and sky < 0.01
    assert bank.classify(picture(200, 150, 0))[0] == pytest.approx(0.5, abs=0.01), "cosine 0.8 is the threshold"


def test_words_are_labels_with_a_category_of_their_own(settings: ModelSettings) -> None:
    finder = BankFinder(open_zoo(settings, workers=1).word_bank("mine"))
    claims = finder.find(picture(255, 0, 0), [Claim("Car", 90.0, Box(0.0, 0.0, 1.0, 1.0))], 4)
    (label,) = labels_of(0, claims, LabelOptions(), taxonomy())
    assert label["name"] == "red gate" and len(label["instances"]) == 1
    assert taxonomy().labels["red gate"].categories == ("Own Labels",) and "red gate" not in taxonomy().labels
    assert say_unknown(LabelOptions(include_labels=["Red Gate", "blue gate"]), taxonomy(), finder.names) == [
        "blue gate"
    ]


def test_the_node_asks_its_banks(settings: ModelSettings, tmp_path: Path) -> None:
    provider = ModelProvider(NodeConfig(models=settings), tmp_path / "data")
    assert [name for finder in provider.words for name in finder.names] == ["red gate", "Sky"]
    provider.close()


def test_npz_is_read_alike(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", names=np.array(BANK["names"]), vectors=BANK["vectors"], thresholds=0.3)
    bank = read_bank(tmp_path / "a.npz")
    assert bank.names == ("red gate", "Sky") and bank.thresholds.tolist() == pytest.approx([0.3, 0.3])
    assert np.linalg.norm(bank.vectors, axis=1).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"vectors": None}, "vectors"),
        ({"vectors": [[1.0]]}, "one row for each of the 2 names"),
        ({"vectors": [[0.0], [1.0]]}, "a row without length"),
        ({"vectors": [["a"], ["b"]]}, "vectors has to be numbers"),
        ({"names": ["a", "a"]}, "differ from each other"),
    ],
)
def test_a_file_that_is_no_bank_is_refused_by_key(tmp_path: Path, change: dict[str, object], says: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(json.dumps({key: value for key, value in (BANK | change).items() if value is not None}))
    with pytest.raises(InputError, match=says):
        read_bank(path)


def test_what_cannot_be_read_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"nothing")
    for name in ("a.npz", "none.json"):
        with pytest.raises(InputError, match="cannot be read as a bank"):
            read_bank(tmp_path / name)


@pytest.mark.parametrize("more", [{"adapter": "embedding_bank"}, {"adapter": "yolox", "bank": "b.npz"}])
def test_a_bank_and_its_adapter_go_together(more: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="go together"):
        OwnModel(path=Path("a.onnx"), **more)  # type: ignore[arg-type]
