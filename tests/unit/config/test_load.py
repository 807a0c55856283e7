"""What a user sees when a config file is wrong: file, line, field and the fix."""

from __future__ import annotations

import os
from itertools import pairwise
from pathlib import Path

import pytest

from connectors import catalog
from streamproc.config.load import load_node, load_processor, processor_from_text
from streamproc.config.yaml_file import parse
from streamproc.core.errors import ConfigError

GOOD = """\
# a comment
state: stopped
source: {type: file, path: clip.mp4}
session: {duration: 1m}
labels:
  classes: [PERSON, PET]
  min_confidence: 60
regions:
  - {name: porch, polygon: [[0.1, 0.2], [0.9, 0.2], [0.9, 0.9]]}
outputs:
  - {type: file, directory: out}
"""


def test_a_good_file() -> None:
    config = processor_from_text(GOOD, "door.yaml")
    assert config.state == "stopped"
    assert config.session.duration == 60
    assert config.labels is not None and config.labels.classes == ("PERSON", "PET")
    assert config.outputs[0].options == {"directory": "out"}


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "words"),
    [
        ("min_confidence: 60", "min_confidnce: 60", 7, "labels.min_confidnce", "did you mean min_confidence"),
        ("min_confidence: 60", "min_confidence: 160", 7, "labels.min_confidence", "less than or equal to 100, not 160"),
        ("min_confidence: 60", "min_confidence: high", 7, "labels.min_confidence", "number"),
        ("min_confidence: 60", "min_confidence: true", 7, "labels.min_confidence", "no numbers; write the number"),
        ("duration: 1m", "duration: yes", 4, "session.duration", "no numbers; write the number"),
        ("[0.9, 0.9]]", "[0.9, off]]", 9, "regions[0].polygon", "no numbers; write the number"),
        ("[PERSON, PET]", "[PERSON, DOG]", 6, "labels.classes[1]", "'PERSON', 'PET' or 'PACKAGE'"),
        ("duration: 1m", "duration: 10m", 4, "session.duration", "at most 120s"),
        ("duration: 1m", "duration: soon", 4, "session.duration", "no duration"),
        ("state: stopped", "state: paused", 2, "state", "'running' or 'stopped'"),
        ("source: {type: file, path: clip.mp4}\n", "", 1, "source", "missing"),
        ("type: file, path", "kind: file, path", 3, "source.type", "missing"),
        ("[0.9, 0.2], [0.9, 0.9]", "[0.9, 0.2]", 9, "regions[0].polygon", "at least 3"),
        (
            "[[0.1, 0.2], [0.9, 0.2], [0.9, 0.9]]",
            "[[0.1, 0.1], [0.9, 0.9], [0.9, 0.1], [0.1, 0.9]]",
            9,
            "regions[0]",
            "in order",
        ),
        ("[0.9, 0.9]]", "[0.9, 1.9]]", 9, "regions[0].polygon[2][1]", "less than or equal to 1"),
        ("regions:", "state: running\nregions:", 8, "state", "given twice, first on line 2"),
        ("[PERSON, PET]", "[]", 6, "labels.classes", "the list is empty"),
        ("[PERSON, PET]", "PERSON", 6, "labels.classes", "write a list, such as"),
        ("regions:", "regions:\n  - {name: porch, box: {left: 0, top: 0, width: 1, height: 1}}", 8, "regions", "porch"),
        ("labels:", "labels: [", 5, "", "no valid YAML"),
    ],
)
def test_a_fault_names_line_field_and_mend(old: str, new: str, line: int, field: str, words: str) -> None:
    text = GOOD.replace(old, new)
    assert text != GOOD
    with pytest.raises(ConfigError) as caught:
        processor_from_text(text, "door.yaml")
    faults = caught.value.faults
    assert len(faults) == 1, faults
    if words != "no valid YAML":
        assert faults[0].line == line
    assert faults[0].field == field
    assert words in faults[0].message
    assert str(caught.value).startswith("door.yaml:")
    assert "\n" not in faults[0].text("door.yaml")


@pytest.mark.parametrize(
    "text,words",
    [
        ("source: {type: rtsp\nlabels: {}\n", "expected ',' or '}', but got ':'"),
        ("source: *hunter22\n", "found undefined alias '***'"),
    ],
)
def test_what_was_expected_is_said_and_nothing_that_stands_there(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        processor_from_text(text, "door.yaml")
    assert words in caught.value.faults[0].message


def test_all_faults_are_said_in_file_order() -> None:
    text = GOOD.replace("60", "600").replace("stopped", "paused")
    with pytest.raises(ConfigError) as caught:
        processor_from_text(text, "door.yaml")
    assert [fault.line for fault in caught.value.faults] == [2, 7]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# nothing\n",
        "- a\n- b\n",
        "just words",
        "a: &a [*a]\n",
        "\tx: 1\n",
        "? [a]\n: b\n",
        "x: !!python/object:os.system {}\n",
        "x: 1\x00\n",
    ],
)
def test_odd_texts_are_refused_with_words(text: str) -> None:
    with pytest.raises(ConfigError):
        processor_from_text(text, "odd.yaml")


