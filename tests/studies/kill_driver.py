"""Runs one study again and again in forked processes and kills them at random moments; prints what it found.

The moments lie after 0, 1, 2, ... finished runs, so that they hit the study however fast the machine is.

Usage: python kill_driver.py FOLDER N_KILLS N_JOBS. Forking saves importing torch for each of them.
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import numpy as np

import mmpid
from mmpid.studies import cell

CALL = {
    "methods": ["joint", "two-stage", "OGMGE", {"name": "wild", "base": "joint", "lr": 1e30}], "seeds": [0, 1],
    "epochs": 8, "unimodal_epochs": 4, "estimator": "counted",
    "n_boot": 0, "n_null": 0, "correction": "none", "ecs": (), "device": "cpu",
    "batch_size": 16, "progress": False,
}  # fmt: skip
N_FINISHED = 6  # the fourth method fails with both seeds


def data(seed):
    rng = np.random.default_rng(0)
    y = np.arange(400) % 4
    inputs = {name: rng.normal(size=(4, 6))[y] + s * rng.normal(size=(400, 6)) for name, s in (("a", 0.7), ("b", 1.4))}
    return mmpid.MultimodalData.from_arrays(inputs, y, seed=seed)


def run(folder, **more):
    return mmpid.compare(data, out_dir=folder, **CALL, **more)


def content(table):
    """Everything that a table says, without places."""
    rows = [{key: value for key, value in row.items() if key != "run"} for row in table.rows]
    answers = [table.predictions(row["method"], row["seed"]).to_numpy().tolist() for row in rows]
    failed = [(f["method"], f["seed"], f["error"]) for f in table.failures]
    return json.dumps([rows, answers, failed], default=str)


def finished(folder):
    """Results and the moment at which each was written."""
    return {str(path): path.stat().st_mtime_ns for path in Path(folder).glob("cells/*/*/*/result.json")}


def fork(folder, **more):
    pid = os.fork()
    if pid == 0:
        run(folder, **more)
        os._exit(0)
    return pid


def killed(folder, pid, wait_for, pause):
    """Kill a process `pause` seconds after it finished so many runs; return whether it still ran."""
    while len(finished(folder)) < wait_for:
        if os.waitpid(pid, os.WNOHANG)[0]:
            return False
        time.sleep(0.002)
    time.sleep(pause)
    os.kill(pid, signal.SIGKILL)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def main(folder, n_kills, n_jobs):
    cell.SAVE_SECONDS, cell.SAVE_SHARE = 0.0, 1e9  # an epoch here takes milliseconds
    expected = content(run(folder / "whole"))
    started = time.perf_counter()
    run(folder / "again")  # the first one also loaded modules
    a_run = (time.perf_counter() - started) / N_FINISHED
    random.seed(0)
    report = {"kills": 0, "hit": 0, "mid_run": 0, "wrong": 0, "twice": 0}
    for number in range(n_kills):
        place = folder / f"killed-{number}"
        pid = fork(place, n_jobs=n_jobs)
        report["hit"] += killed(place, pid, number % N_FINISHED, random.uniform(0, a_run))
        before = finished(place)
        report["kills"] += 1
        report["mid_run"] += any(place.glob("cells/*/*/*/saved-*"))
        table = run(place)
        report["wrong"] += content(table) != expected
        after = finished(place)
        report["twice"] += any(after[path] != moment for path, moment in before.items())
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
