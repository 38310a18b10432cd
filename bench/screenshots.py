"""Pictures of the Dagster UI for docs/images, taken with a headless Chromium of the machine (Debian package `chromium`).

The UI must be running on the lake to be shown: `make ui`. Chromium is driven over its DevTools protocol; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import shutil
import subprocess
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

from bench.measure import REPOSITORY

IMAGES = REPOSITORY / "docs" / "images"
PAGES = {
    "lineage": "/asset-groups",
    "group_omop": "/locations/biodam/asset-groups/omop",
    "asset": "/assets/cohort_type2_diabetes?view=overview",
    "partitions": "/assets/raw/fhir/patient?view=partitions&partition=h11",
    "deliveries": "/assets/govern/deliveries?view=overview",
    "consents": "/assets/govern/consents?view=overview",
    "failed_check": "/assets/govern/deliveries?view=checks",
    "runs": "/runs",
}
PRESSED = {"deliveries": "[Show Markdown]", "consents": "[Show Markdown]"}
"""Page -> button that is pressed before its picture is taken."""
TALL = 3200
"""Height of a page on which something is pressed: what opens is meant to be read to its end."""

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1600,1000",
]
DISMISS = "[...document.querySelectorAll('button')].filter(b => b.innerText.trim() === 'Skip').forEach(b => b.click())"


class Browser:
    """One page of a headless Chromium."""

    def __init__(self, port: int, profile: str) -> None:
        """Start Chromium and attach to its page."""
        program = shutil.which("chromium") or "chromium"
        command = [program, *FLAGS, f"--user-data-dir={profile}", f"--remote-debugging-port={port}", "about:blank"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._open = contextlib.ExitStack()
        self._socket: ClientConnection = self._open.enter_context(connect(self._page(port), max_size=None))
        self._number = 0

    def shot(self, url: str, path: Path, wait: float, press: str | None = None) -> None:
        """Open a page, wait for it to settle, close the welcome window, press a button by its text if asked to, and write a PNG."""
        if press:
            self._call("Emulation.setDeviceMetricsOverride", width=1600, height=TALL, deviceScaleFactor=1, mobile=False)
        else:
            self._call("Emulation.clearDeviceMetricsOverride")
        self._call("Page.navigate", url=url)
        time.sleep(wait)
        self._call("Runtime.evaluate", expression=DISMISS)
        if press:
            wanted = f"[...document.querySelectorAll('button, a, span, div')].filter(e => e.innerText?.trim() === {json.dumps(press)}).pop().click()"
            self._call("Runtime.evaluate", expression=wanted)
            time.sleep(wait / 3)  # a page with plots is some hundred kilobytes of picture
        time.sleep(1.5)
        data = self._call("Page.captureScreenshot", format="png")["data"]
        path.write_bytes(base64.b64decode(data))

    def close(self) -> None:
        """End Chromium."""
        self._open.close()
        self._process.kill()
        self._process.wait()

    def _call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._number:
                return answer.get("result", {})

    @staticmethod
    def _page(port: int) -> str:
        for _ in range(100):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/json") as answer:
                    pages = [p for p in json.load(answer) if p["type"] == "page"]
                if pages:
                    return str(pages[0]["webSocketDebuggerUrl"])
            except OSError:
                time.sleep(0.2)
        raise SystemExit("Chromium did not start; is the Debian package `chromium` installed?")


def main() -> None:
    """Take all pictures, or one given as NAME=PATH."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:3000")
    parser.add_argument("--wait", type=float, default=8.0, help="seconds a page gets to settle")
    parser.add_argument("pages", nargs="*", help="NAME=PATH instead of the usual pages")
    options = parser.parse_args()
    pages = dict(p.split("=", 1) for p in options.pages) or PAGES
    IMAGES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="biodam-chromium-", ignore_cleanup_errors=True) as profile:
        browser = Browser(9333, profile)
        try:
            for name, path in pages.items():
                browser.shot(options.url + path, IMAGES / f"{name}.png", options.wait, PRESSED.get(name))
                print(IMAGES / f"{name}.png")
        finally:
            browser.close()


if __name__ == "__main__":
    main()
