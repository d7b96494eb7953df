"""`mmpid bench pid`: the exact solver against its peers, on the same joints in the same run, on one CPU thread.

Times are CPU seconds of this process, the median of rounds in which all methods take turns, so that a busy machine
disturbs all of them equally; look at the ratios. An error is the largest error of an atom in bits, against the exact
solver at a gap of 1e-9 bit.
"""

import contextlib
import json
import platform
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import torch
from threadpoolctl import threadpool_limits
from torch import Tensor

from mmpid._tables import text_table
from mmpid.bench.peers import PEERS, missing
from mmpid.bench.problems import FAMILIES, predicted
from mmpid.bench.threads import one_thread
from mmpid.errors import ConvergenceWarning
from mmpid.pid import PIDResult, decompose, joints
from mmpid.pid.certificate import objective
from mmpid.pid.information import LN2

REFERENCE_PEER = "clarabel sparse program"
CONIC = (REFERENCE_PEER, "ecos sparse program")
GATES = ("xor", "and_", "sum_", "rdn", "unq", "rdn_xor")


@dataclass(frozen=True)
class Row:
    """One joint, and the methods that solve it."""

    shape: tuple[int, int, int]
    family: str
    rounds: int
    peers: tuple[str, ...] = tuple(PEERS)
    fastpid: bool = True
    seed: int = 1

    def joint(self) -> Tensor:
        """Draw the joint; hundreds of predicted classes come from 3,000 samples."""
        if self.family == "predicted":
            return predicted(*self.shape, seed=self.seed, n_samples=5_000 if self.shape[2] <= 100 else 3_000)
        return FAMILIES[self.family](*self.shape, seed=self.seed)


QUICK = [Row((5, 5, 3), "dense", 3), Row((10, 10, 5), "dense", 3), Row((10, 10, 5), "histogram", 3)]
FULL = [
    *(Row((20, 20, 6), family, 5) for family in ("dense", "histogram", "clustered")),
    *(Row((20, 20, 28), family, 3, (REFERENCE_PEER,)) for family in ("dense", "histogram")),
    Row((50, 50, 10), "dense", 1, (REFERENCE_PEER,)),
    Row((20, 20, 101), "dense", 1, (REFERENCE_PEER,)),
    Row((50, 50, 50), "predicted", 3, CONIC, fastpid=False),
    Row((100, 100, 100), "predicted", 3, CONIC, fastpid=False),
    Row((309, 309, 309), "predicted", 1, (), fastpid=False),
]


def run(quick: bool = False, json_path: Path | str | None = None, show: Callable[[str], None] = print) -> list[dict]:
    """Measure; show a table for each single problem, one for small problems and one for batches; return the records.

    Parameters
    ----------
    quick : bool
        Small shapes only; takes under a minute.
    json_path : path, optional
        Where to write the records, with the versions of the packages, as JSON.
    show : callable
        Takes each piece of text.

    Returns
    -------
    list of dict
        One record per method and problem, and one per batch. Times are in seconds of CPU time, errors and gaps in bits.

    Examples
    --------
    >>> from mmpid.bench import pid
    >>> records = pid.run(quick=True, show=lambda text: None)  # doctest: +SKIP
    """
    for name in PEERS:
        if missing(name):
            show(f"skipped: {name} (not installed: {', '.join(missing(name))})")
    with one_thread(), threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        small = _small(20 if quick else 100)
        if small:
            show(_small_table(small))
        singles = []
        for row in QUICK if quick else FULL:
            records = _single(row)
            singles += records
            show(_single_table(records))
        shape, count = ((10, 10, 5), 32) if quick else ((20, 20, 6), 256)
        batches = [_batch(shape, family, count, "cpu") for family in ("dense", "histogram")]
        if torch.cuda.is_available():
            batches += [_batch(shape, family, 64 if quick else 4096, "cuda") for family in ("dense", "histogram")]
    show(_batch_table(batches))
    if json_path is not None:
        report = {"versions": _versions(), "small": small, "single": singles, "batch": batches}
        Path(json_path).write_text(json.dumps(report, indent=1) + "\n")
    return small + singles + batches


def _timed(function: Callable, *arguments) -> tuple[float, object]:
    start = time.process_time()
    value = function(*arguments)
    return time.process_time() - start, value


def _minimum(result) -> tuple[float, float]:
    """Return the f in nats behind a result, from its atoms, and its gap in bits."""
    q = result.optimum
    p_y = torch.special.entr(q.sum((-3, -2))).sum()
    own1 = _information(q.sum(-2)), _information(q.sum(-3))
    achieved = sum(own1) - float(result.redundancy) * LN2
    return achieved - float(p_y), float(result.gap)


def _information(p: Tensor) -> float:
    entropy = torch.special.entr
    return float(entropy(p.sum(-1)).sum() + entropy(p.sum(-2)).sum() - entropy(p).sum())


