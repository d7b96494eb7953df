"""Killed drivers and killed workers: the table is the same every time, and nothing finished is trained again."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import cloudpickle
import pytest

from tests.studies import kill_driver

cloudpickle.register_pickle_by_value(kill_driver)  # workers may find another package named tests

ROOT = Path(__file__).parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
@pytest.mark.parametrize(("n_kills", "n_jobs"), [(20, 1), (3, 2)])
def test_a_killed_driver_goes_on(tmp_path, n_kills, n_jobs):
    command = [sys.executable, kill_driver.__file__, str(tmp_path), str(n_kills), str(n_jobs)]
    said, wrong = tmp_path / "said", tmp_path / "wrong"
    with said.open("w") as out, wrong.open("w") as err:  # not pipes: workers of killed drivers would keep them open
        driver = subprocess.Popen(command, env=ENVIRONMENT, stdout=out, stderr=err, start_new_session=True)
        try:
            code = driver.wait(timeout=550)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(driver.pid, signal.SIGKILL)
    assert code == 0, wrong.read_text()[-3000:]
    report = json.loads(said.read_text().splitlines()[-1])
    assert report["kills"] == n_kills and report["wrong"] == 0 and report["twice"] == 0
    assert report["hit"] >= n_kills / 2, "most kills must hit a study under way"
    assert n_jobs > 1 or report["mid_run"] >= 3, "some must hit a run under way"


@pytest.mark.slow
def test_parallel_and_serial_tables_are_identical(tmp_path):
    serial = kill_driver.content(kill_driver.run(tmp_path / "one"))
    assert kill_driver.content(kill_driver.run(tmp_path / "two", n_jobs=2)) == serial


@pytest.fixture
def cluster(tmp_path):
    """A scheduler and two worker processes; yields the address and the processes of the workers."""
    pytest.importorskip("distributed", reason="the cluster extra is not installed")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    quiet = {"env": ENVIRONMENT, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    python = [sys.executable, "-m"]
    scheduler = ["distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    worker = ["distributed.cli.dask_worker", address, "--nthreads", "1", "--no-nanny", "--no-dashboard"]
    running = [subprocess.Popen([*python, *scheduler], **quiet)]
    running += [
        subprocess.Popen([*python, *worker, "--local-directory", str(tmp_path / f"worker-{i}")], **quiet)
        for i in range(2)
    ]
    yield address, running[1:]
    for process in reversed(running):
        process.kill()
        process.wait()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of distributed, when a worker dies
def test_a_cluster_gives_the_same_table_also_when_a_worker_is_killed(tmp_path, cluster):
    address, workers = cluster
    expected = kill_driver.content(kill_driver.run(tmp_path / "serial"))
    folder = tmp_path / "cluster"

    def kill():
        while len(kill_driver.finished(folder)) < 2:
            time.sleep(0.02)
        os.kill(workers[0].pid, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    table = kill_driver.run(folder, backend="dask", address=address)
    assert kill_driver.content(table) == expected
    assert workers[0].poll() is not None and workers[1].poll() is None, "one was killed, and the other did the rest"
    before = kill_driver.finished(folder)
    assert kill_driver.content(kill_driver.run(folder, backend="dask", address=address)) == expected
    assert kill_driver.finished(folder) == before
