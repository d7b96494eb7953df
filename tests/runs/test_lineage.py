"""The path to the present is the same whether it was followed row by row or found at the end."""

import copy
import pickle
import random
import threading

import pytest

from mmpid.runs.record import RunRecord


def on_path(rows: list[dict]) -> list[dict]:
    """Walk back from the last row: each segment counts up to the row that the next one continues from."""
    path, end, segment = [], len(rows), rows[-1]["segment"] if rows else None
    starts = {row["segment"]: row for row in rows if "parent" in row}
    while segment is not None:
        path = [row for row in rows[:end] if row["segment"] == segment] + path
        start = starts.get(segment)
        segment, end = (None, 0) if start is None else (start["parent"], min(end, start["from_row"]))
    return path


def grow(record: RunRecord, draw: random.Random, segment: int) -> int:
    """Append a few rows, or begin a new segment somewhere on the path; return the segment."""
    path = record.lineage()
    if path and draw.random() < 0.3:
        back = draw.choice(path)
        place = next(i for i, row in enumerate(record.rows) if row is back) + 1
        fields = {"parent": back["segment"], "from_row": place}
        segment += 1
        record.append("decision", segment=segment, stage="unimodal", epoch=back["epoch"], **fields)
    for _ in range(draw.randint(1, 4)):
        kind, stage = draw.choice(("epoch", "probe", "decision")), draw.choice(("unimodal", "joint"))
        record.append(kind, segment=segment, stage=stage, epoch=len(record))
    return segment


@pytest.mark.parametrize("seed", range(8))
def test_a_path_that_is_followed_is_that_of_the_whole_record(seed):
    draw, record, segment = random.Random(seed), RunRecord(), 0
    for _ in range(40):
        segment = grow(record, draw, segment)
        path = on_path(record.rows)
        assert len(record.lineage()) == len(path)
        assert all(a is b for a, b in zip(record.lineage(), path, strict=True))
        for kind in ("epoch", "probe", "decision", "result"):
            assert record.lineage(kind) == [row for row in path if row["kind"] == kind]
        assert record.lineage("probe", "joint") == [r for r in path if (r["kind"], r["stage"]) == ("probe", "joint")]


def test_what_is_returned_may_be_changed():
    record = RunRecord(rows=[{"kind": "epoch", "segment": 0, "stage": "unimodal", "epoch": 1}])
    record.lineage("epoch").clear()
    record.lineage().clear()
    assert len(record.lineage("epoch")) == len(record.lineage()) == 1


@pytest.mark.parametrize("twin", (copy.deepcopy, lambda record: pickle.loads(pickle.dumps(record))))
def test_a_copy_has_its_own_path(twin):
    record = RunRecord({"name": "a"}, [{"kind": "epoch", "segment": 0, "stage": "unimodal", "epoch": 1}])
    record.lineage()
    other = twin(record)
    assert other == record
    other.append("epoch", segment=0, stage="unimodal", epoch=2)
    assert (len(record.lineage()), len(other.lineage())) == (1, 2)


def test_rows_that_are_replaced_are_followed_anew():
    rows = [{"kind": "epoch", "segment": 0, "stage": "unimodal", "epoch": e} for e in range(5)]
    record = RunRecord(rows=rows)
    assert len(record.lineage()) == 5
    for new in (rows[:3], [dict(row, epoch=9) for row in rows], rows[1:], []):
        record.rows = new
        assert record.lineage() == new
    record.rows = rows
    del record.rows[2:]
    assert record.lineage() == rows[:2]


def test_a_path_is_read_while_another_thread_appends():
    record, seen = RunRecord(), []

    def write():
        for epoch in range(3000):
            record.append("epoch", segment=0, stage="unimodal", epoch=epoch)

    def read():
        while writer.is_alive():
            epochs = [row["epoch"] for row in record.lineage("epoch")]
            seen.append(epochs == list(range(len(epochs))))

    writer = threading.Thread(target=write)
    readers = [threading.Thread(target=read) for _ in range(3)]
    writer.start()
    for reader in readers:
        reader.start()
    for thread in (writer, *readers):
        thread.join(30)
    assert all(seen) and len(record.lineage("epoch")) == 3000
