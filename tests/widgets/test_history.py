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
    assert history.probed == [row["epoch"] for row in record.lineage("probe")]
    assert history.decided == [row for row in record.lineage("decision") if row["action"] != "hold"]
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
    class Watched(list):
        def __getitem__(self, where):
            if isinstance(where, slice):
                taken.append(len(range(*where.indices(len(self)))))
            return super().__getitem__(where)

    taken: list[int] = []
    trainer = FakeTrainer(epochs=400)
    trainer.step(epochs=40)
    trainer.record.rows = Watched(trainer.record.rows)
    history = History(trainer.record).update()
    path = history.path
    assert history.update().path is path  # nothing is read again
    taken.clear()
    before = len(trainer.record.rows)
    trainer.step(epochs=1)
    history.update()
    assert before < len(trainer.record.rows)
    assert sum(taken) == len(trainer.record.rows) - before


def test_a_record_that_was_replaced_is_read_anew():
    trainer = FakeTrainer(epochs=60)
    trainer.step(epochs=12)
    history = History(trainer.record).update()
    trainer.record.rows = [dict(row) for row in trainer.record.rows[:-2]]
    expect_same(history, trainer.record)


@pytest.mark.parametrize("most", (2, 3, 60, 120))
def test_few_rows_keep_the_first_and_the_last(most):
    assert thinned(range(most), most) == range(most)
    for count in (*range(most + 1, 4 * most + 3), 1000, 4097):
        few = thinned(range(count), most)
        assert (few[0], few[-1]) == (0, count - 1) and most / 2 <= len(few) <= most
        assert few == sorted(set(few))


def test_a_row_that_is_drawn_stays_until_twice_as_many_are_there():
    for count in range(121, 2000):
        few = thinned(range(count), 120)
        stride = few[1]
        assert stride.bit_count() == 1  # a power of two: the places of a longer list are among those of a shorter one
        assert few == [*range(0, count - 1, stride), count - 1]
