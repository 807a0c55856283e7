#!/usr/bin/env python3
"""Does a change alter what streamproc tells? Two checkouts get the same work; what differs is printed.

    .venv/bin/python scripts/compare_checkouts.py BASE NEW [--corpus DIR] [--quick]

Compared are the events of ``replay`` (plain and aws form), the answers of ``analyze``, and the bodies with which the AWS endpoint
answers a fixed list of signed requests. Each checkout runs from its own ``.venv``. Values that are random or of the clock (ids,
tokens, times of creation) are replaced by numbers in the order they appear; everything else must be equal to the byte.
A replay whose events are equal but for the session's id (a hash that covers the config) is told apart: ``ids differ``.
Exit 0: all is the same; 3: something differs; 1: a checkout could not do the work.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
QUICK_CLIPS = ("mmaction_two_people.mp4", "dinov3_cat_chair.mp4")
ANALYZE = ("--labels", "--segments", "--persons", "--detect-faces")
KEY, SECRET, REGION = "AKIDCOMPARE", "compare-secret", "us-east-1"
ROLE = "arn:aws:iam::123456789012:role/edge"
_VARYING = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"  # sessions, faces, images
    r"|(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])"  # jobs
    r"|(?<=\"NextToken\": \")[^\"]+|(?<=\"NextToken\":\")[^\"]+"
)
_CLOCK = re.compile(r"(?<![\d.])1[6-9]\d{8}(\d{3}|\.\d+)?(?!\d)|20[2-9]\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?")
_SESSION = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True)
class Checkout:
    """A working tree with its own ``.venv``."""

    folder: Path

    def command(self, *words: str | Path) -> list[str]:
        return [str(self.folder / ".venv" / "bin" / "python"), "-m", "streamproc", *map(str, words)]

    def run(self, *words: str | Path) -> str:
        """Standard output of one verb. RuntimeError with the end of standard error where it fails."""
        done = subprocess.run(self.command(*words), cwd=self.folder, env=_environ(), capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"{' '.join(map(str, words))}: exit {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def commit(self) -> str | None:
        """The commit; None where files differ from it, so that what it answers must not be kept."""
        git = ["git", "-C", str(self.folder)]
        status = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True).stdout
        head = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout
        return None if status.strip() else head.strip()


def _environ() -> dict[str, str]:
    mirror = PROJECT.parent / "shared" / "models"
    own = {"EDGE_SECRET": SECRET, "AWS_EC2_METADATA_DISABLED": "true"}
    if mirror.is_dir():
        own["STREAMPROC_MODEL_MIRROR"] = str(mirror)
    return {**os.environ, **own}


Answers = dict[str, str]
"""What a checkout told: the text by the name of the question."""


def replays(checkout: Checkout, clip: Path) -> Answers:
    """Every event of the clip, one a line, in both forms."""
    return {
        f"replay {clip.name} {form}": checkout.run("replay", clip, "--json", "--format", form)
        for form in ("plain", "aws")
    }


def analyses(checkout: Checkout, clip: Path) -> Answers:
    """The stored-video answers for the clip."""
    with tempfile.TemporaryDirectory(prefix="compare-") as name:
        out, data = Path(name) / "out", Path(name) / "data"
        checkout.run("analyze", clip, *ANALYZE, "--out", out, "--data-dir", data, "--json")
        return {
            f"analyze {clip.name} {path.stem}": without_chance(path.read_text()) for path in sorted(out.glob("*.json"))
        }


def without_chance(text: str) -> str:
    """``text`` with random ids numbered in the order they first appear, and instants of the clock taken out."""
    known: dict[str, str] = {}
    text = _VARYING.sub(lambda found: known.setdefault(found.group(), f"ID-{len(known) + 1}"), text)
    return _CLOCK.sub("INSTANT", text)


class Endpoint:
    """A running daemon's endpoint: each request signed as boto3 signs it; every answer is kept with status and type."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.answers: Answers = {}

    def ask(self, operation: str, body: Any, keep: bool = True) -> Any:
        """The parsed answer; kept under the operation's name with the number of the request."""
        status, kind, data = self._post(operation, body)
        if keep:
            self.keep(operation, f"{status} {kind}\n{data.decode('utf-8', 'replace')}")
        return json.loads(data) if data else {}

    def keep(self, what: str, text: str) -> None:
        self.answers[f"endpoint {len(self.answers):02d} {what}"] = text

    def _post(self, operation: str, body: Any) -> tuple[int, str, bytes]:
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": f"RekognitionService.{operation}"}
        signed = AWSRequest("POST", self._url + "/", headers=headers, data=data)
        SigV4Auth(Credentials(KEY, SECRET), "rekognition", REGION).add_auth(signed)
        request = urllib.request.Request(self._url + "/", data=data, headers=dict(signed.headers.items()))
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return answer.status, answer.headers.get("Content-Type", ""), answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.headers.get("Content-Type", ""), refused.read()

    def until(self, operation: str, body: Any, done: Callable[[Any], bool], seconds: float = 300) -> None:
        """Asks again until ``done``; only the last answer is kept."""
        end = time.monotonic() + seconds
        while not done(self.ask(operation, body, keep=False)):
            if time.monotonic() > end:
                raise RuntimeError(f"{operation} {body}: not done within {seconds:g} s")
            time.sleep(0.5)
        self.ask(operation, body)


