"""Headless Chromium under a test's control, by its debugging protocol over a pipe: keys are pressed as a person presses them."""

import json
import os
import shutil
import subprocess
import time

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update "
    "--disable-sync --remote-debugging-pipe"
)
KEYS = {"Tab": ("Tab", 9, ""), "Enter": ("Enter", 13, "\r"), " ": ("Space", 32, " ")}


def chromium():
    """Where it is, or None."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


class Page:
    """One page in a browser of its own; ``close`` it."""

    def __init__(self, address, folder, width=1440, height=900):
        (theirs, to_browser), (from_browser, answers) = os.pipe(), os.pipe()
        flags = f"{FLAGS} --user-data-dir={folder}"
        command = f"exec {chromium()} {flags} about:blank 3<&{theirs} 4>&{answers}"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(["bash", "-c", command], pass_fds=(theirs, answers), **quiet)
        os.close(theirs)
        os.close(answers)
        self.to, self.answers, self.number, self.read = os.fdopen(to_browser, "wb", 0), from_browser, 0, b""
        self.session = None
        target = self.ask("Target.createTarget", url="about:blank")["targetId"]
        self.session = self.ask("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500)
        self.ask("Page.navigate", url=address)
        deadline = time.monotonic() + 30
        while self.value("document.readyState + document.title.length") in ("loading0", "complete0") and time.monotonic() < deadline:
            time.sleep(0.02)

    def ask(self, method, **params):
        """The answer to a command of the protocol."""
        self.number += 1
        told = {"id": self.number, "method": method, "params": params}
        if self.session:
            told["sessionId"] = self.session
        self.to.write(json.dumps(told).encode() + b"\0")
        while True:
            while b"\0" not in self.read:
                piece = os.read(self.answers, 1 << 20)
                assert piece, "the browser has gone"
                self.read += piece
            message, _, self.read = self.read.partition(b"\0")
            said = json.loads(message)
            if said.get("id") == self.number:
                assert "error" not in said, said
                return said["result"]

    def value(self, expression):
        """What an expression of JavaScript is on the page."""
        return self.ask("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def press(self, key):
        """Press a key and let it go."""
        code, number, text = KEYS[key]
        for kind in ("keyDown", "keyUp"):
            written = {"text": text} if text and kind == "keyDown" else {}
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, code=code, windowsVirtualKeyCode=number, **written)

    def close(self):
        """End the browser."""
        self.process.terminate()
        self.process.wait()
        self.to.close()
        os.close(self.answers)