def _small(rounds: int) -> list[dict]:
    """Time single gates and small joints in turns with the reference peer."""
    if missing(REFERENCE_PEER):
        return []
    peer = PEERS[REFERENCE_PEER][0]
    cases = {name: getattr(joints, name)() for name in GATES}
    for shape in ((2, 2, 2), (3, 3, 3), (5, 5, 3)):
        for family in ("dense", "histogram"):
            cases[f"{'x'.join(map(str, shape))} {family}"] = FAMILIES[family](*shape, seed=1)
    records = []
    for name, joint in cases.items():
        tasks = (lambda joint=joint: decompose(joint)), (lambda joint=joint: peer(joint.numpy()))
        times = [[_timed(task)[0] for task in tasks] for _ in range(rounds + 3)][3:]
        own, other = (statistics.median(column) for column in zip(*times, strict=True))
        records.append({"problem": name, "seconds": own, "seconds_of_peer": other, "times_faster": other / own})
    return records


def _single(row: Row) -> list[dict]:
    """Time each method on one joint in turns, and compare its value with the reference."""
    joint = row.joint()
    methods = {"mmpid exact": lambda: decompose(joint)}
    if row.fastpid:
        methods["mmpid fastpid"] = lambda: decompose(joint, method="fastpid")
    for name in row.peers:
        if not missing(name):
            methods[name] = lambda peer=PEERS[name][0]: peer(joint.numpy())
    truth = float(objective(decompose(joint, tol=1e-9).optimum.mT.unsqueeze(0))[0])
    methods["mmpid exact"]()
    times: dict[str, list[float]] = {name: [] for name in methods}
    values = {}
    for turn in range(row.rounds):
        for name, solve in methods.items():
            # the paper's method takes seconds in any case: once is enough
            if name == "mmpid fastpid" and turn:
                continue
            seconds, found = _timed(solve)
            times[name].append(seconds)
            values[name] = _minimum(found) if isinstance(found, PIDResult) else (found, None)
    base = statistics.median(times["mmpid exact"])
    return [
        {
            "shape": list(row.shape),
            "family": row.family,
            "method": name,
            "seconds": statistics.median(times[name]),
            "times_exact": statistics.median(times[name]) / base,
            "error": abs(values[name][0] - truth) / LN2,
            "gap": values[name][1],
        }
        for name in methods
    ]


def _batch(shape: tuple, family: str, count: int, device: str) -> dict:
    """Time a batch in turns with the reference peer on one of its problems; on a GPU by the wall clock."""
    distinct = torch.stack([FAMILIES[family](*shape, seed=seed) for seed in range(min(count, 256))])
    batch = distinct.repeat(-(-count // len(distinct)), 1, 1, 1)[:count].to(device)
    result = decompose(batch[:64])
    if device == "cuda":
        torch.cuda.synchronize()
    clock = time.process_time if device == "cpu" else time.perf_counter
    seconds, of_peer = [], []
    for _ in range(3):
        if not missing(REFERENCE_PEER):
            of_peer.append(_timed(PEERS[REFERENCE_PEER][0], distinct[1].numpy())[0])
        start = clock()
        result = decompose(batch)
        float(result.gap.sum())
        seconds.append(clock() - start)
    record = {"shape": list(shape), "family": family, "count": count, "device": device}
    record |= {"seconds_per_problem": statistics.median(seconds) / count, "worst_gap": float(result.gap.max())}
    record["times_faster_than_peer"] = statistics.median(of_peer) / record["seconds_per_problem"] if of_peer else None
    record["iterations"] = float(result.n_iter.double().mean())
    if device == "cuda":
        there, here = result.redundancy[:256].cpu(), decompose(distinct[:256]).redundancy
        record["largest_difference_to_cpu"] = float((there[: len(here)] - here).abs().max())
    return record


def _small_table(records: list[dict]) -> str:
    rows = [
        [r["problem"], f"{r['seconds'] * 1e3:.2f}", f"{r['seconds_of_peer'] * 1e3:.2f}", f"{r['times_faster']:.2f}"]
        for r in records
    ]
    mean = statistics.geometric_mean(r["times_faster"] for r in records)
    rows.append(["geometric mean", "", "", f"{mean:.2f}"])
    return text_table(["one at a time", "ms", f"ms, {REFERENCE_PEER}", "times faster"], rows) + "\n"


def _single_table(records: list[dict]) -> str:
    title = f"{'x'.join(map(str, records[0]['shape']))} {records[0]['family']}"
    rows = [
        [r["method"], f"{r['seconds'] * 1e3:.1f}", f"{r['times_exact']:.1f}", f"{r['error']:.0e}",
         "-" if r["gap"] is None else f"{r['gap']:.0e}"]
        for r in records
    ]  # fmt: skip
    return text_table([title, "ms", "times exact", "error, bits", "certified gap"], rows) + "\n"


def _batch_table(records: list[dict]) -> str:
    rows = [
        [f"{r['count']} of {'x'.join(map(str, r['shape']))} {r['family']}, {r['device']}",
         f"{r['seconds_per_problem'] * 1e3:.2f}", f"{1 / r['seconds_per_problem']:.0f}", f"{r['iterations']:.1f}",
         f"{r['worst_gap']:.0e}",
         f"{r['times_faster_than_peer']:.1f}" if r["times_faster_than_peer"] else "-"]
        for r in records
    ]  # fmt: skip
    header = ["batch", "ms per problem", "problems/s", "iterations", "worst gap", f"faster than {REFERENCE_PEER}"]
    return text_table(header, rows)


def _versions() -> dict[str, str]:
    names = ["torch", "numpy", "clarabel", "cvxpy", "dit", "ecos"]
    found = {"python": platform.python_version()}
    for name in names:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found