@contextmanager
def daemon(checkout: Checkout, clips: Path, told: Path) -> Iterator[Endpoint]:
    """``serve`` with an empty data folder; stream names are clips, topics and data streams are files below ``told``."""
    with tempfile.TemporaryDirectory(prefix="compare-") as name, socket.socket() as probe:
        folder = Path(name)
        probe.bind(("127.0.0.1", 0))
        listen = f"127.0.0.1:{probe.getsockname()[1]}"
        probe.close()
        clip = {"type": "file", "path": str(clips / QUICK_CLIPS[0]), "realtime": False}
        document = {
            "server": {
                "listen": listen,
                "credentials": [{"access_key_id": KEY, "secret_access_key_env": "EDGE_SECRET"}],
            },
            "stores": {"data_dir": str(folder / "data")},
            "bindings": {
                "streams": {"*": clip},
                "topics": {"*": {"type": "file", "directory": str(told)}},
                "data_streams": {"*": {"type": "file", "directory": str(told)}},
                "buckets": {
                    "videos": {"type": "file", "directory": str(clips)},
                    "pictures": {"type": "file", "directory": str(folder / "pictures")},
                },
            },
        }
        (folder / "streamproc.yaml").write_text(json.dumps(document))
        with (folder / "log").open("wb") as log:
            command = checkout.command("serve", "--config-dir", folder)
            process = subprocess.Popen(command, cwd=checkout.folder, env=_environ(), stdout=log, stderr=log)
        try:
            _wait_until_ready(process, f"http://{listen}/readyz", folder / "log")
            yield Endpoint(f"http://{listen}")
        finally:
            process.terminate()
            process.wait(60)


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    end = time.monotonic() + 90
    while True:
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"serve did not come up: {log.read_text()[-2000:]}")
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except OSError:
            time.sleep(0.2)


def endpoint(checkout: Checkout, corpus: Path) -> Answers:
    """Answers to the fixed list of requests, and what the processors delivered meanwhile."""
    with tempfile.TemporaryDirectory(prefix="compare-told-") as name:
        told = Path(name)
        with daemon(checkout, corpus / "video", told) as served:
            _collections(served, corpus)
            _photographs(served, corpus)
            _processors(served)
            _jobs(served)
            _refusals(served)
            for path in sorted(told.rglob("*.jsonl")):
                served.keep(f"told {path.name}", path.read_text())
        return {what: without_chance(text) for what, text in served.answers.items()}


def _photo(path: Path) -> dict[str, str]:
    return {"Bytes": base64.b64encode(path.read_bytes()).decode()}


def _collections(served: Endpoint, corpus: Path) -> None:
    gallery = corpus / "faces" / "video_gallery"
    people = sorted(path for path in gallery.iterdir() if path.suffix in (".jpg", ".png"))
    cast = {"CollectionId": "cast"}
    served.ask("CreateCollection", {**cast, "Tags": {"site": "home"}})
    served.ask("CreateCollection", cast)
    face_ids = []
    for path in people:
        request = {**cast, "Image": _photo(path), "ExternalImageId": path.stem, "DetectionAttributes": ["ALL"]}
        answer = served.ask("IndexFaces", request)
        face_ids += [record["Face"]["FaceId"] for record in answer.get("FaceRecords", [])]
    served.ask("DescribeCollection", cast)
    served.ask("ListCollections", {})
    served.ask("ListFaces", {**cast, "MaxResults": 1})
    served.ask("SearchFacesByImage", {**cast, "Image": _photo(people[0]), "FaceMatchThreshold": 10})
    served.ask("SearchFaces", {**cast, "FaceId": face_ids[0], "FaceMatchThreshold": 1})
    served.ask("CreateUser", {**cast, "UserId": "ann"})
    served.ask("AssociateFaces", {**cast, "UserId": "ann", "FaceIds": face_ids[:1], "UserMatchThreshold": 1})
    served.ask("ListUsers", cast)
    served.ask("SearchUsers", {**cast, "FaceId": face_ids[0], "UserMatchThreshold": 1})
    served.ask("SearchUsersByImage", {**cast, "Image": _photo(people[0]), "UserMatchThreshold": 1})
    served.ask("DisassociateFaces", {**cast, "UserId": "ann", "FaceIds": face_ids[:1]})
    served.ask("DeleteUser", {**cast, "UserId": "ann"})
    served.ask("DeleteFaces", {**cast, "FaceIds": face_ids[:1]})
    served.ask("CompareFaces", {"SourceImage": _photo(people[0]), "TargetImage": _photo(people[-1])})


