"""Drives a headless Chromium over two pipes, by its DevTools protocol; no package is needed."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
TIMEOUT_S = 60.0
PAINTED = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))"


def find_chromium() -> str | None:
    """Return the path of Chromium, from LUMEN_CHROMIUM or the search path; None if it is not installed."""
    return os.environ.get("LUMEN_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One page in its own Chromium.

    Attributes:
        complaints: Errors and warnings on the console, uncaught exceptions, and requests to the network.
    """

    def __init__(self, folder: Path) -> None:
        """Start it, with a profile in `folder`."""
        path = find_chromium()
        assert path is not None
        (out_read, self._write), (self._read, out_write) = os.pipe(), os.pipe()
        options = ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run")
        quiet = ("--disable-background-networking", "--disable-component-update", "--disable-sync", "--mute-audio")
        command = [path, *options, *quiet, "--remote-debugging-pipe", f"--user-data-dir={folder}", "about:blank"]
        # It expects the pipes at file descriptors 3 and 4.
        script = f'exec 8<&{out_read} 9>&{out_write}; exec "$@" 3<&8 4>&9'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", *command],
            pass_fds=(out_read, out_write),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(out_read)
        os.close(out_write)
        self._buffer, self._number, self._session = b"", 0, ""
        self.complaints: list[str] = []
        self._events: set[str] = set()
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(each["targetId"] for each in targets if each["type"] == "page")
        self._session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.wait(20)
        os.close(self._write)
        os.close(self._read)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Send a command and return its answer."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result

    def open(
        self, path: Path, *, width: int = 1200, height: int = 900, phone: bool = False, dark: bool = False
    ) -> float:
        """Open a file, and return the seconds until it was loaded and painted."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if phone else 1,
            mobile=phone,
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])
        self._events.clear()
        started = time.monotonic()
        self.call("Page.navigate", url=path.resolve().as_uri())
        while "Page.loadEventFired" not in self._events:
            self._next()
        self.run(PAINTED)
        return time.monotonic() - started

    def run(self, script: str) -> Any:
        """Return the value of an expression in the page, awaited if it is a promise."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, script: str) -> None:
        """Wait until an expression in the page is true."""
        end = time.monotonic() + TIMEOUT_S
        while not self.run(script):
            assert time.monotonic() < end, f"never true: {script}"
            time.sleep(0.05)

    def middle(self, selector: str) -> tuple[float, float, float]:
        """Scroll to an element, and return the position of its centre and its width, in pixels, once it rests there."""
        place = (
            f"(() => {{ const e = document.querySelector({json.dumps(selector)}); "
            "e.scrollIntoView({block: 'center', behavior: 'instant'}); const b = e.getBoundingClientRect(); "
            "return [b.x + b.width / 2, b.y + b.height / 2, b.width]; })()"
        )
        box = None
        while (now := self.run(place)) != box:  # a scroll that has begun goes on, and pictures come into view
            box = now
            self.run(PAINTED)
        return box[0], box[1], box[2]

    def click(self, selector: str) -> None:
        """Click on the centre of an element."""
        x, y, _ = self.middle(selector)
        self._mouse("mousePressed", x, y)
        self._mouse("mouseReleased", x, y)

    def drag(self, x: float, y: float, to_x: float) -> None:
        """Press the mouse button at a position, move sideways, and release it."""
        self._mouse("mousePressed", x, y)
        for step in range(1, 6):
            self._mouse("mouseMoved", x + (to_x - x) * step / 5, y)
        self._mouse("mouseReleased", to_x, y)

    def _mouse(self, kind: str, x: float, y: float) -> None:
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=1, clickCount=1)

    def swipe(self, x: float, y: float, to_x: float) -> None:
        """Touch a position, and move the finger sideways."""
        self.call("Input.dispatchTouchEvent", type="touchStart", touchPoints=[{"x": x, "y": y}])
        for step in range(1, 6):
            place = {"x": x + (to_x - x) * step / 5, "y": y}
            self.call("Input.dispatchTouchEvent", type="touchMove", touchPoints=[place])
        self.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

    def press(self, key: str, code: int) -> None:
        """Press a key by its name and its Windows key code."""
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode=code)

    def type(self, text: str) -> None:
        """Type text into the focused element."""
        self.call("Input.insertText", text=text)

    def faults_of_access(self) -> list[Any]:
        """Return what axe-core, which LUMEN_AXE names, finds wrong with the page: rules and elements."""
        self.run(Path(os.environ["LUMEN_AXE"]).read_text(encoding="utf-8") + ";0")
        found: list[Any] = self.run("axe.run().then(r => r.violations.map(v => [v.id, v.nodes.map(n => n.html)]))")
        return found

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Write the visible part, or the whole page, as PNG."""
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def _next(self) -> dict[str, Any]:
        """Return the next message, and record its complaints."""
        end = time.monotonic() + TIMEOUT_S
        while b"\0" not in self._buffer:
            ready, _, _ = select.select([self._read], [], [], max(0.0, end - time.monotonic()))
            assert ready, "Chromium does not answer"
            chunk = os.read(self._read, 1 << 20)
            assert chunk, "Chromium has ended"
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\0")
        message: dict[str, Any] = json.loads(line)
        self._record(message)
        return message

    def _record(self, message: dict[str, Any]) -> None:
        method, parameters = message.get("method", ""), message.get("params", {})
        self._events.add(method)
        if method == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(parameters["exceptionDetails"]))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in ("error", "warning", "assert"):
            self.complaints.append(json.dumps(parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in ("error", "warning"):
            self.complaints.append(parameters["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not parameters["request"]["url"].startswith(("file:", "data:")):
            self.complaints.append(f"request to {parameters['request']['url']}")
