"""What the console must refuse, asked of a running daemon."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path

import pytest

from streamproc.core.decisions import FACE, Candidate, Fate, FrameRecord
from streamproc.core.event import EventType
from streamproc.core.media import Moment
from streamproc.core.route import Route
from streamproc.core.vision import Box
from streamproc.store.database import Database
from streamproc.store.journal import Commit, Journal
from streamproc.store.trace_ring import TraceRing
from tests.builders.events import ALL, PICTURES, label_event, session
from tests.caller import Answer
from tests.caller import Caller as HttpCaller
from tests.daemon import Daemon, run_cli, wait_for
from tests.sse import StreamClient

PASSWORDS = {"ann": "correct horse battery", "vera": "only looking around", "rita": "reviews the faces"}
CAMERA = "source: {type: file, path: none.mp4}  # the lamp\nlabels: {}\nstate: stopped\n"
ROLES = {"ann": "admin", "vera": "view", "rita": "review"}


class Caller(HttpCaller):
    """One who can sign in."""

    def sign_in(self, name: str, password: str | None = None, **headers: str) -> Answer:
        return self("POST", "/api/session", {"name": name, "password": password or PASSWORDS[name]}, **headers)


SEEN = datetime.now(UTC) - timedelta(hours=1)


def remember_gladys(data: Path) -> None:
    """A daemon that was here before saw her at the door, and one of its outputs refused to hear of it."""
    at = Moment(Fraction(0), SEEN)
    face = label_event(0, type=EventType.FACE_MATCHED, label=None, person="gladys", at=at)
    end = {"reason": "duration", "counts": {"PERSON": 1}, "persons": ["gladys"], "unknown_faces": 0}
    over = label_event(1, type=EventType.SESSION_COMPLETE, label=None, at=at, data=end, has_pictures=False)
    journal = Journal(Database(data))
    row = session(opened=SEEN, closed=SEEN)
    journal.commit(Commit("door", [row], [(face, PICTURES), (over, None)], (Route("door/file", ALL),)))
    journal.database.close()
    gladys = Candidate(3, FACE, 88.0, Box(0.1, 0.1, 0.2, 0.2), None, "gladys")
    frame = FrameRecord(SEEN, 0.0, Fate.ANALYSED, candidates=(gladys,))
    TraceRing(data / "explain", 10_000_000).append("door", [frame], [])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon with users, and no camera."""
    environ = {}
    for name, password in PASSWORDS.items():
        done = run_cli("passwd", "--json", stdin=password + "\n")
        assert done.returncode == 0, done.stderr
        environ[f"{name.upper()}_HASH"] = json.loads(done.stdout)["hash"]
    daemon = Daemon(tmp_path_factory.mktemp("users"), environ)
    remember_gladys(daemon.data)
    daemon.put("door", CAMERA)
    users = [f"{{name: {name}, password_hash_env: {name.upper()}_HASH, role: {role}}}" for name, role in ROLES.items()]
    (daemon.config / "streamproc.yaml").write_text(
        f"server:\n  users: [{', '.join(users)}]\n  tokens: [{{name: script, token: sesame, may: [control]}}]\n"
    )
    daemon.start()
    yield daemon
    daemon.close()


@pytest.fixture
def call(served: Daemon) -> Caller:
    return Caller(served.port)


def test_nothing_of_the_api_without_signing_in_also_on_this_host(call: Caller) -> None:
    for path in ("/api/processors", "/api/settings", "/api/processors/door/regions"):
        assert call("GET", path).status == 401
    assert call("GET", "/api/session").body["signed_in"] is False
    assert call("GET", "/console/").status == 200, "the page itself is public"
    assert call("GET", "/api/processors", Authorization="Bearer sesame").status == 200
    assert call("GET", "/api/processors", Authorization="Bearer wrong").status == 401


def test_signing_in_and_out(call: Caller, served: Daemon) -> None:
    entered = call.sign_in("ann")
    assert entered.status == 200
    attributes = entered.headers["set-cookie"].lower()
    for wanted in ("httponly", "samesite=strict", "path=/", "max-age=2592000"):
        assert wanted in attributes
    assert "secure" not in attributes, "served without TLS here"
    secret = entered.cookie.partition("=")[2]
    assert len(secret) >= 43, "32 random bytes"
    assert call("GET", "/api/session", Cookie=entered.cookie).body["role"] == "admin"
    assert call("GET", "/api/processors", Cookie=entered.cookie).status == 200
    on_disk = b"".join(path.read_bytes() for path in served.data.glob("streamproc.db*"))
    assert secret.encode() not in on_disk, "only its digest is kept"
    assert secret not in served.log.read_text()
    assert call("DELETE", "/api/session", Cookie=entered.cookie).status == 200
    assert call("GET", "/api/processors", Cookie=entered.cookie).status == 401


