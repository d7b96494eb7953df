"""The rows that a board reads are those of the record, however they came."""

import random

import pytest

from mmpid.plots.traces import left_behind
from mmpid.widgets.board.history import History, thinned
from tests.widgets.fake_trainer import FakeTrainer


def expect_same(history, record):
    history.update()
    path = record.lineage()
    assert history.path == path and all(a is b for a, b in zip(history.path, path, strict=True))
    for kind in ("epoch", "probe", "decision", "batch", "result"):
        assert history.of(kind) == record.lineage(kind)
    left = left_behind(path, record.rows)
    assert history.left == left
    assert history.reached == max((row["epoch"] for part in (path, left) for row in part), default=0)


@pytest.mark.parametrize("seed", range(5))
def test_a_history_follows_steps_rewinds_and_a_switch(seed):
    draw = random.Random(seed)
    trainer = FakeTrainer(epochs=400)
    trainer.auto = False
    history = History(trainer.record)
    expect_same(history, trainer.record)
    for _ in range(30):
        probes = [row["epoch"] for row in trainer.record.lineage("probe")]
        if probes and draw.random() < 0.3:
            trainer.rewind(draw.choice(probes))
        else:
            trainer.step(epochs=draw.randint(1, 9))
        if draw.random() < 0.6:  # some updates see several rewinds at once
            expect_same(history, trainer.record)
    expect_same(history, trainer.record)


def test_a_history_costs_the_new_rows_only():
    trainer = FakeTrainer(epochs=400)
    trainer.step(epochs=40)
    history = History(trainer.record).update()
    path = history.path
    assert history.update().path is path  # nothing is read again

    class Watched(list):
        def __getitem__(self, where):
            if isinstance(where, slice):
                taken.append(len(range(*where.indices(len(self)))))
            return super().__getitem__(where)

    taken: list[int] = []
    before = len(trainer.record.rows)
    trainer.step(epochs=1)
    trainer.record.rows = Watched(trainer.record.rows)
    history.update()
    assert sum(taken) == len(trainer.record.rows) - before


def test_a_record_that_was_replaced_is_read_anew():
    trainer = FakeTrainer(epochs=60)
    trainer.step(epochs=12)
    history = History(trainer.record).update()
    trainer.record.rows = [dict(row) for row in trainer.record.rows[:-2]]
    expect_same(history, trainer.record)


def test_few_rows_keep_the_first_and_the_last():
    rows = [{"epoch": i} for i in range(1000)]
    few = thinned(rows, 120)
    assert len(few) == 120 and few[0] is rows[0] and few[-1] is rows[-1]
    assert thinned(rows[:120], 120) == rows[:120]
