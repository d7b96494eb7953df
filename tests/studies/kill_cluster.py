"""Runs one study again and again on a Dask cluster and kills a worker, or the driver, at random moments.

A real scheduler and two worker processes. The moments lie after 0, 1, 2, ... finished runs and a random part of a run.
A worker that was killed is replaced before the next study. Prints what it found for each of the two as JSON.

Usage: python kill_cluster.py FOLDER WORKER_KILLS DRIVER_KILLS [SEED]
"""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import cloudpickle
import distributed

import mmpid
from mmpid.studies import cell
from tests.studies import kill_driver
from tests.studies.kill_driver import N_FINISHED, content, finished

cloudpickle.register_pickle_by_value(kill_driver)  # workers may find another package named tests
cloudpickle.register_pickle_by_value(sys.modules[__name__])
CALL = {**kill_driver.CALL, "epochs": 24, "unimodal_epochs": 12}
PATIENCE = 120.0  # seconds after which a study is taken for stuck


def data(seed):
    """Draw the data of a seed, in a process that saves its runs after every epoch."""
    cell.SAVE_SECONDS, cell.SAVE_SHARE = 0.0, 1e9
    return kill_driver.data(seed)


def run(folder, **more):
    return mmpid.compare(data, out_dir=folder, **CALL, **more)


class Cluster:
    """A scheduler and two workers, each a process."""

    def __init__(self, folder):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = str(free.getsockname()[1])
        self.folder, self.address, self.started = folder, f"tcp://127.0.0.1:{port}", 0
        self.scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--port", port)
        self.workers: list[subprocess.Popen] = []
        self.complete()

    def _start(self, kind, *arguments):
        with (self.folder / f"{kind}-{self.started}.log").open("w") as log:
            command = [sys.executable, "-m", f"distributed.cli.{kind}", *arguments, "--no-dashboard"]
            return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)

    def _worker(self):
        self.started += 1
        place = str(self.folder / f"worker-{self.started}")
        return self._start("dask_worker", self.address, "--nthreads", "1", "--no-nanny", "--local-directory", place)

    def kill_worker(self):
        """Kill one of the two."""
        worker = self.workers.pop(random.randrange(2))
        worker.kill()
        worker.wait()

    def complete(self):
        """Start another worker in the place of one that was killed."""
        while len(self.workers) < 2:
            self.workers.append(self._worker())

    def close(self):
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()


def fork(cluster, place):
    """Train the study on the cluster in a process of its own, which leaves the content of its table."""
    pid = os.fork()
    if pid:
        return pid
    with distributed.Client(cluster.address, set_as_default=False) as client:
        client.wait_for_workers(2, timeout=PATIENCE)
    place.with_suffix(".begun").touch()
    told = content(run(place, backend="dask", address=cluster.address))
    place.with_suffix(".part").write_text(told)
    place.with_suffix(".part").rename(place.with_suffix(".json"))
    os._exit(0)


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "a study is stuck"
        time.sleep(0.002)


def ended(pid):
    return os.waitpid(pid, os.WNOHANG)[0] != 0


def strike(cluster, place, who, wait, pause, expected):
    """Kill at one moment, let the study end, and return what is to be counted."""
    pid = fork(cluster, place)
    wait_for(lambda: len(finished(place)) >= wait and place.with_suffix(".begun").exists())
    time.sleep(pause)
    hit = not place.with_suffix(".json").exists()
    before = finished(place)
    mid_run = any(not (save.parent / "result.json").exists() for save in place.glob("cells/*/*/*/saved-*"))
    if who == "worker":
        cluster.kill_worker()
    else:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        pid = fork(cluster, place)
    wait_for(lambda: ended(pid))
    whole = finished(place)
    tables = [place.with_suffix(".json").read_text(), content(run(place))]  # once more: there is nothing left to train
    twice = any(whole[path] != moment for path, moment in before.items()) or finished(place) != whole
    cluster.complete()
    return {"kills": 1, "hit": hit, "mid_run": mid_run, "wrong": tables != [expected] * 2, "twice": twice}


def main(folder, n_workers, n_drivers, seed=0):
    expected = content(run(folder / "serial"))
    started = time.perf_counter()
    run(folder / "again")  # the first one also loaded modules
    a_run = (time.perf_counter() - started) / N_FINISHED
    random.seed(seed)
    report = {"seconds_per_run": round(a_run, 2), "worker": {}, "driver": {}}
    cluster = Cluster(folder)
    try:
        for who, n in (("worker", n_workers), ("driver", n_drivers)):
            for number in range(n):
                place = folder / f"{who}-killed-{number}"
                found = strike(cluster, place, who, (number + seed) % N_FINISHED, random.uniform(0, a_run), expected)
                report[who] = {key: report[who].get(key, 0) + int(value) for key, value in found.items()}
                print(who, number, found, file=sys.stderr, flush=True)
    finally:
        cluster.close()
    print(json.dumps(report))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the cluster ends, too
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
