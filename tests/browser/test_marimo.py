"""The board in marimo, which runs a notebook as a Python file and re-runs a cell when what it reads has changed."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

import pytest

from tests.browser.conftest import ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]

APP = """
import marimo

app = marimo.App()

@app.cell
def _():
    from fake_trainer import FakeTrainer
    from mmpid.widgets import Dashboard
    trainer = FakeTrainer(epochs=40, seconds=0.005)
    board = Dashboard(trainer)
    board
    return

if __name__ == "__main__":
    app.run()
"""


@pytest.fixture
def address(tmp_path):
    pytest.importorskip("marimo", reason="marimo is not installed")
    (tmp_path / "page.py").write_text(APP)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "marimo", "-q", "run", str(tmp_path / "page.py"), "--headless", "--no-token"]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "widgets")])
    outer = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "MMPID"))}
    own = {"PYTHONPATH": path, "XDG_CONFIG_HOME": str(tmp_path), "MARIMO_SKIP_UPDATE_CHECK": "1"}
    with open(tmp_path / "marimo.log", "w") as log:
        server = subprocess.Popen(
            [*command, "--host", "127.0.0.1", "-p", str(port)],
            env=outer | own,
            cwd=tmp_path,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    place = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + 90
    while True:
        try:
            urllib.request.urlopen(f"{place}/health", timeout=2).read()
            break
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            assert server.poll() is None and time.monotonic() < deadline, "marimo did not start"
            time.sleep(0.2)
    yield place
    os.killpg(server.pid, signal.SIGTERM)
    try:
        server.wait(15)
    except subprocess.TimeoutExpired:
        os.killpg(server.pid, signal.SIGKILL)


def test_the_board_is_live_in_marimo(address, browser, tmp_path):
    context = browser.new_context(viewport={"width": 1300, "height": 1000})
    tab = context.new_page()
    problems: list[str] = []
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.goto(address)
    tab.locator(".mmpid-status[data-state=idle]").wait_for(timeout=90_000)
    tab.get_by_role("button", name=re.compile(r"^\W*Step$")).click()
    tab.locator(".mmpid-progress", has_text=re.compile(r"epoch 1 ·")).wait_for(state="attached", timeout=60_000)
    tab.get_by_role("button", name=re.compile(r"^\W*Play$")).click()
    tab.locator(".mmpid-status[data-state=finished]").wait_for(timeout=60_000)
    tab.locator(".mmpid-graph-known path.mmpid-area").first.wait_for(state="attached")
    tab.screenshot(path=tmp_path / "marimo.png")
    assert problems == []
    context.close()
