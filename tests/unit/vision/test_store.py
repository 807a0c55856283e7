"""Where model files come from, and that nothing else is ever used."""

from __future__ import annotations

import hashlib
import http.server
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from streamproc.config.load import load_node
from streamproc.config.model_settings import OwnModel, Profile
from streamproc.core.errors import InputError, ModelUnavailable, NotFound
from streamproc.vision.catalogue import Https, Model, ModelFile, Role, Source
from streamproc.vision.catalogue_file import catalogue
from streamproc.vision.profiles import BUILT_IN, FACE_ATTRIBUTES, FACE_MODELS, models_of, profile
from streamproc.vision.store import ModelStore

GOOD = b"good model bytes"
SHA256 = hashlib.sha256(GOOD).hexdigest()
BLOB = hashlib.sha1(b"blob 16\0" + GOOD).hexdigest()


def entry(*sources: Source, sha256: str | None = SHA256, git_blob: str | None = None) -> dict[str, Model]:
    file = ModelFile("model", "m.onnx", sources, sha256=sha256, git_blob=git_blob, size=len(GOOD))
    return {"m": Model("m", Role.OBJECTS, "yolox", "MIT", "nobody", ((file,),))}


@pytest.fixture(autouse=True)
def any_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the tests of this run may fetch from, these ask a server of their own."""
    monkeypatch.delenv("STREAMPROC_MODEL_SOURCES", raising=False)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    """A web server of a folder that holds good.onnx and bad.onnx."""
    root = tmp_path / "web"
    root.mkdir()
    (root / "good.onnx").write_bytes(GOOD)
    (root / "bad.onnx").write_bytes(b"something else")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *words: object) -> None:
            super().__init__(*words, directory=str(root))  # type: ignore[arg-type]

        def log_message(self, *words: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Quiet)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("place", ["m.onnx", "m/m.onnx"])
@pytest.mark.parametrize("how", [{"sha256": SHA256}, {"sha256": None, "git_blob": BLOB}])
def test_a_mirror_is_enough(tmp_path: Path, place: str, how: dict[str, str | None]) -> None:
    (tmp_path / "mirror" / place).parent.mkdir(parents=True)
    (tmp_path / "mirror" / place).write_bytes(GOOD)
    store = ModelStore(tmp_path / "cache", tmp_path / "mirror", models=entry(**how))
    assert store.cached("m") is None
    assert store.get("m").paths["model"].read_bytes() == GOOD
    assert ModelStore(tmp_path / "cache", tmp_path / "nowhere", models=entry(**how)).cached("m") is not None


def test_a_broken_mirror_is_refused_and_the_next_source_used(tmp_path: Path, web: str) -> None:
    (tmp_path / "m.onnx").write_bytes(b"tampered with!!!")
    store = ModelStore(tmp_path / "cache", tmp_path, models=entry(Https(f"{web}/good.onnx")))
    assert store.get("m").paths["model"].read_bytes() == GOOD


def test_every_reason_is_said_and_nothing_is_left(tmp_path: Path, web: str) -> None:
    (tmp_path / "m.onnx").write_bytes(b"tampered with!!!")
    sources = (Https(f"{web}/bad.onnx"), Https(f"{web}/gone.onnx"), Https("http://127.0.0.1:9/m.onnx"))
    store = ModelStore(tmp_path / "cache", tmp_path, models=entry(*sources))
    with pytest.raises(ModelUnavailable) as caught:
        store.get("m")
    said = str(caught.value)
    for word in (
        str(tmp_path / "m.onnx"),
        "bad.onnx gave other bytes",
        "404",
        "cannot be reached",
        "STREAMPROC_MODEL_MIRROR",
    ):
        assert word in said
    assert "\n" not in said
    assert [each.name for each in (tmp_path / "cache").iterdir()] == [".unreachable.json"]


def test_a_host_that_is_silent_is_asked_once_by_all_processes(tmp_path: Path) -> None:
    """The second store stands for another process; ``insist`` is what ``models pull`` does."""
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}/m.onnx"
    listening.close()
    models = entry(Https(url), Https(f"{url}2"))
    with pytest.raises(ModelUnavailable, match="cannot be reached"):
        ModelStore(tmp_path, models=models).get("m")
    server = http.server.HTTPServer(("127.0.0.1", int(url.split(":")[2].split("/")[0])), RangeHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(ModelUnavailable, match="cannot be reached"):
            ModelStore(tmp_path, models=models).get("m")
        store = ModelStore(tmp_path, models=models)
        store.insist()
        assert store.get("m").paths["model"].read_bytes() == GOOD
    finally:
        server.shutdown()
        server.server_close()


class RangeHandler(http.server.BaseHTTPRequestHandler):
    """Serves GOOD, from where it is asked to; ``cuts`` times it stops in the middle."""

    cuts = 0
    asked: list[str | None] = []

    def do_GET(self) -> None:
        wanted = self.headers.get("Range")
        type(self).asked.append(wanted)
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(GOOD) - start))
        self.end_headers()
        cut = type(self).cuts > 0
        type(self).cuts -= cut
        self.wfile.write(GOOD[start : start + 5] if cut else GOOD[start:])

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture
def cutting() -> Iterator[tuple[str, type[RangeHandler]]]:
    """A server that cuts its first answer off after five bytes."""
    handler = type("Cutting", (RangeHandler,), {"cuts": 1, "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/m.onnx", handler
    server.shutdown()
    server.server_close()


def test_a_download_that_was_cut_off_goes_on_where_it_stopped(
    tmp_path: Path, cutting: tuple[str, type[RangeHandler]]
) -> None:
    url, handler = cutting
    with pytest.raises(ModelUnavailable):
        ModelStore(tmp_path, models=entry(Https(url))).get("m")
    store = ModelStore(tmp_path, models=entry(Https(url)))
    store.insist()
    assert store.get("m").paths["model"].read_bytes() == GOOD
    assert handler.asked == [None, "bytes=5-"]
    assert not (tmp_path / ".partial").exists()


def test_what_goes_on_with_another_files_beginning_is_fetched_whole(
    tmp_path: Path, cutting: tuple[str, type[RangeHandler]]
) -> None:
    url, handler = cutting
    handler.cuts = 0
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial" / SHA256).write_bytes(b"other")
    assert ModelStore(tmp_path, models=entry(Https(url))).get("m").paths["model"].read_bytes() == GOOD
    assert handler.asked == ["bytes=5-", None]


def test_registries_alone_can_be_asked_for(tmp_path: Path, web: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_MODEL_SOURCES", "registries")
    with pytest.raises(ModelUnavailable, match="STREAMPROC_MODEL_SOURCES=registries"):
        ModelStore(tmp_path, models=entry(Https(f"{web}/good.onnx"))).get("m")
    monkeypatch.setenv("STREAMPROC_MODEL_SOURCES", "npm")
    with pytest.raises(InputError, match="STREAMPROC_MODEL_SOURCES=npm"):
        ModelStore(tmp_path, models=entry(Https(f"{web}/good.onnx"))).get("m")


def test_sources_are_tried_in_order_with_progress(tmp_path: Path, web: str) -> None:
    told: list[tuple[str, int, int | None]] = []
    store = ModelStore(
        tmp_path / "cache",
        tmp_path / "none",
        progress=lambda *words: told.append(words),
        models=entry(Https(f"{web}/bad.onnx"), Https(f"{web}/good.onnx")),
    )
    store.get("m")
    assert told[-1] == ("m.onnx", len(GOOD), len(GOOD))


def test_a_damaged_cache_is_fetched_again(tmp_path: Path, web: str) -> None:
    models = entry(Https(f"{web}/good.onnx"))
    ModelStore(tmp_path, models=models).get("m").paths["model"].write_bytes(b"bit rot")
    store = ModelStore(tmp_path, models=models)
    assert store.present("m") and store.cached("m") is None
    assert store.get("m").paths["model"].read_bytes() == GOOD


def test_the_second_build_serves_where_the_first_cannot_be_had(tmp_path: Path) -> None:
    old, new = ({"model": b"old xml", "weights": b"old bin"}, {"model": b"new xml", "weights": b"new bin"})
    builds = tuple(
        tuple(ModelFile(role, f"m.{role}", (), sha256=hashlib.sha256(data).hexdigest()) for role, data in build.items())
        for build in (new, old)
    )
    for role, data in old.items():
        (tmp_path / f"m.{role}").write_bytes(data)
    model = Model("m", Role.OBJECTS, "ssd_detection_output", "MIT", "nobody", builds)
    paths = ModelStore(tmp_path / "cache", tmp_path, models={"m": model}).get("m").paths
    assert {role: path.read_bytes() for role, path in paths.items()} == old


def test_own_models_need_no_catalogue(tmp_path: Path) -> None:
    (tmp_path / "mine.xml").write_text("<net/>")
    own = {"mine": OwnModel(path=tmp_path / "mine.xml", adapter="yolox", labels=("a", "b"))}
    store = ModelStore(tmp_path / "cache", own=own)
    with pytest.raises(ModelUnavailable, match=r"models\.own\.mine: .*mine\.bin is no file"):
        store.get("mine")
    (tmp_path / "mine.bin").write_bytes(b"")
    assert set(store.get("mine").paths) == {"model", "weights"}
    assert store.find("mine").options["names"] == ("a", "b")


def test_unknown_names_are_told_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="yolox_nano"):
        ModelStore(tmp_path).get("yolo_nano")
    with pytest.raises(InputError, match="accurate, default, mine"):
        profile("beste", {"mine": Profile()})


def test_the_cache_follows_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STREAMPROC_MODELS", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert ModelStore().cache == tmp_path / "streamproc" / "models"
    monkeypatch.setenv("STREAMPROC_MODELS", str(tmp_path / "here"))
    assert ModelStore().cache == tmp_path / "here"


def test_the_catalogue_is_whole() -> None:
    for name, model in catalogue().items():
        assert model.name == name and model.licence in {"Apache-2.0", "MIT"} and model.builds
        for file in (file for build in model.builds for file in build):
            assert len(file.sha256 or "") == 64 or len(file.git_blob or "") == 40
            assert file.sources and "/" not in file.name


@pytest.mark.parametrize("names", [*map(models_of, BUILT_IN.values()), FACE_MODELS, FACE_ATTRIBUTES])
def test_profiles_name_models_that_there_are(names: tuple[str, ...]) -> None:
    assert set(names) <= set(catalogue())


def test_relative_paths_are_relative_to_the_config(tmp_path: Path) -> None:
    file = tmp_path / "streamproc.yaml"
    file.write_text(
        "models:\n  mirror: m\n  own:\n    a: {path: a.onnx, adapter: yolox, labels: a.txt, size: [640, 384]}\n"
        "    b: {path: /b.onnx, adapter: yolox, labels: [x, y]}\n"
    )
    models = load_node(file).models
    assert models.mirror == tmp_path / "m"
    assert (models.own["a"].path, models.own["a"].labels) == (tmp_path / "a.onnx", tmp_path / "a.txt")
    assert (models.own["b"].path, models.own["b"].labels) == (Path("/b.onnx"), ("x", "y"))
    assert models.own["a"].size == (640, 384)
