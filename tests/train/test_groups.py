import numpy as np
import pytest
import torch

from mmpid import LateFusion, MultimodalData, Trainer, datasets, diagnose, estimate_pid, replay
from mmpid.errors import CheckpointError, SmallSampleWarning
from mmpid.rules import RedundancyPlateau
from tests.small_runs import weights

ATOMS = ("redundancy", "unique1", "unique2", "synergy")
MEASURED = {"estimator": "counted", "n_boot": 60, "n_null": 40, "device": "cpu", "epochs": 4, "unimodal_epochs": 2}
SIZES = {"train": 120, "probe": 80, "validation": 40, "test": 40}


def make_data(copies=1, grouped=True, names=("a", "b"), probe_groups=None):
    """Samples of which those of the probe split stand `copies` times each, as one group."""
    rng = np.random.default_rng(0)
    total = sum(SIZES.values())
    y = np.arange(total) % 4
    x = {
        name: rng.normal(size=(4, 6))[y] + (0.7 + 0.5 * i) * rng.normal(size=(total, 6)) for i, name in enumerate(names)
    }
    ends = np.cumsum([0, *SIZES.values()])
    order = {key: np.arange(a, b) for key, a, b in zip(SIZES, ends, ends[1:], strict=False)}
    order["probe"] = np.repeat(order["probe"], copies)
    rows = np.concatenate(list(order.values()))
    ends = np.cumsum([0, *map(len, order.values())])
    split = {key: np.arange(a, b) for key, a, b in zip(order, ends, ends[1:], strict=False)}
    groups = rows.copy()
    if probe_groups is not None:
        groups[split["probe"]] = total + probe_groups
    inputs = {name: value[rows] for name, value in x.items()}
    return MultimodalData.from_arrays(inputs, y[rows], split=split, groups=groups if grouped else None, name="made")


def make_trainer(data, **settings):
    return Trainer(LateFusion.from_data(data, seed=0), data, seed=0, **{**MEASURED, **settings})


def last_probe(trainer):
    trainer.step(epochs=2)
    return trainer.record.lineage("probe")[-1]


def width(row, atom):
    return row[f"{atom}_high"] - row[f"{atom}_low"]


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")])
@pytest.mark.parametrize("correction", ["none", "permutation"])
def test_copies_of_a_sample_in_one_group_tell_no_more_than_the_sample(names, correction):
    once, grouped, loose = (
        last_probe(make_trainer(make_data(copies, grouped=g, names=names), correction=correction, lr=0.1))
        for copies, g in ((1, False), (9, True), (9, False))
    )
    assert "n_groups" not in once and "n_groups" not in loose
    assert grouped["n_groups"] == 80 and grouped["n_samples"] == loose["n_samples"] == 720
    for atom in ("redundancy", *(f"unique{i + 1}" for i in range(len(names)))):
        for key in (atom, f"{atom}_low", f"{atom}_high", f"{atom}_null_low", f"{atom}_null_high"):
            assert grouped[key] == pytest.approx(once[key], abs=2e-3)  # the tolerance of replicates
        if correction == "none":  # others span several centers, which does not shrink with the root of the copies
            assert width(loose, atom) == pytest.approx(width(grouped, atom) / 3, rel=0.35)


def test_the_row_of_samples_without_groups_is_what_the_estimator_says_without_them():
    trainer = make_trainer(make_data(grouped=False), ecs=())
    row = trainer.probe()
    seen = trainer.model(trainer.data.split("probe").inputs).unimodal
    options = {"discretizer": "prediction", "n_classes": 4, "warn": False, "n_boot": 60, "n_null": 40}
    options["estimator"] = "counted"
    own = estimate_pid(*(seen[name].detach() for name in "ab"), trainer.data.split("probe").target, **options)
    assert {key: row[key] for key in own.to_row()} == own.to_row()
    assert "groups" not in trainer.record.metadata["data"] and "n_groups" not in row


def test_a_probe_of_watch_is_less_sure_than_its_windows_make_it_look():
    data = datasets.load("watch", seed=0)
    trainer = make_trainer(data, lr=0.01, epochs=3)
    row = last_probe(trainer)
    seen = [x.detach() for x in trainer.model(data.split("probe").inputs).unimodal.values()]
    options = {"discretizer": "prediction", "n_classes": 7, "warn": False, "n_boot": 60, "n_null": 40}
    options["estimator"] = "counted"
    by_window = estimate_pid(*seen, data.split("probe").target, **options).to_row()
    assert row["n_groups"] == 14 and by_window["n_samples"] == row["n_samples"]
    assert width(row, "redundancy") > 1.5 * width(by_window, "redundancy")
    assert width(row, "unique1") > 1.5 * width(by_window, "unique1")
    assert row["unique1_null_high"] > 2 * by_window["unique1_null_high"]
    assert trainer.record.metadata["data"]["groups"]["probe"] == 14
    assert "14 groups" in {f.name: f.evidence for f in diagnose(trainer)}["the probe has few groups"]