def _photographs(served: Endpoint, corpus: Path) -> None:
    for path in sorted((corpus / "images" / "coco_val").glob("*.jpg"))[:4]:
        features = {"Features": ["GENERAL_LABELS", "IMAGE_PROPERTIES"]}
        served.ask("DetectLabels", {"Image": _photo(path), "MinConfidence": 50, **features})
        served.ask("DetectFaces", {"Image": _photo(path), "Attributes": ["ALL"]})


def _processors(served: Endpoint) -> None:
    door = {"Name": "door"}
    request = {
        **door,
        "Input": {"KinesisVideoStream": {"Arn": f"arn:aws:kinesisvideo:{REGION}:123456789012:stream/door/1510552593"}},
        "Output": {"S3Destination": {"Bucket": "pictures", "KeyPrefix": "door"}},
        "Settings": {"ConnectedHome": {"Labels": ["PERSON"], "MinConfidence": 60}},
        "NotificationChannel": {"SNSTopicArn": f"arn:aws:sns:{REGION}:123456789012:door"},
        "RegionsOfInterest": [{"BoundingBox": {"Left": 0.0, "Top": 0.0, "Width": 0.9, "Height": 1.0}}],
        "RoleArn": ROLE,
        "Tags": {"site": "home"},
    }
    served.ask("CreateStreamProcessor", request)
    served.ask("CreateStreamProcessor", request)
    served.ask("DescribeStreamProcessor", door)
    served.ask(
        "UpdateStreamProcessor", {**door, "SettingsForUpdate": {"ConnectedHomeForUpdate": {"MinConfidence": 50}}}
    )
    served.ask("ListStreamProcessors", {})
    start = {"StartSelector": {"KVSStreamStartSelector": {"ProducerTimestamp": 1655930623}}}
    served.ask("StartStreamProcessor", {**door, **start, "StopSelector": {"MaxDurationInSeconds": 60}})
    served.until("DescribeStreamProcessor", door, lambda seen: seen.get("Status") in ("STOPPED", "FAILED"))
    search = {
        **request,
        "Name": "search",
        "Output": {"KinesisDataStream": {"Arn": f"arn:aws:kinesis:{REGION}:123456789012:stream/faces"}},
        "Settings": {"FaceSearch": {"CollectionId": "cast", "FaceMatchThreshold": 80}},
    }
    for key in ("NotificationChannel", "RegionsOfInterest"):
        search.pop(key)
    served.ask("CreateStreamProcessor", search)
    served.ask("DescribeStreamProcessor", {"Name": "search"})
    served.ask("DeleteStreamProcessor", {"Name": "search"})
    served.ask("DeleteStreamProcessor", {"Name": "search"})


def _jobs(served: Endpoint) -> None:
    starts: dict[str, dict[str, Any]] = {
        "LabelDetection": {"MinConfidence": 50},
        "SegmentDetection": {"SegmentTypes": ["SHOT", "TECHNICAL_CUE"]},
        "PersonTracking": {},
        "FaceDetection": {"FaceAttributes": "ALL"},
        "FaceSearch": {"CollectionId": "cast"},
    }
    video = {"Video": {"S3Object": {"Bucket": "videos", "Name": QUICK_CLIPS[0]}}}
    jobs = {}
    for kind, options in starts.items():
        answer = served.ask(f"Start{kind}", {**video, **options, "ClientRequestToken": kind, "JobTag": "compare"})
        jobs[kind] = answer.get("JobId")
    for kind, job in jobs.items():
        served.until(f"Get{kind}", {"JobId": job}, lambda seen: seen.get("JobStatus") != "IN_PROGRESS")
        served.ask(f"Get{kind}", {"JobId": job, "MaxResults": 1})
    missing = {"Video": {"S3Object": {"Bucket": "videos", "Name": "no-such.mp4"}}}
    job = served.ask("StartLabelDetection", missing).get("JobId", "0" * 64)
    served.until("GetLabelDetection", {"JobId": job}, lambda seen: seen.get("JobStatus") != "IN_PROGRESS")


def _refusals(served: Endpoint) -> None:
    served.ask("DescribeStreamProcessor", {"Name": "nobody"})
    served.ask("DescribeStreamProcessor", {"Name": "not a name"})
    served.ask("CreateCollection", {})
    served.ask("DetectLabels", {"Image": {"Bytes": base64.b64encode(b"no picture").decode()}})
    served.ask("DetectText", {"Image": {"Bytes": base64.b64encode(b"x").decode()}})
    served.ask("NoSuchOperation", {})
    served.ask("ListCollections", b"{broken")


