"""WebRTC where the network is not one's own: signalling by HTTPS, addresses from a STUN server, relays that nobody answers for."""

from __future__ import annotations

import asyncio
import ssl
import urllib.error
import urllib.request
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from tests.daemon import Daemon
from tests.peers import CounterTrack, publish, watch
from tests.servers.certificates import Authority
from tests.servers.stun import RELAYED_AS, SEEN_AS, StunResponder

pytestmark = [pytest.mark.models, pytest.mark.slow]

DOOR = """source: {type: webrtc}
session: {duration: 3h, allow_long: true}
labels: {classes: [PERSON], profile: small, fps: 1, second_look: false}
"""


@pytest.fixture
async def stun() -> AsyncIterator[StunResponder]:
    responder = await StunResponder().start()
    yield responder
    responder.close()


async def served(folder: Path, servers: str) -> Daemon:
    """A box with a certificate and ``servers`` for ICE, and one processor that waits for a publisher."""
    authority = Authority(folder / "tls")
    authority.sign("box")
    trust = ssl.create_default_context(cafile=authority.certificate)
    box = Daemon(folder, {"T_BOTH": "both-token", "TURN_PASSWORD": "relay-secret"}, trust)
    (box.config / "streamproc.yaml").write_text(
        "server:\n"
        "  tls_cert: ../tls/box.pem\n"
        "  tls_key: ../tls/box.key\n"
        "  tokens: [{name: both, token_env: T_BOTH, may: [publish, watch]}]\n"
        f"webrtc: {{ice_servers: [{servers}]}}\n"
    )
    box.put("door", DOOR)
    await asyncio.to_thread(box.start)
    await asyncio.to_thread(box.until, "door", "running")
    return box


async def test_publishing_and_watching_by_https_with_addresses_from_stun(tmp_path: Path, stun: StunResponder) -> None:
    box = await served(tmp_path, f'{{url: "stun:127.0.0.1:{stun.port}"}}')
    try:
        session = await publish(f"{box.url}/whip/door", "both-token", CounterTrack(), tls=box.tls)
        assert session.status == 201, session.message
        candidates = [line for line in session.answer.splitlines() if line.startswith("a=candidate")]
        mapped = [line for line in candidates if " typ srflx " in line]
        assert stun.asked and mapped and all(f" {SEEN_AS[0]} {SEEN_AS[1]} typ srflx raddr " in line for line in mapped)
        assert any(" typ host" in line for line in candidates)
        viewer = await watch(f"{box.url}/whep/door", "both-token", tls=box.tls)
        await viewer.until(10)
        page = await asyncio.to_thread(box.get, "/watch/door")
        assert "<video" in page
        assert await viewer.session.delete() == 200
        assert await session.delete() == 200
        with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
            urllib.request.urlopen(f"{box.url}/healthz", timeout=5)
        with pytest.raises((aiohttp.ClientError, ConnectionError)):
            await plain(box)
    finally:
        box.close()


async def test_a_relay_is_asked_with_the_password_of_the_environment(tmp_path: Path) -> None:
    relay = await StunResponder("edge", "relay-secret").start()
    server = f'{{url: "turn:127.0.0.1:{relay.port}?transport=udp", username: edge, credential_env: TURN_PASSWORD}}'
    box = await served(tmp_path, server)
    try:
        session = await publish(f"{box.url}/whip/door", "both-token", CounterTrack(), tls=box.tls)
        assert session.status == 201, session.message
        assert relay.allocated == 1
        assert f" {RELAYED_AS[0]} {RELAYED_AS[1]} typ relay " in session.answer
        assert await session.delete() == 200
        assert "relay-secret" not in box.log.read_text()
    finally:
        box.close()
        relay.close()


async def test_servers_that_do_not_answer_keep_nobody_out(tmp_path: Path, unused_udp_port_factory: object) -> None:
    assert callable(unused_udp_port_factory)
    stun, turn = unused_udp_port_factory(), unused_udp_port_factory()
    relay = f'{{url: "turn:127.0.0.1:{turn}?transport=udp", username: edge, credential_env: TURN_PASSWORD}}'
    box = await served(tmp_path, f'{{url: "stun:127.0.0.1:{stun}"}}, {relay}')
    try:
        session = await publish(f"{box.url}/whip/door", "both-token", CounterTrack(), tls=box.tls)
        assert session.status == 201, session.message
        assert (
            " typ host" in session.answer and " typ srflx" not in session.answer and " typ relay" not in session.answer
        )
        viewer = await watch(f"{box.url}/whep/door", "both-token", tls=box.tls)
        await viewer.until(5)
        await viewer.session.delete()
        await session.delete()
    finally:
        box.close()


async def plain(box: Daemon) -> None:
    """HTTP to the port that speaks HTTPS."""
    async with aiohttp.ClientSession() as http:
        await http.get(f"http://127.0.0.1:{box.port}/healthz", timeout=aiohttp.ClientTimeout(5))
