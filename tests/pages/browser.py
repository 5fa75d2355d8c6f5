"""A real browser, Debian's or anybody's Chromium, driven by its own protocol over a web socket.

Source: Chrome DevTools Protocol, https://chromedevtools.github.io/devtools-protocol/.
"""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from websockets.sync.client import ClientConnection, connect

from tests.patience import PATIENCE_S, eventually

NAMES = ("chromium", "chromium-browser", "google-chrome")
CURE = "no Chromium is installed, so that no browser shows the pages: apt-get install chromium"
_OPTIONS = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--remote-debugging-port=0")


def installed() -> str | None:
    """Where the browser is."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Tab:
    """One tab, and what went wrong in it."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = count(1)
        self.complaints: list[str] = []
        """What the browser logged: what its policy kept it from loading, and what it could not find."""
        self.asked: list[str] = []
        """URLs of all requests."""
        for domain in ("Page", "Log", "Network", "Runtime"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The result of a command of the protocol."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            told = self._told()
            if told.get("id") == number:
                assert "error" not in told, told
                result: dict[str, Any] = told["result"]
                return result

    def _told(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self._socket.recv(PATIENCE_S))
        if told.get("method") == "Log.entryAdded":
            self.complaints.append(str(told["params"]["entry"]))
        if told.get("method") == "Network.requestWillBeSent":
            self.asked.append(told["params"]["request"]["url"])
        return told

    def show(self, url: str, width: int = 1280, scheme: str = "light") -> None:
        """Load ``url`` in a window of that width and colour scheme, to the end."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=url)
        while self._told().get("method") != "Page.loadEventFired":
            pass

    def value(self, expression: str) -> Any:
        """The value of an expression in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"]["value"]

    def picture(self, path: Path) -> None:
        """Write the whole page as it is shown to a PNG file."""
        shown = self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]
        path.write_bytes(base64.b64decode(shown))


@contextmanager
def browser(path: str) -> Iterator[Tab]:
    """A tab of a browser of its own, with nothing remembered."""
    with tempfile.TemporaryDirectory(prefix="backbone-browser-") as folder:
        process = subprocess.Popen(
            [path, *_OPTIONS, f"--user-data-dir={folder}", "about:blank"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            with connect(eventually(lambda: _address(Path(folder))), max_size=None) as socket:
                yield Tab(socket)
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def _address(folder: Path) -> str:
    """The web socket of the browser's tab; nothing while it has none."""
    told = folder / "DevToolsActivePort"
    port = told.read_text().partition("\n")[0] if told.exists() else ""
    if not port:
        return ""
    with urlopen(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE_S) as answer:
        tabs: list[dict[str, str]] = json.load(answer)
    return next((tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"), "")