def tasks(corpus: Path, quick: bool) -> list[Callable[[Checkout], Answers]]:
    """The work, smallest pieces first."""
    videos = corpus / "video"
    clips = [videos / name for name in QUICK_CLIPS] if quick else sorted(videos.iterdir())
    return [
        *(lambda checkout, clip=clip: replays(checkout, clip) for clip in clips),
        *(lambda checkout, clip=clip: analyses(checkout, clip) for clip in clips[: 1 if quick else None]),
        lambda checkout: endpoint(checkout, corpus),
    ]


def answers_of(checkout: Checkout, corpus: Path, quick: bool, kept: Path | None) -> Answers:
    """Everything that the checkout tells; read from ``kept`` where this commit was asked before."""
    commit = checkout.commit()
    path = kept / f"{commit}-{'quick' if quick else 'all'}.json" if kept and commit else None
    if path and path.is_file():
        return json.loads(path.read_text())  # type: ignore[no-any-return]
    found: Answers = {}
    for number, task in enumerate(todo := tasks(corpus, quick), 1):
        print(f"{checkout.folder}: {number} of {len(todo)}", file=sys.stderr, flush=True)
        found |= task(checkout)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
    return found


def verdict(old: str | None, new: str | None) -> tuple[str, str]:
    """``same``, ``ids differ`` or ``DIFFERENT``, and where the first difference is."""
    if old == new:
        return "same", ""
    if old is None or new is None:
        return "DIFFERENT", "only in NEW" if old is None else "only in BASE"
    if _SESSION.sub("ID", old) == _SESSION.sub("ID", new):
        return "ids differ", ""
    return "DIFFERENT", first_difference(old, new)


def first_difference(old: str, new: str) -> str:
    """The place in the documents, with both values, else the place in the text."""
    for number, (before, after) in enumerate(zip(old.splitlines(), new.splitlines(), strict=False), 1):
        if before != after:
            try:
                place = _differs(json.loads(before), json.loads(after), "")
            except ValueError:
                place = None
            return f"line {number}{place or _text_differs(before, after)}"
    return f"{len(old.splitlines())} lines against {len(new.splitlines())}"


def _differs(old: Any, new: Any, path: str) -> str | None:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in [*old, *(key for key in new if key not in old)]:
            if key not in old or key not in new:
                return f"{path}.{key}: only in {'BASE' if key in old else 'NEW'}"
            if found := _differs(old[key], new[key], f"{path}.{key}"):
                return found
        return None
    if isinstance(old, list) and isinstance(new, list):
        for index, (before, after) in enumerate(zip(old, new, strict=False)):
            if found := _differs(before, after, f"{path}[{index}]"):
                return found
        return None if len(old) == len(new) else f"{path}: {len(old)} items against {len(new)}"
    return None if old == new else f"{path}: {json.dumps(old)[:80]} against {json.dumps(new)[:80]}"


def _text_differs(old: str, new: str) -> str:
    at = next((index for index, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    return f", column {at + 1}: {old[max(0, at - 20) : at + 40]!r} against {new[max(0, at - 20) : at + 40]!r}"


def report(rows: Sequence[tuple[str, str, str]], everything: bool) -> None:
    """The table: what differs, or every row."""
    shown = [row for row in rows if everything or row[1] != "same"]
    width = max((len(what) for what, _, _ in shown), default=0)
    for what, result, where in shown:
        print(f"{what:{width}}  {result:10}  {where}".rstrip())
    counts = {result: sum(row[1] == result for row in rows) for result in ("same", "ids differ", "DIFFERENT")}
    print(", ".join(f"{count} {result}" for result, count in counts.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("base", type=Path, metavar="BASE", help="a checkout with its .venv")
    parser.add_argument("new", type=Path, metavar="NEW", help="another")
    parser.add_argument("--corpus", type=Path, default=PROJECT.parent / "shared" / "corpus")
    parser.add_argument("--quick", action="store_true", help=f"two clips instead of all: {', '.join(QUICK_CLIPS)}")
    parser.add_argument(
        "--keep", type=Path, help="a folder that keeps the answers of clean commits for the next comparison"
    )
    parser.add_argument("--all-rows", action="store_true", help="list what is the same as well")
    options = parser.parse_args()
    try:
        old, new = (
            answers_of(Checkout(folder.resolve()), options.corpus.resolve(), options.quick, options.keep)
            for folder in (options.base, options.new)
        )
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 1
    rows = [(what, *verdict(old.get(what), new.get(what))) for what in dict.fromkeys([*old, *new])]
    report(rows, options.all_rows)
    return 0 if all(result != "DIFFERENT" for _, result, _ in rows) else 3


if __name__ == "__main__":
    sys.exit(main())