def test_a_cookie_that_somebody_planted_is_never_taken_up(call: Caller) -> None:
    planted = "streamproc_session=" + "A" * 43
    entered = call.sign_in("vera", Cookie=planted)
    assert entered.cookie != planted
    assert call("GET", "/api/processors", Cookie=planted).status == 401
    again = call.sign_in("vera", Cookie=entered.cookie)
    assert again.cookie != entered.cookie
    assert call("GET", "/api/processors", Cookie=entered.cookie).status == 401, "signing in ends the session before"
    assert call("GET", "/api/processors", Cookie=again.cookie).status == 200


def test_other_sites_pages_cannot_use_the_cookie(call: Caller, served: Daemon) -> None:
    cookie = call.sign_in("ann").cookie
    own = f"http://127.0.0.1:{served.port}"
    stop = "/api/processors/none/stop"
    assert call("POST", stop, {}, Cookie=cookie, Origin="http://evil.example").status == 403
    assert call("POST", stop, {}, Cookie=cookie, Origin="null").status == 403
    assert call("POST", stop, {}, Cookie=cookie, Sec_Fetch_Site="cross-site").status == 403
    assert call("POST", stop, b"{}", Cookie=cookie, Content_Type="text/plain").status == 415
    assert call("GET", "/api/processors", Cookie=cookie, Origin="http://evil.example").status == 403
    assert call("POST", stop, {}, Cookie=cookie, Origin=own, Sec_Fetch_Site="same-origin").status == 404
    assert call.sign_in("ann", Origin="http://evil.example").status == 403
    assert call("DELETE", "/api/session", Cookie=cookie, Origin="http://evil.example").status == 403


def test_a_viewer_gets_nothing_of_a_reviewer_and_changes_nothing(call: Caller) -> None:
    viewer, reviewer = call.sign_in("vera").cookie, call.sign_in("rita").cookie
    for path in ("/api/faces", "/api/faces/family/people", "/api/jobs", "/api/settings"):
        assert call("GET", path, Cookie=viewer).status in (403, 404), path
    assert call("GET", "/api/settings", Cookie=viewer).status == 403
    assert call("GET", "/api/settings", Cookie=reviewer).status == 403
    for method, path in (("POST", "/api/processors"), ("PUT", "/api/processors/x"), ("DELETE", "/api/processors/x")):
        assert call(method, path, {}, Cookie=viewer).status == 403
        assert call(method, path, {}, Cookie=reviewer).status == 403
    assert call("POST", "/whip/x", b"v=0", Cookie=viewer, Content_Type="application/sdp").status == 403


def test_who_was_seen_is_hidden_from_a_viewer_wherever_it_stands(call: Caller, served: Daemon) -> None:
    viewer, reviewer = call.sign_in("vera").cookie, call.sign_in("rita").cookie
    at = SEEN.isoformat().replace("+00:00", "Z")
    paths = (
        "/api/events",
        "/api/events?person=gladys",
        "/api/events/values",
        "/api/events/s1-000000",
        "/api/events/s1-000001",
        "/api/processors/door/events",
        "/api/outputs/door/file/deliveries?state=waiting",
        f"/api/processors/door/explain?at={at}",
    )
    for path in paths:
        seen, hidden = (call("GET", path, Cookie=cookie) for cookie in (reviewer, viewer))
        assert "gladys" in str(seen.body), (path, seen.body)
        assert "gladys" not in str(hidden.body) or hidden.status == 404, (path, hidden.body)
    assert call("GET", "/api/events/s1-000000/crop.jpg", Cookie=reviewer).status == 200
    assert call("GET", "/api/events/s1-000000/crop.jpg", Cookie=viewer).status == 404
    assert call("GET", "/watch/door/events/s1-000000/crop", Cookie=viewer).status == 404
    for cookie, known in ((reviewer, True), (viewer, False)):
        stream = StreamClient(f"{served.url}/api/stream", after="0", headers={"Cookie": cookie})
        try:
            wait_for(lambda: "s1-000001" in stream.ids, what="the last event of the stream")  # noqa: B023
            assert ("gladys" in str(stream.events)) is known
        finally:
            stream.close()


def test_framing_and_foreign_scripts_are_forbidden(call: Caller) -> None:
    headers = call("GET", "/console/").headers
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"


def test_paths_do_not_leave_their_folder(call: Caller, served: Daemon) -> None:
    cookie = call.sign_in("ann").cookie
    for path in ("/console/static/x/../../../setup.py", "/console/static/x/%2e%2e/%2e%2e/setup.py"):
        answer = call("GET", path)
        assert "def setup" not in str(answer.body)
    for name in ("../data/streamproc.db", "/etc/passwd", "processors/../../x.yaml"):
        assert call("GET", f"/api/settings?file={name}", Cookie=cookie).status == 404
    assert call("GET", "/api/events/..%2f..%2fetc/frame.jpg", Cookie=cookie).status == 404
    assert served.ready()


