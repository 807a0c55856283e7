"""Chromium without a screen, driven by the DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import subprocess
import time
from itertools import count
from pathlib import Path
from typing import Any

import aiohttp

from tests.servers.common import Unavailable

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-port=0",
)


KEYS = {
    "Enter": ("Enter", 13),
    "Tab": ("Tab", 9),
    "Escape": ("Escape", 27),
    "Delete": ("Delete", 46),
    "ArrowLeft": ("ArrowLeft", 37),
    "ArrowUp": ("ArrowUp", 38),
    "ArrowRight": ("ArrowRight", 39),
    "ArrowDown": ("ArrowDown", 40),
    " ": ("Space", 32),
}
"""DOM code and Windows key code of keys that are no letters."""


class Page:
    """One tab."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._ids = count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self.messages: list[str] = []
        """What the page wrote to its console, its errors among them."""
        self._reader = asyncio.create_task(self._read())

    async def call(self, method: str, **params: Any) -> Any:
        number = next(self._ids)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        await self._socket.send_str(json.dumps({"id": number, "method": method, "params": params}))
        return await asyncio.wait_for(answer, 30)

    async def run(self, script: str) -> Any:
        """The value of a JavaScript expression; promises are awaited."""
        result = await self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise AssertionError(json.dumps(result["exceptionDetails"])[:800])
        return result["result"].get("value")

    async def until(self, script: str, timeout: float = 30) -> Any:
        """Until the expression gives something true; an element counts as True."""
        asked = f"(async () => {{ const found = await ({script}); return found instanceof Node ? true : found; }})()"
        deadline = time.monotonic() + timeout
        while True:
            found = await self.run(asked)
            if found or time.monotonic() > deadline:
                assert found, f"{script} stayed {found!r}; console: {self.messages[-5:]}"
                return found
            await asyncio.sleep(0.2)

    async def open(self, url: str) -> None:
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def click(self, x: float, y: float) -> None:
        """The left button, at a place of the window in CSS pixels."""
        await self.mouse("mouseMoved", x, y)
        await self.mouse("mousePressed", x, y)
        await self.mouse("mouseReleased", x, y)

    async def drag(self, start: tuple[float, float], end: tuple[float, float], steps: int = 5) -> None:
        """The left button, from one place to another."""
        await self.mouse("mouseMoved", *start)
        await self.mouse("mousePressed", *start)
        for step in range(1, steps + 1):
            share = step / steps
            await self.mouse(
                "mouseMoved", start[0] + (end[0] - start[0]) * share, start[1] + (end[1] - start[1]) * share, held=True
            )
        await self.mouse("mouseReleased", *end)

    async def mouse(self, kind: str, x: float, y: float, *, held: bool = False) -> None:
        """One mouse event (``Input.dispatchMouseEvent``)."""
        pressed = kind != "mouseMoved" or held
        await self.call(
            "Input.dispatchMouseEvent",
            type=kind,
            x=x,
            y=y,
            button="left" if pressed else "none",
            buttons=int(held or kind == "mousePressed"),
            clickCount=int(kind != "mouseMoved"),
        )

    async def swipe(self, start: tuple[float, float], end: tuple[float, float], steps: int = 5) -> None:
        """A finger, from one place to another."""
        await self._touch("touchStart", start)
        for step in range(1, steps + 1):
            share = step / steps
            await self._touch("touchMove", tuple(a + (b - a) * share for a, b in zip(start, end, strict=True)))
        await self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    async def _touch(self, kind: str, place: tuple[float, ...]) -> None:
        await self.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": place[0], "y": place[1]}])

    async def key(self, name: str, *, shift: bool = False, ctrl: bool = False) -> None:
        """A key by its DOM name: ``Enter``, ``ArrowLeft``, ``Tab``, ``z``."""
        code, number = KEYS.get(name, (f"Key{name.upper()}", ord(name.upper()[0])))
        fields: dict[str, Any] = {
            "key": name,
            "code": code,
            "windowsVirtualKeyCode": number,
            "modifiers": 8 * shift + 2 * ctrl,
        }
        text = {"Enter": "\r", " ": " "}.get(name, name if len(name) == 1 and not ctrl else "")
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **fields)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **fields)

    async def type(self, text: str) -> None:
        """Into whatever has the focus."""
        await self.call("Input.insertText", text=text)

    async def look_like(self, width: int, height: int, *, phone: bool = False, dark: bool = False) -> None:
        """Another screen; a phone has fingers."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        await self.call("Emulation.setTouchEmulationEnabled", enabled=phone)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        await self.call("Emulation.setEmulatedMedia", features=[scheme])

    async def give_files(self, selector: str, *paths: Path) -> None:
        """What a person picks in a file field."""
        root = await self.call("DOM.getDocument")
        node = await self.call("DOM.querySelector", nodeId=root["root"]["nodeId"], selector=selector)
        await self.call("DOM.setFileInputFiles", nodeId=node["nodeId"], files=[str(path) for path in paths])

    async def centre(self, selector: str) -> tuple[float, float]:
        """Where the middle of an element is, scrolled into view."""
        found = await self.until(
            f"(() => {{ const one = document.querySelector({json.dumps(selector)}); if (!one) return null;"
            "one.scrollIntoView({block: 'nearest'}); const r = one.getBoundingClientRect();"
            "return [r.left + r.width / 2, r.top + r.height / 2]; })()"
        )
        return float(found[0]), float(found[1])

    async def press(self, selector: str) -> None:
        """Click the middle of an element."""
        await self.click(*await self.centre(selector))

    async def screenshot(self, path: Path) -> None:
        """What the window shows; the file's ending says the format, .png or .jpg."""
        chosen = {"format": "png"} if path.suffix == ".png" else {"format": "jpeg", "quality": 82}
        data = await self.call("Page.captureScreenshot", **chosen)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data["data"]))

    async def close(self) -> None:
        self._reader.cancel()
        await self._socket.close()

    async def _read(self) -> None:
        async for message in self._socket:
            document = json.loads(message.data)
            if "id" in document:
                answer = self._answers.pop(document["id"], None)
                if answer is not None and not answer.done():
                    failed = document.get("error")
                    answer.set_exception(AssertionError(failed)) if failed else answer.set_result(document["result"])
            elif document["method"] in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
                self.messages.append(json.dumps(document["params"])[:500])


