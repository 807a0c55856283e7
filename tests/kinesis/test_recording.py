"""Recordings: what a camera sends is kept as it came, is found again by time, and can be clipped, replayed and analysed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import av
import pytest

from streamproc.logic.clips import ClipRange
from tests.daemon import Daemon, read_lines, run_cli, wait_for

pytestmark = [pytest.mark.corpus, pytest.mark.models, pytest.mark.timeout(400)]

PROCESSOR = """
state: running
source: {type: file, path: door.mp4, realtime: true}
session: {duration: 60s}
labels: {classes: [PERSON, PACKAGE], profile: small}
record: {keep: 2h}
outputs: [{type: file, directory: out}]
"""


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Iterator[Daemon]:
    """A node without any word of Kinesis Video that has recorded one clip, played at its own pace."""
    folder = tmp_path_factory.mktemp("recorded")
    daemon = Daemon(folder)
    shutil.copy(corpus / "video" / "xr_doorbell_delivery.mp4", daemon.config / "door.mp4")
    daemon.start()
    daemon.put("door", PROCESSOR)
    ended = "session_complete"
    wait_for(lambda: any(event["type"] == ended for event in read_lines(daemon.config / "out")), 120, "the end")
    daemon.until("door", "stopped")
    wait_for(lambda: stream(daemon).get("fragments", 0) >= 5, 20, "the recording")
    yield daemon
    daemon.close()


def stream(daemon: Daemon) -> dict[str, Any]:
    found = [each for each in daemon.get("/api/streams") if each["name"] == "door"]
    return dict(found[0]) if found else {}


def cli(daemon: Daemon, *words: object) -> Any:
    done = run_cli(*words, "--url", daemon.url, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def packets(path: Path) -> list[bytes]:
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def test_every_packet_is_kept_as_it_came(recorded: Daemon, corpus: Path, tmp_path: Path) -> None:
    made = cli(recorded, "streams", "clip", "door", "--out", tmp_path / "clip.mp4")
    assert packets(tmp_path / "clip.mp4") == packets(recorded.config / "door.mp4")
    described = cli(recorded, "streams", "describe", "door")
    assert described["recording"] and described["keep_s"] == 7200
    assert (made["from"], made["to"]) == (described["from"], described["to"])


def test_a_range_begins_with_the_fragment_that_holds_its_begin(recorded: Daemon, tmp_path: Path) -> None:
    fragments = cli(recorded, "streams", "fragments", "door")
    assert len(fragments) > 3
    second = datetime.fromisoformat(fragments[1]["time"])
    begins, ends = second + timedelta(milliseconds=300), second + timedelta(milliseconds=600)
    found = cli(recorded, "streams", "fragments", "door", "--from", begins.isoformat(), "--to", ends.isoformat())
    assert [each["number"] for each in found] == [fragments[1]["number"]]


def test_events_say_where_their_video_is(recorded: Daemon, tmp_path: Path) -> None:
    told = [event for event in read_lines(recorded.config / "out") if event["type"] == "label_detected"]
    assert told
    for event in told:
        at = datetime.fromisoformat(event["time"])
        assert event["clip"] == ClipRange("door", at - timedelta(seconds=10), at + timedelta(seconds=10)).uri
    made = cli(recorded, "streams", "clip", told[0]["clip"], "--out", tmp_path / "clip.mp4")
    assert made["from"] <= told[0]["time"] <= made["to"]


def test_replay_tells_the_same_by_the_recordings_own_clock(recorded: Daemon, tmp_path: Path) -> None:
    config = tmp_path / "door.yaml"
    config.write_text(PROCESSOR)
    told = [event for event in read_lines(recorded.config / "out") if event["type"] == "label_detected"]
    span = stream(recorded)
    uri = f"kvs://door?from={span['from']}&to={span['to']}"

    def replayed(*place: object) -> str:
        done = run_cli("replay", uri, "--config", config, "--json", *place)
        assert done.returncode == 0, done.stderr
        return done.stdout

    by_daemon = replayed("--url", recorded.url)
    before = tmp_path / "before.jsonl"
    before.write_text(by_daemon)
    of_the_store = json.loads(replayed("--data-dir", recorded.data, "--against", before))
    assert not (of_the_store["appears"] or of_the_store["vanishes"] or of_the_store["moves"])
    again = [json.loads(line) for line in by_daemon.splitlines()]
    detected = [event for event in again if event["type"] == "label_detected"]
    assert of_the_store["same"] == len(detected)
    # A live feed may look at other frames than a replay, which looks at the same ones each time.
    assert {event["class"] for event in detected} == {event["class"] for event in told}
    begins, ends = datetime.fromisoformat(span["from"]), datetime.fromisoformat(span["to"])
    for event in detected:
        assert begins <= datetime.fromisoformat(event["time"]) <= ends
        offset = (datetime.fromisoformat(event["time"]) - begins).total_seconds()
        assert offset == pytest.approx(event["media_time_s"], abs=0.05)


def test_a_part_is_replayed_from_its_first_frame(recorded: Daemon, tmp_path: Path) -> None:
    begins = datetime.fromisoformat(stream(recorded)["from"]) + timedelta(seconds=3.3)
    uri = ClipRange("door", begins, begins + timedelta(seconds=3)).uri
    told, again = (run_cli("replay", uri, "--classes", "PERSON", "--json", *place) for place in places(recorded))
    assert told.returncode == again.returncode == 0 and told.stdout == again.stdout, "by the daemon: the same bytes"
    events = [json.loads(line) for line in told.stdout.splitlines()]
    assert events[0]["type"] == "label_detected" and events[-1]["type"] == "session_complete"
    for event in events:
        at = datetime.fromisoformat(event["time"])
        assert begins <= at <= begins + timedelta(seconds=3)
        assert (at - begins).total_seconds() == pytest.approx(event["media_time_s"], abs=0.12)
    # What another config would have told of it.
    (tmp_path / "told.jsonl").write_text(told.stdout)
    (tmp_path / "sure.yaml").write_text(
        "source: {type: file, path: x}\nlabels: {classes: [PERSON], min_confidence: 99.9}\n"
    )
    words = ("--config", tmp_path / "sure.yaml", "--against", tmp_path / "told.jsonl", "--data-dir", recorded.data)
    compared = run_cli("replay", uri, *words, "--json")
    assert compared.returncode == 3, compared.stderr
    assert [event["id"] for event in json.loads(compared.stdout)["vanishes"]] == [events[0]["id"]]


def places(recorded: Daemon) -> tuple[tuple[object, ...], ...]:
    """Where replay finds the recording: the store itself, or the daemon."""
    return ("--data-dir", recorded.data), ("--url", recorded.url)


def test_analyze_takes_a_recording(recorded: Daemon, tmp_path: Path) -> None:
    begins = datetime.fromisoformat(stream(recorded)["from"])
    uri = ClipRange("door", begins, begins + timedelta(seconds=2)).uri
    summary = cli(recorded, "analyze", uri, "--segments", "--out", tmp_path / "found")
    assert summary["segments"]["shots"] >= 1 and (tmp_path / "found" / "segments.json").is_file()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("replay", "kvs://nobody?from=2026-01-01T00:00:00Z"), "nobody"),
        (("replay", "kvs://door?from=2001-01-01T00:00:00Z&to=2001-01-02T00:00:00Z"), "no video of that time"),
        (("replay", "kvs://door?from=yesterday"), "from"),
        (("replay", "kvs://door?since=1"), "since"),
    ],
)
def test_a_wrong_address_says_what_is_wrong(recorded: Daemon, words: tuple[str, ...], says: str) -> None:
    done = run_cli(*words, "--url", recorded.url)
    assert done.returncode == 2 and says in done.stderr


def test_a_recording_is_a_stream_of_the_node(recorded: Daemon) -> None:
    """Another processor reads it like any stream."""
    recorded.put(
        "again",
        "state: running\nsource: {type: kvs, stream: door, endpoint_url: local, start: earliest}\n"
        "session: {mode: continuous}\nlabels: {classes: [PERSON], profile: small}\noutputs: [{type: file, directory: again}]\n",
    )
    wait_for(
        lambda: any(event["type"] == "label_detected" for event in read_lines(recorded.config / "again")),
        90,
        "a person in the recording",
    )
    (recorded.config / "processors" / "again.yaml").unlink()
    recorded.until("again", None)


def test_streams_are_deleted_by_the_daemon_only_while_it_runs(recorded: Daemon) -> None:
    refused = run_cli("streams", "delete", "door", "--data-dir", recorded.data)
    assert refused.returncode != 0 and stream(recorded)["bytes"]
    assert cli(recorded, "streams", "delete", "door") == {"name": "door", "deleted": True}
    assert stream(recorded) == {}
    assert run_cli("streams", "describe", "door", "--url", recorded.url).returncode == 1