@pytest.mark.alone("counts sign-ins of this address")
def test_z_passwords_cannot_be_tried_out(call: Caller) -> None:
    """Last: afterwards nobody signs in from here for a minute."""
    answers = [call.sign_in("ann", f"guess {number}") for number in range(6)]
    assert [answer.status for answer in answers[:5]] == [401] * 5
    assert answers[5].status == 429 and int(answers[5].headers["retry-after"]) > 30
    assert call.sign_in("ann").status == 429, "the right password neither"
    unknown = call("GET", "/api/session")
    assert unknown.status == 200


def test_without_users_this_host_needs_nothing_and_foreign_names_get_nothing(daemon: Daemon) -> None:
    daemon.start()
    call = Caller(daemon.port)
    assert call("GET", "/api/session").body["role"] == "admin"
    assert call("GET", "/api/processors").status == 200
    assert call("GET", "/api/processors", Host="evil.example").status == 403, "DNS rebinding"
    assert call("GET", "/api/processors", Origin="http://evil.example").status == 403
    assert call("GET", "/api/processors", X_Forwarded_For="10.0.0.9").status == 401
    assert call("GET", "/metrics", X_Forwarded_For="10.0.0.9").status == 401
    assert call("POST", "/api/processors/none/start", {"duration_s": 1e300}).status == 400
    assert call.sign_in("ann").status == 404


def test_a_proxy_is_believed_only_where_it_is_trusted(daemon: Daemon) -> None:
    path = daemon.config / "streamproc.yaml"
    path.write_text("server: {proxy: {trusted: [10.0.0.2]}}\n")
    daemon.start()
    call = Caller(daemon.port)
    assert call("GET", "/api/processors", X_Forwarded_User="ann").status == 401
    daemon.terminate()
    path.write_text("server: {proxy: {trusted: [127.0.0.1], role: view}}\n")
    daemon.start()
    assert call("GET", "/api/session", X_Forwarded_User="ann").body["role"] == "view"
    assert call("PUT", "/api/processors/x", {}, X_Forwarded_User="ann").status == 403
    assert call("GET", "/api/processors").status == 401


def test_a_user_without_a_hash_is_said_with_its_field(tmp_path: Path) -> None:
    conf = tmp_path / "conf"
    conf.mkdir()
    (conf / "streamproc.yaml").write_text("server: {users: [{name: ann, password_hash_env: NO_SUCH}]}\n")
    done = run_cli("serve", "--config-dir", conf, "--data-dir", tmp_path / "data", "--listen", "127.0.0.1:0")
    assert done.returncode == 2
    assert "server.users[0].password_hash_env" in done.stderr and "streamproc passwd" in done.stderr


WHOLE = {"name": "whole", "polygon": [[0, 0], [1, 0], [1, 1], [0, 1]]}


def test_regions_are_saved_where_the_document_is_owned(daemon: Daemon) -> None:
    path = daemon.put("door", CAMERA)
    daemon.start()
    call = Caller(daemon.port)
    daemon.until("door", "stopped")
    assert call("GET", "/api/processors/door/regions").body["owner"] == "file"
    saved = call("PUT", "/api/processors/door/regions", {"regions": [WHOLE]}).body
    assert saved["saved"] and "+regions:" in saved["patch"]
    assert path.read_text().startswith(CAMERA)
    refused = call("PUT", "/api/processors/door/regions", {"regions": [WHOLE, WHOLE]})
    assert refused.status == 400 and "whole" in refused.body["error"]["message"]

    made = {"name": "api", "config": {"source": {"type": "file", "path": "none.mp4"}, "labels": {}, "state": "stopped"}}
    assert call("POST", "/api/processors", made).status == 200
    assert call("PUT", "/api/processors/api/regions", {"regions": [WHOLE]}).body["owner"] == "store"
    daemon.terminate()
    daemon.start()
    drawn = call("GET", "/api/processors/api/regions").body["regions"]
    assert [region["name"] for region in drawn] == ["whole"]


def test_a_document_is_written_only_when_it_is_good_and_nobody_else_changed_it(daemon: Daemon) -> None:
    path = daemon.put("door", CAMERA)
    path.chmod(0o600)
    daemon.start()
    call = Caller(daemon.port)
    document = call("GET", "/api/settings?file=processors/door.yaml").body
    assert document["text"] == CAMERA and document["files"][0] == "streamproc.yaml"
    change = {"file": "processors/door.yaml", "mark": document["mark"]}
    bad = call("PUT", "/api/settings", change | {"text": CAMERA + "labls: {}\n"}).body
    assert not bad["saved"] and bad["faults"][0]["line"] == 4
    assert path.read_text() == CAMERA
    assert call("PUT", "/api/settings", change | {"text": CAMERA + "# more\n"}).body["saved"]
    assert path.read_text().endswith("# more\n") and path.stat().st_mode & 0o777 == 0o600
    late = call("PUT", "/api/settings", change | {"text": CAMERA})
    assert late.status == 409 and "changed meanwhile" in late.body["error"]["message"]
