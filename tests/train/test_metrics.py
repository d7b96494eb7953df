"""What an epoch's batches gave is read late, many batches at a time; the numbers are as if each were read at once."""

from math import inf, isnan, nan

import pytest
import torch

from mmpid.train import metrics
from mmpid.train.metrics import EpochMetrics
from tests.small_runs import weights

CPU = torch.device("cpu")


def batch(right: int, n: int, *, seed: int = 0) -> tuple[dict, dict, torch.Tensor]:
    """Return losses, logits and labels of a batch in which `right` of `n` answers of both classifiers are right."""
    target = torch.randint(0, 5, (n,), generator=torch.Generator().manual_seed(seed))
    answers = torch.where(torch.arange(n) < right, target, (target + 1) % 5)
    logits = torch.nn.functional.one_hot(answers, 5).float()
    return {"a": torch.tensor(0.5), "b": torch.tensor(nan)}, {"a": logits, "b": logits.bfloat16()}, target


def test_batches_of_any_size_are_counted_and_a_loss_that_is_no_number_is_infinite():
    made = EpochMetrics(("a", "b"), [8, 8, 3], CPU)
    for number, (right, n) in enumerate([(2, 8), (8, 8), (1, 3)]):
        made.add(number, *batch(right, n, seed=number))
    assert made.losses() == [[0.5, inf]] * 3
    assert made.accuracies() == {"a": 11 / 19, "b": 11 / 19}


def test_what_was_not_trained_has_no_numbers_and_is_judged_by_what_it_was_trained_on():
    made = EpochMetrics(("a", "b", "joint"), [8, 8], CPU)
    losses, logits, target = batch(2, 8)
    made.add(0, {"b": losses["a"]}, {"b": logits["a"]}, target)
    made.add(1, *batch(4, 8))
    assert made.mean_losses() == {"a": 0.5, "b": inf} and all(isnan(row[2]) for row in made.losses())
    assert made.accuracies() == {"a": 4 / 8, "b": 6 / 16}


def test_parts_of_a_batch_stand_for_the_whole_and_a_whole_one_for_itself():
    made = EpochMetrics(("a", "b"), [16, 9], CPU, mean=lambda values: values)  # of two processes, seen by one
    made.add(0, *batch(2, 8), 2)
    made.add(1, *batch(3, 9))
    assert made.accuracies()["a"] == (2 * 2 + 3) / 25


@pytest.mark.parametrize(("logits", "losses"), [(0, 10**9), (10**9, 0), (0, 0), (700, 3)])
def test_how_much_may_wait_changes_no_number(make_trainer, monkeypatch, logits, losses):
    plain, tight = make_trainer(batch_size=16), make_trainer(batch_size=16)
    plain.fit(progress=False)
    monkeypatch.setattr(metrics, "MOST_LOGITS", logits)
    monkeypatch.setattr(metrics, "MOST_LOSSES", losses)
    tight.fit(progress=False)
    assert tight.record == plain.record and torch.equal(weights(tight), weights(plain))


@pytest.mark.parametrize(("log_every", "losses"), [(10**6, 5), (1, 0)])
def test_no_more_waits_than_memory_should_hold(make_trainer, monkeypatch, log_every, losses):
    monkeypatch.setattr(metrics, "MOST_LOGITS", 500)  # a batch has 2 x 16 x 4
    monkeypatch.setattr(metrics, "MOST_LOSSES", 5)
    trainer, most = make_trainer(batch_size=16, log_every=log_every), [0, 0]
    for _ in range(12):
        trainer.step(batches=1)
        waiting = trainer._run.epoch.metrics
        most = [max(most[0], len(waiting._unjudged)), max(most[1], len(waiting._unread))]
    assert most == [3, losses] and len(waiting._judged) == 3


def test_counts_batch_by_batch_and_counts_together_mean_the_same(make_trainer):
    trainer, straight = make_trainer(batch_size=16), make_trainer(batch_size=16)
    for made in (trainer, straight):
        made.pause("a")
        made.step(batches=5)
        made.resume("a")
    state = straight.state_dict()
    counts = state["epoch"]["metrics"]["right"]
    total = counts[:5, 1].sum()
    counts[:5, 1] = torch.tensor([total - 4, 1, 1, 1, 1])  # as if each batch had been judged by itself
    trainer.load_state_dict(state)
    assert trainer.fit(progress=False) == straight.fit(progress=False)


def test_what_waits_keeps_no_graph_alive(make_trainer):
    trainer = make_trainer(batch_size=16)
    trainer.step(batches=3)
    waiting = [
        x for one in (*trainer._run.epoch.metrics._unread, *trainer._run.epoch.metrics._unjudged) for x in one.tensors
    ]
    assert len(waiting) == 3 * 5 and not any(x.requires_grad for x in waiting)
