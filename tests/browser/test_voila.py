"""The same notebook as a page without code: Voila."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.browser.lab import write_notebook

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

CELLS = (
    "from fake_trainer import FakeTrainer\nfrom mmpid.widgets import Dashboard",
    "Dashboard(FakeTrainer(epochs=40, seconds=0.005))",
)


@pytest.fixture
def voila(tmp_path, browser):
    pytest.importorskip("voila", reason="voila is not installed")
    name = write_notebook(tmp_path, "board", CELLS)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    root = Path(__file__).parents[2]
    environment = {k: v for k, v in os.environ.items() if k not in ("MMPID_HEADLESS", "JPY_SESSION_NAME")}
    environment["PYTHONPATH"] = os.pathsep.join([str(root), str(root / "tests" / "widgets")])
    command = [sys.executable, "-m", "voila", name, "--no-browser", f"--port={port}", "--Voila.ip=127.0.0.1"]
    with open(tmp_path / "voila.log", "w") as log:
        server = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=subprocess.STDOUT)
        yield f"http://127.0.0.1:{port}", tmp_path / "voila.log"
        server.terminate()
        server.wait(15)


def _when_up(address: str, log: Path, seconds: float = 60) -> None:
    started = time.monotonic()
    while True:
        try:
            urllib.request.urlopen(f"{address}/voila/static/voila.js", timeout=2)
            return
        except urllib.error.HTTPError:
            return  # it answers
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            assert time.monotonic() - started < seconds, log.read_text()[-2000:]
            time.sleep(0.3)


def test_the_board_is_live_in_voila(voila, browser, tmp_path):
    address, log = voila
    _when_up(address, log)
    page = browser.new_page(viewport={"width": 1300, "height": 1200})
    page.goto(address, timeout=90_000)
    page.locator(".mmpid-status[data-state=idle]").wait_for(timeout=60_000)
    page.get_by_role("button", name=re.compile(r"^\W*Play$")).click()
    page.locator(".mmpid-status[data-state=finished]").wait_for(timeout=60_000)
    page.locator(".mmpid-chart-pid path.line").first.wait_for(state="attached")
    time.sleep(1)
    folder = Path(os.environ.get("MMPID_SCREENSHOTS") or tmp_path)
    folder.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=folder / "voila.png")
    page.close()
