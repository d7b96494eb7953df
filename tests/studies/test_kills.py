"""Killed drivers and killed workers: the table is the same every time, and nothing finished is trained again."""

import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.studies import kill_driver

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}


def report_of(script, folder, *numbers):
    """Run a script that kills, and return what it found."""
    command = [sys.executable, str(HERE / script), str(folder), *map(str, numbers)]
    said, wrong = folder / "said", folder / "wrong"
    with said.open("w") as out, wrong.open("w") as err:  # not pipes: workers of killed drivers would keep them open
        driver = subprocess.Popen(command, env=ENVIRONMENT, stdout=out, stderr=err, start_new_session=True)
        try:
            code = driver.wait(timeout=550)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(driver.pid, signal.SIGKILL)
    assert code == 0, wrong.read_text()[-3000:]
    return json.loads(said.read_text().splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize(("n_kills", "n_jobs"), [(20, 1), (3, 2)])
def test_a_killed_driver_goes_on(tmp_path, n_kills, n_jobs):
    report = report_of("kill_driver.py", tmp_path, n_kills, n_jobs)
    assert report["kills"] == n_kills and report["wrong"] == 0 and report["twice"] == 0
    assert report["hit"] >= n_kills / 2, "most kills must hit a study under way"
    assert n_jobs > 1 or report["mid_run"] >= 3, "some must hit a run under way"


@pytest.mark.slow
def test_parallel_and_serial_tables_are_identical(tmp_path):
    serial = kill_driver.content(kill_driver.run(tmp_path / "one"))
    assert kill_driver.content(kill_driver.run(tmp_path / "two", n_jobs=2)) == serial


@pytest.mark.slow
def test_a_cluster_gives_the_serial_table_also_when_a_worker_or_the_driver_is_killed(tmp_path):
    pytest.importorskip("distributed", reason="the cluster extra is not installed")
    report = report_of("kill_cluster.py", tmp_path, 2, 1)
    for who, n_kills in (("worker", 2), ("driver", 1)):
        found = report[who]
        assert found["kills"] == n_kills and found["wrong"] == 0 and found["twice"] == 0
        assert found["hit"] >= 1, "a study under way was hit"
