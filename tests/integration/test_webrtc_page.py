"""Chromium as the camera and as the viewer: the picture moves, boxes sit, events are told."""

from __future__ import annotations

import asyncio
from pathlib import Path

import av
import pytest

from tests.conftest import skip
from tests.daemon import Daemon, read_lines
from tests.servers.chromium import Chromium, Page
from tests.servers.common import Unavailable

pytestmark = [pytest.mark.models, pytest.mark.browser, pytest.mark.slow]

SCREENSHOTS = Path(__file__).parent / "screenshots"
"""Of the last run, to look at; not in the repository."""
DECODED = """(async () => { let frames = 0; (await peer.getStats()).forEach(
    (one) => { if (one.type === "inbound-rtp") frames = one.framesDecoded || 0; }); return frames; })()"""
EVENTS = "[...document.querySelectorAll('#events li b')].map((line) => line.textContent)"
STATE = "document.getElementById('state').textContent"


def fake_camera(scene: Path, folder: Path) -> Path:
    """What Chromium's fake capture device plays, over and over."""
    path = folder / "camera.mjpeg"
    with av.open(str(scene)) as source, av.open(str(path), "w", format="mjpeg") as target:
        pictures = source.streams.video[0]
        stream = target.add_stream("mjpeg", rate=pictures.average_rate, options={"qmin": "4", "qmax": "4"})
        stream.width, stream.height, stream.pix_fmt = pictures.width, pictures.height, "yuvj420p"
        for frame in source.decode(pictures):
            target.mux(stream.encode(frame.reformat(format="yuvj420p")))
        target.mux(stream.encode())
    return path


async def test_chromium_publishes_and_watches(daemon: Daemon, scene: Path, tmp_path: Path) -> None:
    (daemon.config / "streamproc.yaml").write_text(
        "server: {tokens: [{name: phone, token: sesame, may: [publish, watch]}]}\n"
    )
    daemon.put(
        "door",
        "source: {type: webrtc}\nsession: {duration: 120s}\n"
        "labels: {classes: [PERSON, PET], profile: small, fps: 4}\noutputs: [{type: file, directory: out}]\n"
        "regions: [{name: garden, polygon: [[0.02, 0.03], [0.98, 0.03], [0.98, 0.97], [0.02, 0.97]]}]\n",
    )
    daemon.start()
    try:
        async with Chromium(
            tmp_path / "chromium", f"--use-file-for-fake-video-capture={fake_camera(scene, tmp_path)}"
        ) as browser:
            camera = await browser.page()
            await camera.open(f"{daemon.url}/publish/door#token=sesame")
            await camera.run("document.getElementById('go').click()")
            await camera.until("document.getElementById('state').textContent === 'Publishing.'", 45)
            await see(await browser.page(), daemon)
            await log_in(await browser.page(), daemon)
    except Unavailable as error:
        skip(str(error))
    told = [event for event in read_lines(daemon.config / "out") if event["type"] == "label_detected"]
    assert "PERSON" in [event["class"] for event in told]
    assert "sesame" not in daemon.log.read_text()
    assert daemon.terminate() == 0


async def see(page: Page, daemon: Daemon) -> None:
    await page.open(f"{daemon.url}/watch/door#token=sesame")
    await page.until("peer && peer.connectionState === 'connected'")
    assert "sesame" not in await page.run("location.href")
    before = await page.until(DECODED)
    await page.until("window.streamproc.boxes.some((box) => box.label === 'PERSON')", 60)
    await page.screenshot(SCREENSHOTS / "boxes.png")
    assert await page.run(DECODED) > before
    assert (await page.run(STATE)) == "running"
    assert await page.run("stampedFrames && looks.at(-1).rtp !== null")
    await page.until(f"{EVENTS}.some((line) => /^PERSON \\d/.test(line))", 30)
    await page.until("[...document.querySelectorAll('#events img')].every((crop) => crop.naturalWidth > 0)")
    await page.call("Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=2, mobile=True)
    await asyncio.sleep(0.5)
    assert await page.run("document.documentElement.scrollWidth <= 390")
    await page.screenshot(SCREENSHOTS / "phone.png")
    assert not [words for words in page.messages if "Refused to" in words or "exception" in words.lower()]


async def log_in(page: Page, daemon: Daemon) -> None:
    """Without a token the page asks for it, and says when it is the wrong one."""
    await page.open(f"{daemon.url}/watch/door")
    await page.until("!document.getElementById('login').hidden")
    for token, done in (("wrong", f"{STATE} === 'that token is not known'"), ("sesame", f"{STATE} === 'running'")):
        await page.run(
            f"document.getElementById('token').value = '{token}'; document.querySelector('#login button').click()"
        )
        await page.until(done)
    await page.until(DECODED)
