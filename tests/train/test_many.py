"""Three to six modalities: the row of a probe, the controller, rewind and resume, and an induced imbalance."""

import math
import time

import numpy as np
import pytest
import torch

import mmpid
from mmpid import BalanceController, FixedEpoch, LateFusion, Manual, MultimodalData, RedundancyPlateau, Trainer
from mmpid.estimate import estimate_row
from tests.small_runs import QUICK, weights

NOBODY = BalanceController(rule=Manual(), pause=None)


def make_data(n_modalities: int, n: int = 400, noise: float = 1.0, seed: int = 0) -> MultimodalData:
    rng = np.random.default_rng(seed)
    y = np.arange(n) % 4
    inputs = {name: rng.normal(size=(4, 6))[y] + noise * rng.normal(size=(n, 6)) for name in "abcdef"[:n_modalities]}
    return MultimodalData.from_arrays(inputs, y, seed=0, name=f"many{n_modalities}")


@pytest.fixture(scope="module")
def three():
    return make_data(3)


def run(data, **settings):
    settings = {"epochs": 6, "unimodal_epochs": 4, **QUICK, **settings}
    return Trainer(LateFusion.from_data(data, seed=0), data, **settings)


# --- the row ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(1)
    y = torch.arange(240) % 4
    return {name: torch.tensor(rng.normal(size=(240, 4)) + 2 * np.eye(4)[y.numpy()]) for name in "abcd"}, y


@pytest.mark.parametrize("discretizer", ["prediction", "soft", "kmeans"])
@pytest.mark.parametrize("correction", ["auto", "none"])
def test_the_numbers_are_those_of_estimate_pid_multi(scores, discretizer, correction):
    sources, target = scores
    settings = {"discretizer": discretizer, "n_clusters": 5, "n_components": 3, "correction": correction, "seed": 3}
    settings |= {"n_boot": 20, "n_null": 5, "n_classes": 4, "estimator": "counted"}
    row = estimate_row(sources, target, method="exact", **settings)
    multi = mmpid.estimate_pid_multi(sources, target, warn=False, **settings)
    rows = [multi.one_vs_rest[name].to_row() for name in sources]
    for i, own in enumerate(rows, start=1):
        for end in ("", "_low", "_high", "_plugin", "_null_low", "_null_high"):
            assert row[f"unique{i}{end}"] == own[f"unique1{end}"]
    for key in ("redundancy", "synergy", "total", "synergy_low", "synergy_high", "redundancy_null_high"):
        assert row[key] == pytest.approx(np.mean([own[key] for own in rows]))
    for (a, b), pair in multi.pairwise.items():
        assert row[f"redundancy.{a}|{b}"] == pytest.approx(float(pair.pid.redundancy), abs=2e-3)
        assert row[f"synergy.{a}|{b}"] == pytest.approx(float(pair.pid.synergy), abs=2e-3)
    assert row["synergy.c"] == rows[2]["synergy"] and row["gap"] <= 1e-6


@pytest.mark.parametrize("n_modalities", [2, 3, 6])
@pytest.mark.parametrize("observable", ["prediction", "kmeans", "soft"])
def test_two_to_six_modalities_are_probed_flat_and_certified(n_modalities, observable):
    data = make_data(n_modalities)
    trainer = run(data, observable=observable, n_boot=5, n_null=3, correction="auto", epochs=2, unimodal_epochs=1)
    trainer.fit(progress=False)
    for row in trainer.record.lineage("probe"):
        assert all(value is None or isinstance(value, bool | int | float | str) for value in row.values())
        assert row["gap"] <= 1e-6 and row["observable"] == observable
        assert {f"unique{i + 1}_high" for i in range(n_modalities)} <= row.keys()
        assert f"unique{n_modalities + 1}" not in row
        pairs = [key for key in row if key.startswith("synergy.") and "|" in key]
        assert len(pairs) == (math.comb(n_modalities, 2) if n_modalities > 2 else 0)
        if n_modalities > 2:
            assert row["redundancy"] == pytest.approx(np.mean([row[f"redundancy.{m}"] for m in data.modalities]))
    result = trainer.record.lineage("result")[0]
    assert {f"test_accuracy.{name}" for name in (*data.modalities, "ens", "joint")} <= result.keys()


