"""A real JupyterLab and a real Chromium, once a session; a fresh page and notebook a test."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from mmpid.cli import KERNEL_ENVIRONMENT
from tests.browser.lab import Lab, Page, write_notebook

ROOT = Path(__file__).parents[2]
CHROMIUM = os.environ.get("MMPID_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--js-flags=--expose-gc",  # what the page holds is weighed without what it has already dropped
    "--enable-precise-memory-info",
]
# no pop-up may cover a button, no autosave may race with a test's own save
SETTINGS = {
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False, "doNotDisturbMode": True},
    "docmanager-extension/plugin": {"autosave": False},
}


@pytest.fixture(scope="session")
def browser():
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (set MMPID_CHROMIUM to its path)")
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with sync_api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=CHROMIUM_ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory, browser):
    pytest.importorskip("jupyterlab", reason="jupyterlab is not installed")
    root = tmp_path_factory.mktemp("lab")
    (root / "work").mkdir()
    _write_settings(root / "settings")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    lab = Lab(f"http://127.0.0.1:{port}", secrets.token_hex(16), root / "work")
    with open(root / "lab.log", "w") as log:
        server = subprocess.Popen(
            _command(lab, port), env=_environment(root), stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
        _wait_until_up(lab, server, root / "lab.log")
        yield lab
        os.killpg(server.pid, signal.SIGTERM)
        try:
            server.wait(15)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)


@pytest.fixture(scope="session")
def shared(browser, lab):
    """The page and kernel that tests pass on to one another, once the first has opened them."""
    keep = {}
    yield keep
    _close(keep)


@pytest.fixture
def open_notebook(lab, browser, request, shared):
    """Return a function that shows a notebook of the given cells in Lab, with an idle kernel.

    The first call of a test reuses one page and one kernel, which are emptied in between; opening Lab, starting a
    kernel and importing torch is what takes the time. A further call opens new ones. A test that failed leaves
    nothing to the next.
    """
    own, calls = [], []

    def open_(*cells: str, width: int = 1400, height: int = 1100, run: bool = True) -> Page:
        if calls:
            page = _new_page(lab, browser, write_notebook(lab.folder, request.node.name, cells))
            own.append({"page": page})
        else:
            if "page" not in shared:
                shared["page"] = _new_page(lab, browser, write_notebook(lab.folder, "shared", [""]))
            page = shared["page"]
            page.reuse(cells)
        calls.append(page)
        page.tab.set_viewport_size({"width": width, "height": height})
        if run:
            page.run_all()
        return page

    failed = request.session.testsfailed
    yield open_
    for one in own:
        _close(one)
    if request.session.testsfailed > failed:
        _close(shared)


def _new_page(lab: Lab, browser, name: str) -> Page:
    page = Page(lab, browser.new_context(viewport={"width": 1400, "height": 1100}).new_page(), name)
    page.open()
    return page


def _close(holder: dict) -> None:
    """End a page's kernel and close it."""
    page = holder.pop("page", None)
    if page is not None:
        page.shut_down()
        page.tab.context.close()


def _write_settings(folder: Path) -> None:
    for name, values in SETTINGS.items():
        path = folder / "@jupyterlab" / f"{name}.jupyterlab-settings"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(values))


def _environment(root: Path) -> dict[str, str]:
    own = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }
    environment = {**os.environ, **KERNEL_ENVIRONMENT, **{name: str(root / folder) for name, folder in own.items()}}
    environment.pop("MMPID_HEADLESS", None)
    # what is on the path already comes first: that is how another version of ipykernel is tried
    path = [os.environ.get("PYTHONPATH"), str(ROOT), str(ROOT / "tests" / "widgets")]
    return environment | {"JUPYTER_PLATFORM_DIRS": "1", "PYTHONPATH": os.pathsep.join(filter(None, path))}


def _command(lab: Lab, port: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "jupyterlab",
        "--no-browser",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={lab.token}",
        f"--ServerApp.root_dir={lab.folder}",
        "--LabApp.expose_app_in_browser=True",
        "--JupyterNotebookApp.expose_app_in_browser=True",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    ]


def _wait_until_up(lab: Lab, server: subprocess.Popen, log: Path, seconds: float = 90) -> None:
    started = time.monotonic()
    while True:
        try:
            urllib.request.urlopen(f"{lab.address}/api/status?token={lab.token}", timeout=2).read()
            return
        except (urllib.error.URLError, TimeoutError, ConnectionError):
            if server.poll() is not None or time.monotonic() - started > seconds:
                raise RuntimeError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}") from None
            time.sleep(0.2)