def test_yaml_surprises_are_not_ours() -> None:
    config = processor_from_text(
        "source: {type: kafka, stream: 12:30, start: {timestamp: 2026-01-02T03:04:05Z}, fragment: 0123}\nlabels: {}\n",
        "k.yaml",
    )
    assert config.source.options == {
        "stream": "12:30",
        "start": {"timestamp": "2026-01-02T03:04:05Z"},
        "fragment": "0123",
    }


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "door.yaml"
    path.write_bytes(b"state: running\nsource: \xff\xfe\n")
    with pytest.raises(ConfigError, match=r"door\.yaml:2: no UTF-8"):
        load_processor(path)


def test_a_name_that_is_none(tmp_path: Path) -> None:
    path = tmp_path / "front door.yaml"
    path.write_text(GOOD)
    with pytest.raises(ConfigError, match="no processor name"):
        load_processor(path)


def test_the_box_may_be_absent_or_empty(tmp_path: Path) -> None:
    assert load_node(tmp_path / "streamproc.yaml").server.listen == "127.0.0.1:4566"
    (tmp_path / "streamproc.yaml").write_text("")
    assert load_node(tmp_path / "streamproc.yaml").aws.region == "us-east-1"


def test_a_key_without_its_certificate_would_leave_everything_open(tmp_path: Path) -> None:
    path = tmp_path / "streamproc.yaml"
    path.write_text("server:\n  listen: 0.0.0.0:4566\n  tls_key: box.key\n")
    with pytest.raises(ConfigError, match=r"streamproc.yaml:3: server.tls_key: .*add tls_cert"):
        load_node(path)


def test_a_connector_s_own_fault_has_its_line() -> None:
    def check(ref: object, role: str) -> None:
        if role == "sink":
            raise ValueError("no output is called fil; use file")

    with pytest.raises(ConfigError) as caught:
        processor_from_text(GOOD, "door.yaml", check)
    assert (
        caught.value.faults[0].text("door.yaml") == "door.yaml:11: outputs[0].type: no output is called fil; use file"
    )


def test_no_number_of_a_document_takes_a_boolean() -> None:
    text = GOOD.replace(
        "{type: file, directory: out}", "{type: kafka, bootstrap_servers: a, topic: b, max_bytes: true}"
    )
    with pytest.raises(ConfigError, match=r"door.yaml:11: outputs\[0\].max_bytes: true and false are no numbers"):
        processor_from_text(text, "door.yaml", catalog.check)
    assert processor_from_text(GOOD.replace("min_confidence: 60", "second_look: false"), "door.yaml").labels is not None


def test_aliases_without_measure_are_refused() -> None:
    lines = ["a: &a [x, x, x, x, x, x, x, x, x, x]"]
    names = "abcdefghi"
    lines += [f"{name}: &{name} [{', '.join(['*' + before] * 10)}]" for before, name in pairwise(names)]
    with pytest.raises(ConfigError, match="more than 50,000 values"):
        parse("\n".join(lines), "bomb.yaml")


def test_merges_without_measure_are_refused() -> None:
    names = "abcdefghi"
    lines = [f"{name}: &{name} {{<<: [{', '.join(['*' + before] * 10)}]}}" for before, name in pairwise(names)]
    with pytest.raises(ConfigError, match="more than 50,000 values"):
        parse("\n".join(["a: &a {k: v}", *lines]), "bomb.yaml")


def test_a_key_of_one_s_own_goes_before_what_is_merged() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b {y: 3, z: 4}\nc:\n  y: 5\n  <<: [*a, *b]\n  w: {<<: *a, x: 6}\n"
    document = parse(text, "door.yaml")
    assert document.data["c"] == {"x": 1, "y": 5, "z": 4, "w": {"x": 6, "y": 2}}
    assert document.line(("c", "y")) == 4 and document.line(("c", "z")) == 2
    first = parse("a: &a {x: 1}\nb: &b {x: 2}\nc: {<<: [*a, *b]}\n", "door.yaml")
    assert first.data["c"] == {"x": 1}


@pytest.mark.parametrize(
    "text",
    [
        "a: &a {<<: *a, b: 1}\n",
        "a: " + "[" * 3000 + "]" * 3000,
        "<<: 5\na: 1\n",
        "a: &a {b: *a}\n",
        "<<: [1, 2]\n",
        "? [a]\n: b\n",
        "a: !!python/object:os.system x\n",
    ],
)
def test_no_document_does_more_than_be_refused(text: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text, "odd.yaml")
    assert str(error.value).startswith("odd.yaml")


def test_a_pipe_is_no_config_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "streamproc.yaml")
    with pytest.raises(ConfigError, match="no plain file"):
        load_node(tmp_path / "streamproc.yaml")


def test_a_source_of_an_unknown_type_is_said_beside_other_faults() -> None:
    text = "source: {type: rtspp, url: rtsp://cam/1}\nlabels: {classes: [PERSON], min_confidence: 500}\n"
    with pytest.raises(ConfigError) as error:
        processor_from_text(text, "door.yaml", catalog.check)
    fields = [fault.field for fault in error.value.faults]
    assert "source.type" in fields and "labels.min_confidence" in fields


def test_what_replaces_the_source_may_stand_in_for_one_that_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "door.yaml"
    path.write_text("labels: {classes: [PERSON]}\n")
    with pytest.raises(ConfigError, match="source: missing"):
        load_processor(path)
    assert load_processor(path, source={"type": "file", "path": "clip"}).source.type == "file"
    path.write_text("source: {type: rtsp, url: 'rtsp://camera/1'}\nlabels: {classes: [PERSON]}\n")
    assert load_processor(path, source={"type": "file", "path": "clip"}).source.type == "rtsp"
