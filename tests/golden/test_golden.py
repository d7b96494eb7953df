"""Runs recorded before the trainer was recomposed: every row and every weight must come out as it did then."""

import gzip
import json
from pathlib import Path

import pytest

from mmpid.rules import BalanceController, LeadPause, NothingLearned
from tests.golden.scenarios import SCENARIOS, SEEDS, arithmetic, fingerprint

GOLDEN = json.loads(gzip.decompress((Path(__file__).parent / "runs.json.gz").read_bytes()))

VALUES = {"old", "new"}  # numbers that decisions carry since then
CERTIFIED = 1e-6  # bits; the solver may find another path to an answer, within its certificate


def controller(rule, *, ratio, floor, warmup, dwell, give_up):
    """Make the controller of a scenario; a ratio of None pauses nobody."""
    pause = None if ratio is None else LeadPause(ratio=ratio, floor=floor, warmup=warmup, dwell=dwell)
    return BalanceController(rule=rule, pause=pause, give_up=give_up and NothingLearned(probes=give_up))


def same_row(row: dict, expected: dict) -> bool:
    """Compare bit for bit; the atoms of a probe to what the solver certifies."""
    if row["kind"] != "probe" or row.keys() != expected.keys():
        return row == expected
    return all(
        abs(x - expected[key]) <= CERTIFIED if isinstance(x, float) and "ecs" not in key else x == expected[key]
        for key, x in row.items()
    )


@pytest.fixture(scope="module")
def same_arithmetic() -> bool:
    """Whether this machine computes as the one did that recorded the runs."""
    return arithmetic() == GOLDEN["arithmetic"]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_run_repeats_its_golden_record(name, seed, tmp_path, same_arithmetic):
    if not same_arithmetic:
        pytest.skip("this processor or this torch rounds sums differently, so runs cannot repeat bit for bit")
    found = [fingerprint(trainer) for trainer in SCENARIOS[name](seed, controller, tmp_path)]
    for run, golden in zip(found, GOLDEN["runs"][f"{name}-{seed}"], strict=True):
        for row, expected in zip(run["rows"], golden["rows"], strict=True):
            assert same_row({key: x for key, x in row.items() if key in expected}, expected)
            new = row.keys() - expected.keys()
            assert all(row["kind"] == "decision" and (key in VALUES or key.startswith("value.")) for key in new)
        assert run["weights"] == golden["weights"] and run["selected"] == golden["selected"]
        assert run["settings"] == golden["settings"]
