"""Probes of many classes: what is counted, how long it takes, and that runs with few classes stay as they were."""

import time

import pytest
import torch

from mmpid import LateFusion, MultimodalData, Trainer
from mmpid.errors import SmallSampleWarning
from mmpid.pid import estimate_cost
from mmpid.train import TrainConfig
from mmpid.train.observable import settle
from mmpid.train.probe_time import ProbeProgress, expected_seconds


def data_of(k: int, n: int) -> MultimodalData:
    generator = torch.Generator().manual_seed(k)
    y = torch.arange(n) % k
    names = torch.randn(k, 6, generator=generator)
    inputs = {name: names[y] + torch.randn(n, 6, generator=generator) for name in "ab"}
    return MultimodalData.from_arrays(inputs, y, seed=0)


def trainer_of(data: MultimodalData, **settings) -> Trainer:
    model = LateFusion.from_data(data, encoder="mlp", seed=0)
    return Trainer(model, data, device="cpu", n_boot=3, n_null=2, epochs=4, **settings)


@pytest.fixture(scope="module")
def many() -> MultimodalData:
    return data_of(101, 2020)


@pytest.mark.parametrize("estimator", ["counted", "held-out"])
def test_a_hundred_classes_are_counted_by_codes_and_the_record_says_why(many, estimator):
    with pytest.warns(SmallSampleWarning, match="101 x 101"):
        trainer = trainer_of(many, estimator=estimator)
    row = trainer.probe()
    assert row["observable"] == trainer.config.observable == "posterior"
    assert trainer.record.metadata["settings"]["n_clusters"] == trainer.config.n_clusters == 8
    assert "two for each" in trainer.record.metadata["probe_note"]
    assert row["gap"] <= 1e-6 and row["total"] == pytest.approx(
        sum(row[atom] for atom in ("redundancy", "unique1", "unique2", "synergy"))
    )
    assert row["seconds"] < 20  # a minute and more with predicted classes; measured as a share in docs/solver.md


def test_three_hundred_and_nine_classes_can_be_probed():
    with pytest.warns(SmallSampleWarning):
        trainer = trainer_of(data_of(309, 3090))
    assert trainer.probe()["gap"] <= 1e-6


def test_few_classes_keep_their_predicted_classes_and_an_explicit_choice_is_kept(many):
    for k, n, expected in ((3, 300, "prediction"), (20, 400, "prediction"), (21, 1050, "posterior")):
        assert settle(TrainConfig(), data_of(k, n))[0].observable == expected
    large = data_of(24, 8 * 2 * 24**2)
    assert settle(TrainConfig(), large) == (TrainConfig(observable="prediction"), "")
    assert settle(TrainConfig(probe_samples=100), large)[0].observable == "posterior"
    for choice in ("prediction", "kmeans", "soft", "posterior"):
        config = TrainConfig(observable=choice)
        assert settle(config, many) == (config, "")
    assert settle(TrainConfig(n_clusters=12), many)[0].n_clusters == 12


def test_a_run_of_codes_goes_on_bit_for_bit_and_its_branch_keeps_the_note(many, tmp_path):
    with pytest.warns(SmallSampleWarning):
        whole, first = trainer_of(many), trainer_of(many)
    whole.step(epochs=3)
    first.step(epochs=2)
    second = Trainer.load(first.save(tmp_path / "run"), many, device="cpu")
    second.step(epochs=1)
    rows = [
        [{k: v for k, v in r.items() if k not in ("seconds", "time")} for r in t.record.rows] for t in (whole, second)
    ]
    assert rows[0] == rows[1]
    child = second.branch(at=2)
    assert child.record.metadata["probe_note"] == whole.record.metadata["probe_note"]


def test_a_long_probe_is_announced_and_its_progress_can_be_read(many, capsys):
    trainer = trainer_of(many, observable="kmeans", n_clusters=4, estimator="counted")
    prober = trainer._run.prober
    trainer.probe()
    assert "takes about" not in capsys.readouterr().err and trainer.probing is None
    prober.expected, seen = 40.0, []
    decompose = prober._decompose

    def watched(found):
        seen.append(trainer.probing)
        return decompose(found)

    prober._decompose = watched
    trainer.probe()
    assert "takes about 40 s: 303 samples" in capsys.readouterr().err
    assert isinstance(seen[0], ProbeProgress) and seen[0].expected == 40.0 and 0 <= seen[0].share < 1
    assert trainer.probing is None and prober.expected < 40.0  # the next one is announced by what this one took


def test_progress_counts_decompositions_and_never_says_that_all_is_done():
    progress = ProbeProgress(expected=1e6, solved=0.5)
    assert progress.share == 0.5
    progress.solved = 1.0
    assert progress.share == 0.99
    progress.started = time.perf_counter() - 1e7
    assert progress.share == 0.99


def test_the_expected_time_grows_with_classes_and_replicates():
    def seconds(k, **settings):
        return expected_seconds(TrainConfig(observable="prediction", **settings), 1500, k, 2)

    assert seconds(10, estimator="held-out") == 0.0
    assert seconds(34, estimator="held-out") < seconds(50, estimator="held-out") < seconds(101, estimator="held-out")
    counted = [seconds(101, estimator="counted", n_boot=n) for n in (0, 100)]
    assert counted[1] > counted[0] >= estimate_cost(n1=101, n2=101, k=101, n_samples=1500).seconds / 2
