"""`mmpid bench gpu`: all measurements that need a GPU, in one command of at most eight minutes, most important first.

Every part runs in its own process, which is ended when its time is up, and its results are written before the next part
starts: a part that hangs or crashes loses only its own figures. Times are wall-clock seconds.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from mmpid import _validate
from mmpid._tables import text_table
from mmpid.bench import gpu_parts
from mmpid.runs.files import write_atomically
from mmpid.runs.metadata import versions

TOTAL = 480.0  # seconds, all parts together
LEAST = 10.0  # a part does not start with less time than this left
NOT_MEASURED = "not measured: no CUDA device"


@dataclass(frozen=True)
class Part:
    """A part of the measurement, and the seconds that it may take."""

    name: str
    seconds: float
    measure: Callable[[str, bool], gpu_parts.Records]


PARTS = (
    Part("solver batches", 60, gpu_parts.solver),
    Part("tests marked gpu", 75, gpu_parts.marked_tests),
    Part("engine and probe with ResNet-18", 75, gpu_parts.large_network),
    Part("probe", 55, gpu_parts.probe),
    Part("loader", 75, gpu_parts.loader),
    Part("precision", 50, gpu_parts.mixed_precision),
    Part("proxies", 40, gpu_parts.proxies),
    Part("solvable model of notebook 03", 50, gpu_parts.solvable_model),
)


def run(
    quick: bool = False,
    json_path: Path | str | None = None,
    show: Callable[[str], None] = print,
    *,
    rehearse: bool = False,
    total: float = TOTAL,
) -> dict[str, Any]:
    """Measure part by part; after each, show its table and write all results so far.

    Parameters
    ----------
    quick : bool
        Tiny sizes, to check that everything runs.
    json_path : path, optional
        Where to write the figures as JSON: ``{"device", "versions", "parts": {name: {"seconds", "records"}}}``. A part
        that failed or ran out of time has "problem" instead of records.
    show : callable
        Takes each piece of text.
    rehearse : bool
        Run on the CPU at tiny sizes, for a machine without a GPU: figures of a rehearsal mean nothing.
    total : float
        Seconds for all parts together; a part whose turn comes too late is reported as not measured.

    Returns
    -------
    dict
        The content of the JSON file. Without CUDA, and without `rehearse`, nothing is measured and ``parts`` is empty.

    Examples
    --------
    >>> from mmpid.bench import gpu
    >>> report = gpu.run(show=lambda text: None)  # doctest: +SKIP
    """
    total = _validate.number(total, "total", low=0, open_low=True, finite=True)
    device = "cpu" if rehearse else "cuda" if torch.cuda.is_available() else ""
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU, a rehearsal at tiny sizes" if device else ""
    report: dict[str, Any] = {"device": name or NOT_MEASURED, "versions": versions(), "parts": {}}
    show(report["device"])
    end = time.monotonic() + total
    for part in PARTS if device else ():
        found = _measured(part, device, quick or rehearse, end - time.monotonic())
        report["parts"][part.name] = found
        show(_table(part.name, found))
        _write(report, json_path)
    _write(report, json_path)
    return report


def _measured(part: Part, device: str, tiny: bool, left: float) -> dict[str, Any]:
    """Run one part in its own process, within its time limit and the time left in total."""
    allowed = min(part.seconds, left)
    if allowed < min(LEAST, part.seconds):
        return {"problem": "not measured: no time was left"}
    start = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "records.json"
        command = [sys.executable, "-m", "mmpid.bench.gpu", part.name, device, str(int(tiny)), str(out)]
        with open(Path(folder) / "stderr", "w+") as errors:
            # its own session, so that processes that a part started end with it
            child = subprocess.Popen(command, stdout=errors, stderr=errors, start_new_session=True)
            try:
                code = child.wait(allowed)
            except BaseException as problem:
                os.killpg(child.pid, signal.SIGKILL)
                child.wait()
                if not isinstance(problem, subprocess.TimeoutExpired):
                    raise
                return {"problem": f"not measured: stopped after {allowed:.0f} s"}
            errors.seek(0)
            last = (errors.read().strip().splitlines() or [f"exit code {code}"])[-1]
        seconds = round(time.monotonic() - start, 2)
        if code or not out.exists():
            return {"problem": f"failed: {last}", "seconds": seconds}
        return {"seconds": seconds, "records": json.loads(out.read_text())}


def _write(report: dict[str, Any], path: Path | str | None) -> None:
    if path is not None:
        write_atomically(Path(path), (json.dumps(report, indent=1) + "\n").encode())


def _table(name: str, found: dict[str, Any]) -> str:
    """Return the records of a part as a table, one column per field."""
    if "problem" in found:
        return f"{name}: {found['problem']}\n"
    columns = list(dict.fromkeys(key for record in found["records"] for key in record))
    rows = [[_cell(record.get(key)) for key in columns] for record in found["records"]]
    return f"{name}, {found['seconds']} s\n{text_table(columns, rows)}\n"


def _cell(value: object) -> str:
    return "" if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def _child(name: str, device: str, tiny: str, out: str) -> None:
    """Measure one part, in its own process."""
    part = next(part for part in PARTS if part.name == name)
    Path(out).write_text(json.dumps(part.measure(device, tiny == "1")))


if __name__ == "__main__":
    _child(*sys.argv[1:])