def test_what_only_one_of_three_knows_is_its_unique_information():
    """y = 2 bits of a, seen by a; b and c both show the first of them."""
    rng = np.random.default_rng(0)
    y = torch.tensor(rng.integers(4, size=600))
    half = torch.eye(4)[y] + torch.eye(4)[y ^ 1]
    row = estimate_row(
        {"a": torch.eye(4)[y] * 20, "b": half * 20, "c": half * 20}, y, discretizer="soft", n_clusters="auto",
        n_components=3, correction="none", n_boot=0, n_null=0, n_classes=4, method="exact", seed=0,
        estimator="counted",
    )  # fmt: skip
    assert row["unique1"] == pytest.approx(1, abs=0.02)
    assert row["unique2"] == pytest.approx(0, abs=0.02) and row["unique3"] == pytest.approx(0, abs=0.02)
    assert row["redundancy.b|c"] == pytest.approx(1, abs=0.02)


# --- the run ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("observable", ["prediction", "kmeans"])
def test_the_same_seed_gives_the_same_record_and_a_resumed_run_goes_on_bit_for_bit(three, tmp_path, observable):
    whole, again, first = (run(three, observable=observable, batch_size=40) for _ in range(3))
    first.step(batches=15)
    resumed = Trainer.load(first.save(tmp_path / "run"), three, device="cpu")
    for trainer in (whole, again, resumed):
        trainer.fit(progress=False)
    assert again.record == whole.record == resumed.record
    assert torch.equal(weights(again), weights(whole)) and torch.equal(weights(resumed), weights(whole))


def test_codebooks_of_modalities_and_of_their_rests_travel_with_a_checkpoint(three):
    trainer = run(three, observable="kmeans", unimodal_epochs=6, controller=NOBODY)
    trainer.step(epochs=4)
    later = trainer.record.lineage("probe")[-2:]
    names = [name for book in trainer.checkpoints.get((0, 2)).unpack()["prober"].values() for name in book]
    assert len(names) == 3 * 6, "mean, axes and centers of three modalities and of three rests"
    trainer.rewind(to=2)
    trainer.step(epochs=2)
    atoms = [[row[f"unique{i}"] for i in (1, 2, 3)] for row in (*later, *trainer.record.lineage("probe")[-2:])]
    assert atoms[:2] == atoms[2:]


def test_each_is_paused_and_resumed_on_its_own(three):
    trainer = run(three, controller=NOBODY)
    trainer.pause("a")
    trainer.pause("c")
    with pytest.raises(mmpid.errors.ConfigError, match="'b' is the only active modality"):
        trainer.pause("b")
    trainer.step(epochs=1)
    trainer.resume("c")
    assert trainer.active == ("b", "c")
    row = trainer.record.lineage("epoch")[-1]
    assert (row["active.a"], row["active.b"], row["active.c"]) == (False, True, False)


def test_replay_branch_diagnose_compare_and_sweep_take_three(three, tmp_path):
    trainer = run(three, epochs=6, unimodal_epochs=5, stage2="off")
    trainer.fit(progress=False)
    decisions = mmpid.replay(trainer.record, BalanceController(rule=FixedEpoch(epoch=3)))
    assert decisions[-1].action == "switch"
    assert mmpid.replay(trainer.record, RedundancyPlateau(patience=2, max_gap=0.5))
    assert isinstance(mmpid.diagnose(trainer), tuple)
    assert trainer.branch(at=2).epoch == 2
    size = {"epochs": 2, "unimodal_epochs": 1, **QUICK}
    assert mmpid.baselines(three, methods=["unimodal", "fixed"], **size).index.tolist() == [
        "a",
        "b",
        "c",
        "ens",
        "fixed",
    ]
    recipe = lambda seed: run(three, epochs=3, unimodal_epochs=2, stage2="off")  # noqa: E731
    assert len(mmpid.sweep_switch(recipe, at=[0, 1], seeds=[0], progress=False).rows) == 2


@pytest.mark.slow
@pytest.mark.parametrize(("estimator", "most"), [("counted", 12), ("held-out", 6 + 15)])  # each against the rest; pairs
def test_a_probe_of_six_costs_at_most_so_many_of_two(estimator, most):
    def seconds(data):
        trainer = run(data, correction="auto", ecs=(), estimator=estimator)
        trainer.probe()
        times = []
        for _ in range(3):
            start = time.process_time()
            trainer.probe()
            times.append(time.process_time() - start)
        return min(times)

    assert seconds(make_data(6, n=1600)) < most * seconds(make_data(2, n=1600))
