"""The file output: a line an event, once, whatever happens in between."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from connectors.context import ConnectorContext
from connectors.file.lines import LineFile
from connectors.file.settings import FileSinkSettings
from connectors.file.sink import FileSink
from connectors.stdout.settings import StdoutSinkSettings
from connectors.stdout.sink import StdoutSink
from streamproc.aws.results import render_aws
from streamproc.contracts import Delivery, Images
from streamproc.core.errors import SinkBusy, SinkRejected
from streamproc.core.event import Event, EventType, Pictures
from streamproc.plain import render_plain
from tests.builders.events import label_event

PICTURES = Pictures(b"the frame", b"the crop")
ARN = "arn:aws:rekognition:eu-west-1:123456789012:streamprocessor/door"


def delivery(event: Event, images: Images | None = None) -> Delivery:
    pictures = PICTURES if event.has_pictures else None
    return Delivery(event, pictures, {"arn": ARN}, images or Images(), {"plain": render_plain, "aws": render_aws})


Make = Callable[..., FileSink]


@pytest.fixture
async def sink(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[FileSink] = []

    def make(**settings: object) -> FileSink:
        wanted = FileSinkSettings(directory=Path("out"), **settings)  # type: ignore[arg-type]
        made.append(FileSink(wanted, ConnectorContext("door", base_dir=tmp_path)))
        return made[-1]

    yield make
    for one in made:
        await one.aclose()


def documents(file: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


async def test_lines_name_their_pictures(tmp_path: Path, sink: Make) -> None:
    out = sink()
    await out.deliver(delivery(label_event(0)))
    await out.deliver(delivery(label_event(1, type=EventType.SESSION_COMPLETE, label=None, has_pictures=False)))
    first, second = documents(tmp_path / "out" / "door.jsonl")
    assert Path(str(first["frame"])).read_bytes() == b"the frame"
    assert Path(str(first["crop"])).read_bytes() == b"the crop"
    assert "frame" not in second
    assert out.locate(label_event(0)) == Images(str(first["frame"]), str(first["crop"]))


async def test_given_again_in_the_same_and_in_the_next_process_it_is_one_line(tmp_path: Path, sink: Make) -> None:
    out = sink()
    for _ in range(2):
        await out.deliver(delivery(label_event(0)))
    again = sink()
    await again.deliver(delivery(label_event(0)))
    await again.deliver(delivery(label_event(1)))
    assert [line["id"] for line in documents(tmp_path / "out" / "door.jsonl")] == ["s1-000000", "s1-000001"]


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ('{"id": "a"}\n{"id": "b", "ty', ["a", "b"]),
        ('{"id": "a"}\n{"id": "b"}', ["a", "b"]),
        ('{"id"', ["b"]),
        ("", ["b"]),
        ('not json\n{"id": "b"}\n', ["b"]),
    ],
)
def test_what_a_crash_left_behind_is_mended(tmp_path: Path, left: str, expected: list[str]) -> None:
    file = tmp_path / "a.jsonl"
    file.write_text(left)
    LineFile(file).append('{"id": "b"}')
    lines = [line for line in file.read_text().splitlines() if line != "not json"]
    assert [json.loads(line)["id"] for line in lines] == expected


def test_a_rotated_file_is_begun_anew(tmp_path: Path) -> None:
    file = LineFile(tmp_path / "deep" / "a.jsonl")
    file.append('{"id": "a"}')
    file.path.rename(tmp_path / "a.jsonl.1")
    file.path.parent.rmdir()
    file.append('{"id": "b"}')
    assert file.path.read_text() == '{"id": "b"}\n'


async def test_records_without_an_id_are_told_apart_by_their_content(tmp_path: Path, sink: Make) -> None:
    out = sink(format="aws", stream="faces")
    for number in (0, 1, 1):
        record = label_event(number, type=EventType.FACE_RECORD, has_pictures=False, data={"faces": []})
        await out.deliver(delivery(record))
    lines = documents(tmp_path / "out" / "faces.jsonl")
    assert len(lines) == 2
    assert set(lines[0]) == {"InputInformation", "StreamProcessorInformation", "FaceSearchResponse"}


async def test_the_service_form_names_the_bucket_where_there_is_one(tmp_path: Path, sink: Make) -> None:
    out = sink(format="aws")
    await out.deliver(delivery(label_event(0), Images("s3://videos/f.jpg", "s3://videos/c.jpg")))
    (line,) = documents(tmp_path / "out" / "door.jsonl")
    assert line["labels"][0]["frameImageUri"] == "s3://videos/f.jpg"  # type: ignore[index]


async def test_without_pictures_nothing_is_named(tmp_path: Path, sink: Make) -> None:
    await sink(pictures=False).deliver(delivery(label_event(0)))
    (line,) = documents(tmp_path / "out" / "door.jsonl")
    assert line["frame"] is None
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["door.jsonl"]


async def test_a_folder_that_cannot_be_written_is_tried_again_later(tmp_path: Path, sink: Make) -> None:
    (tmp_path / "out").write_text("a file where the folder should be")
    out = sink()
    with pytest.raises(SinkBusy, match="cannot write"):
        await out.deliver(delivery(label_event(0)))
    (tmp_path / "out").unlink()
    await out.deliver(delivery(label_event(0)))
    assert len(documents(tmp_path / "out" / "door.jsonl")) == 1


async def test_stdout_prints_json_or_text(capsys: pytest.CaptureFixture[str]) -> None:
    context = ConnectorContext("door")
    await StdoutSink(StdoutSinkSettings(), context).deliver(delivery(label_event(0)))
    await StdoutSink(StdoutSinkSettings(style="text"), context).deliver(delivery(label_event(0)))
    first, second = capsys.readouterr().out.splitlines()
    assert json.loads(first)["id"] == "s1-000000"
    assert "PERSON" in second and "91.5%" in second


async def test_a_closed_pipe_is_a_refusal(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    closed = (tmp_path / "pipe").open("w")
    closed.close()
    monkeypatch.setattr("sys.stdout", closed)
    with pytest.raises(SinkRejected, match="closed"):
        await StdoutSink(StdoutSinkSettings(), ConnectorContext("door")).deliver(delivery(label_event(0)))