@pytest.mark.parametrize("observable", ["prediction", "kmeans"])
def test_a_grouped_run_goes_on_bit_for_bit_and_branches_rewind_and_replay_work(tmp_path, observable):
    data = make_data(copies=3)
    whole, first = (make_trainer(data, observable=observable, epochs=5) for _ in range(2))
    first.step(epochs=1)
    resumed = Trainer.load(first.save(tmp_path / "run"), data, device="cpu")
    for trainer in (whole, resumed):
        trainer.fit(progress=False)
    assert resumed.record == whole.record and torch.equal(weights(resumed), weights(whole))
    assert {row["n_groups"] for row in whole.record.lineage("probe")} == {80}
    branch = whole.branch(at=1)
    assert branch.probe()["n_groups"] == 80
    branch.rewind(to=1)
    assert replay(whole.record, RedundancyPlateau())
    with pytest.raises(CheckpointError, match="made with data"):
        Trainer.load(tmp_path / "run", make_data(copies=3, grouped=False), device="cpu")


def test_a_part_of_the_probe_split_keeps_its_groups():
    trainer = make_trainer(make_data(copies=3), probe_samples=60)
    row = trainer.probe()
    assert row["n_samples"] == 60 and 20 < row["n_groups"] < 60


def test_one_group_is_said_and_resampled_by_sample():
    one, loose = make_data(probe_groups=np.zeros(80, int)), make_data(grouped=False)
    with pytest.warns(SmallSampleWarning, match=r"'probe' split holds one group.*20 groups or more"):
        trainer = make_trainer(one)
    row, plain = last_probe(trainer), last_probe(make_trainer(loose))
    assert row["n_groups"] == 1
    assert all(row[key] == plain[key] for key in plain if key not in ("seconds", "n_groups"))
    evidence = {f.name: f.evidence for f in diagnose(trainer)}["the probe has few groups"]
    assert "80 samples" in evidence and "one group" in evidence


def test_one_group_is_no_matter_where_nothing_is_resampled(recwarn):
    make_trainer(make_data(probe_groups=np.zeros(80, int)), n_boot=0, n_null=0).probe()
    assert not recwarn


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")])
@pytest.mark.parametrize("groups", [np.arange(80) // 40, np.arange(80) % 2, np.arange(80) % 4, np.arange(80) % 3])
def test_two_to_four_groups_give_numbers_also_where_a_group_is_a_class(groups, names):
    row = make_trainer(make_data(probe_groups=groups, names=names)).probe()
    assert row["n_groups"] == len(set(groups))
    values = [x for key, x in row.items() if key.startswith(ATOMS) and not isinstance(x, bool)]
    assert np.isfinite(values).all()
    assert all(row[f"{atom}_low"] <= row[f"{atom}_high"] for atom in ATOMS if f"{atom}_low" in row)


def test_groups_are_held_out_whole():
    loose, grouped = (make_trainer(make_data(copies=3, grouped=g), estimator="held-out") for g in (False, True))
    rows = [last_probe(trainer) for trainer in (loose, grouped)]
    assert rows[1]["n_groups"] == 80 and rows[1]["estimator"] == "held-out"
    assert width(rows[1], "redundancy") > 1.3 * width(rows[0], "redundancy"), "copies in training would be known"


def test_where_each_class_lies_in_one_group_samples_are_held_out():
    """As in "leaf-flavia": while its only group is held out, a class cannot be learned."""
    one_a_class, held_out = make_data(probe_groups=np.arange(80) % 4), {"estimator": "held-out", "n_null": 0}
    with pytest.warns(SmallSampleWarning, match=r"'probe' split most classes lie in one group.*several groups"):
        trainer = make_trainer(one_a_class, **held_out)
    row, plain = last_probe(trainer), last_probe(make_trainer(make_data(grouped=False), **held_out))
    assert row["n_groups"] == 4
    assert all(row[key] == plain[key] for key in plain if key not in ("seconds", "n_groups"))
