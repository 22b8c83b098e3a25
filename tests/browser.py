"""A real Chromium, driven through its DevTools pipe: it needs no other package."""

import base64
import fcntl
import json
import os
import select
import shutil
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

PATIENCE_S = 60
KEYS = {"ArrowRight": 39, "ArrowLeft": 37, "ArrowDown": 40, "ArrowUp": 38, "n": 78}
OFFLINE = ("file:", "data:", "blob:", "about:")


def find_chromium():
    """The browser's program; a test that asks for it is skipped where there is none."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if found := shutil.which(name):
            return found
    pytest.skip("needs Chromium: apt-get install chromium")


class Browser:
    """One window. Notes what a page complains of and what it asks for.

    Attributes:
        problems: errors that pages reported in the console or did not catch.
        requests: addresses that were asked for.
    """

    def __init__(self, profile, dark=False, size=(1400, 900)):
        self.problems, self.requests = [], []
        self._events, self._count, self._rest = [], 0, b""
        command = [find_chromium(), "--headless", "--remote-debugging-pipe"]
        command += ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        command += ["--no-first-run", "--disable-background-networking"]
        command += ["--disable-component-update", f"--user-data-dir={profile}"]
        command += ["--hide-scrollbars", f"--window-size={size[0]},{size[1]}"]
        theirs, self._to = _pipe()
        self._from, back = _pipe()
        self._process = subprocess.Popen(
            # Chromium reads its orders at descriptor 3 and answers at 4.
            ["bash", "-c", f'exec "$@" 3<&{theirs} 4>&{back}', "bash", *command],
            pass_fds=(theirs, back),
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs)
        os.close(back)
        self._session = None
        target = self.order("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.order(
            "Target.attachToTarget", targetId=target, flatten=True
        )["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.order(f"{domain}.enable")
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.order("Emulation.setEmulatedMedia", features=[scheme])
        size = {"width": size[0], "height": size[1]}
        self.order(
            "Emulation.setDeviceMetricsOverride",
            **size,
            deviceScaleFactor=1,
            mobile=False,
        )

    def order(self, method, **params):
        """Send an order of the protocol, and return its answer."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE_S
        while True:
            answer = self._receive(deadline)
            if answer.get("id") == message["id"]:
                assert "error" not in answer, f"{method}: {answer['error']}"
                return answer["result"]

    def open(self, path):
        """Open a file and wait until it is loaded."""
        self._events.clear()
        self.order("Page.navigate", url=Path(path).resolve().as_uri())
        deadline = time.monotonic() + PATIENCE_S
        while "Page.loadEventFired" not in self._events:
            self._receive(deadline)

    def evaluate(self, expression):
        """Value of a JavaScript expression in the page."""
        answer = self.order(
            "Runtime.evaluate",
            expression=expression,
            returnByValue=True,
            awaitPromise=True,
        )
        assert "exceptionDetails" not in answer, f"{expression}: {answer}"
        return answer["result"].get("value")

    def text(self, selector):
        """Text of an element."""
        return self.evaluate(f"document.querySelector({selector!r}).textContent")

    def wait(self, expression):
        """Wait until an expression is true."""
        deadline = time.monotonic() + PATIENCE_S
        while not self.evaluate(f"Boolean({expression})"):
            assert time.monotonic() < deadline, f"{expression} did not come true"
            time.sleep(0.05)

    def place(self, selector, share=0.5):
        """Where an element is seen: a share of its width, half of its height."""
        return self.evaluate(
            "(() => { const box = document.querySelector("
            f"{selector!r}).getBoundingClientRect(); return [box.left + {share} *"
            " box.width, box.top + box.height / 2] })()"
        )

    def point(self, selector, share=0.5):
        """Move the mouse over an element."""
        self._mouse("mouseMoved", *self.place(selector, share))

    def click(self, selector, share=0.5):
        """Click on an element with the mouse."""
        place = self.place(selector, share)
        for kind in ("mouseMoved", "mousePressed", "mouseReleased"):
            self._mouse(kind, *place)

    def press(self, key):
        """Press a key."""
        for kind in ("keyDown", "keyUp"):
            self.order(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                windowsVirtualKeyCode=KEYS[key],
            )

    def screenshot(self, path):
        """Write a picture of the window."""
        picture = self.order("Page.captureScreenshot", format="png")["data"]
        Path(path).write_bytes(base64.b64decode(picture))

    def complaints(self):
        """Errors, and requests that leave this machine."""
        self.evaluate("new Promise((done) => setTimeout(done, 50))")
        online = [url for url in self.requests if not url.startswith(OFFLINE)]
        return self.problems + [f"asked for {url}" for url in online]

    def close(self):
        """End the browser."""
        self._session = None
        with suppress(OSError, AssertionError):
            self.order("Browser.close")
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        os.close(self._to)
        os.close(self._from)

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def _mouse(self, kind, x, y):
        button = "none" if kind == "mouseMoved" else "left"
        self.order(
            "Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, clickCount=1
        )

    def _receive(self, deadline):
        while b"\0" not in self._rest:
            left = deadline - time.monotonic()
            ready, _, _ = select.select([self._from], [], [], max(0, left))
            assert ready, f"Chromium gave no answer in {PATIENCE_S} s"
            data = os.read(self._from, 1 << 20)
            assert data, f"Chromium ended with status {self._process.wait()}"
            self._rest += data
        text, _, self._rest = self._rest.partition(b"\0")
        message = json.loads(text)
        self._note(message.get("method", ""), message.get("params", {}))
        return message

    def _note(self, method, params):
        self._events.append(method)
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            said = details.get("exception", {}).get("description", details["text"])
            self.problems.append(said)
        elif method == "Runtime.consoleAPICalled" and params["type"] == "error":
            said = [str(part.get("value", part)) for part in params["args"]]
            self.problems.append(" ".join(said))
        elif method == "Log.entryAdded" and params["entry"]["level"] == "error":
            entry = params["entry"]
            self.problems.append(f"{entry['text']} {entry.get('url', '')}")
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])


def _pipe():
    """Both ends of a pipe, at descriptors above those that Chromium takes."""
    ends = os.pipe()
    high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 10) for end in ends]
    for end in ends:
        os.close(end)
    return high