class Chromium:
    """``async with Chromium(folder) as browser: page = await browser.page()``."""

    def __init__(self, folder: Path, *flags: str, size: tuple[int, int] = (1100, 720)) -> None:
        self._folder = folder
        self._flags = [*flags, f"--window-size={size[0]},{size[1]}"]
        self._pages: list[Page] = []

    async def __aenter__(self) -> Chromium:
        program = shutil.which("chromium") or shutil.which("google-chrome")
        if program is None:
            raise Unavailable("Chromium is not installed (apt install chromium)")
        self._process = subprocess.Popen(
            [program, *FLAGS, *self._flags, f"--user-data-dir={self._folder}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        port_file = self._folder / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not (port_file.exists() and port_file.read_text().count("\n")):
            assert self._process.poll() is None and time.monotonic() < deadline, "Chromium did not start"
            await asyncio.sleep(0.1)
        self._base = f"http://127.0.0.1:{port_file.read_text().split()[0]}"
        self._http = aiohttp.ClientSession()
        return self

    async def page(self) -> Page:
        async with self._http.put(f"{self._base}/json/new?about:blank") as answer:
            address = json.loads(await answer.text())["webSocketDebuggerUrl"]
        page = Page(await self._http.ws_connect(address, max_msg_size=0))
        for domain in ("Page", "Runtime", "Log"):
            await page.call(f"{domain}.enable")
        self._pages.append(page)
        return page

    async def __aexit__(self, *error: object) -> None:
        for page in self._pages:
            await page.close()
        await self._http.close()
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
