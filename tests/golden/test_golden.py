"""Runs recorded before the trainer was recomposed: every row and every weight must come out as it did then."""

import gzip
import json
from pathlib import Path

import pytest

from mmpid import BalanceController
from tests.golden.scenarios import SCENARIOS, SEEDS, arithmetic, fingerprint

GOLDEN = json.loads(gzip.decompress((Path(__file__).parent / "runs.json.gz").read_bytes()))

VALUES = {"old", "new"}  # numbers that decisions carry since then


def controller(rule, *, ratio, floor, warmup, dwell, give_up):
    """Make the controller of a scenario; a ratio of None pauses nobody."""
    return BalanceController(
        rule=rule, uniqueness_ratio=10**9 if ratio is None else ratio, floor=floor, warmup=warmup, dwell=dwell,
        give_up_after=give_up,
    )  # fmt: skip


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
            assert {key: x for key, x in row.items() if key in expected} == expected
            new = row.keys() - expected.keys()
            assert all(row["kind"] == "decision" and (key in VALUES or key.startswith("value.")) for key in new)
        assert run["weights"] == golden["weights"] and run["selected"] == golden["selected"]
        assert run["settings"] == golden["settings"]
