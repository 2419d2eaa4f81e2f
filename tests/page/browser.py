"""Chromium without a window, driven by its DevTools protocol."""

import asyncio
import base64
import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_S = 60.0
OPTIONS = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
MODIFIERS = {"Alt": 1, "Control": 2, "Shift": 8}
KEYS = {"Enter": 13, "Tab": 9, "Home": 36, "End": 35, "ArrowRight": 39, "ArrowDown": 40, "ArrowLeft": 37}


class Tab:
    """A page in a browser of its own.

    Attributes:
        complaints: errors and warnings on its console, uncaught exceptions, and requests that failed.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._loop, self._socket = loop, socket
        self._number = self._loads = 0
        self.complaints: list[str] = []
        for domain in ("Page", "Runtime", "Log", "DOM"):
            self.command(f"{domain}.enable")

    def command(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and wait for its result."""
        return self._loop.run_until_complete(asyncio.wait_for(self._command(method, parameters), PATIENCE_S))

    async def _command(self, method: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        self._number += 1
        number = self._number
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = json.loads(await self._socket.receive_str())
            if message.get("id") == number:
                assert "error" not in message, f"{method}: {message['error']}"
                return message["result"]
            self._note(message)

    async def _loaded(self) -> None:
        while not self._loads:
            self._note(json.loads(await self._socket.receive_str()))

    def _note(self, event: Mapping[str, Any]) -> None:
        said = event.get("params", {})
        self._loads += event["method"] == "Page.loadEventFired"
        if event["method"] == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(said["exceptionDetails"]))
        elif event["method"] == "Runtime.consoleAPICalled" and said["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(said["args"]))
        elif event["method"] == "Log.entryAdded" and said["entry"]["level"] in ("error", "warning"):
            self.complaints.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")

    def open(self, address: str, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        """Go there; `width` below 700 is a phone."""
        self.show_as(width, height, scheme)
        self._loads = 0
        self.command("Page.navigate", url=address)
        self._loop.run_until_complete(asyncio.wait_for(self._loaded(), PATIENCE_S))

    def show_as(self, width: int, height: int, scheme: str = "light") -> None:
        """Set the size of the screen and the colour scheme."""
        is_phone = width < 700
        self.command(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=is_phone
        )
        self.command("Emulation.setTouchEmulationEnabled", enabled=is_phone)
        self.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def value(self, expression: str) -> Any:
        """What a JavaScript expression, or the promise that it gives, is."""
        result = self.command("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, f"{expression}: {result['exceptionDetails']}"
        return result["result"].get("value")

    def wait_for(self, expression: str) -> None:
        """Wait until it is true; fail after a minute."""
        look = f"new Promise(done => {{ const look = () => ({expression}) ? done(1) : setTimeout(look, 20); look(); }})"
        try:
            self.value(look)
        except TimeoutError:
            raise AssertionError(f"never true: {expression}\n{self.complaints}") from None

    def text(self, selector: str) -> str:
        """What is to be read in an element, white space folded."""
        return " ".join(self.value(f"document.querySelector({json.dumps(selector)}).innerText").split())

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self.command("Input.insertText", text=text)

    def press(self, *keys: str) -> None:
        """Press a key, after those that are held down with it."""
        *held, key = keys
        modifiers = sum(MODIFIERS[each] for each in held)
        known = {"key": key, "code": key, "windowsVirtualKeyCode": KEYS[key], "modifiers": modifiers}
        self.command("Input.dispatchKeyEvent", type="rawKeyDown", **known)
        self.command("Input.dispatchKeyEvent", type="keyUp", **known)

    def click(self, selector: str) -> None:
        """Click in the middle of an element."""
        x, y = self.value(
            f"(() => {{ const part = document.querySelector({json.dumps(selector)});"
            "part.scrollIntoView({block: 'center'});"
            "const box = part.getClientRects()[0]; return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.command("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def choose(self, selector: str, value: str) -> None:
        """Set a field, as a person would, with the events that follow."""
        self.value(
            f"(() => {{ const field = document.querySelector({json.dumps(selector)});"
            f"field.value = {json.dumps(value)};"
            "for (const kind of ['input', 'change']) field.dispatchEvent(new Event(kind, {bubbles: true})); })()"
        )

    def drop(self, files: Sequence[Path]) -> None:
        """Drop files in the middle of the page."""
        data = {"items": [], "files": [str(file) for file in files], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            self.command("Input.dispatchDragEvent", type=kind, x=300, y=300, data=data)

    def picture(self, file: Path) -> None:
        """Write a screenshot of what is in the window, PNG."""
        file.write_bytes(base64.b64decode(self.command("Page.captureScreenshot", format="png")["data"]))

    @property
    def height(self) -> int:
        """How high the whole page is."""
        return int(self.value("document.documentElement.scrollHeight"))


@contextmanager
def browser(folder: Path) -> Iterator[Tab]:
    """A tab of a browser that is started for it, with its profile in `folder`."""
    command = [str(CHROMIUM), *OPTIONS, "--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    loop = asyncio.new_event_loop()
    try:
        assert process.stderr is not None
        found = next(filter(None, (re.search(r"DevTools listening on ws://(\S+?)/", line) for line in process.stderr)))
        session = loop.run_until_complete(_session())
        try:
            socket = loop.run_until_complete(_first_tab(session, found[1]))
            yield Tab(loop, socket)
        finally:
            loop.run_until_complete(session.close())
    finally:
        loop.close()
        process.kill()
        process.communicate()


async def _session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(PATIENCE_S))


async def _first_tab(session: aiohttp.ClientSession, location: str) -> aiohttp.ClientWebSocketResponse:
    async with session.get(f"http://{location}/json/list") as answer:
        address = next(each["webSocketDebuggerUrl"] for each in await answer.json() if each["type"] == "page")
    return await session.ws_connect(address, max_msg_size=0)


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tab]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with browser(tmp_path_factory.mktemp("profile")) as tab:
        yield tab


@pytest.fixture
def tab(chromium: Tab) -> Iterator[Tab]:
    """A browser's tab, in which nothing complains but what a test takes from `complaints`."""
    chromium.complaints.clear()
    yield chromium
    assert not chromium.complaints
