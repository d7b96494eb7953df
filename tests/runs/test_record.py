import json

import numpy as np
import pytest
import torch

from mmpid import RunRecord, Trainer
from mmpid.errors import CheckpointError, ConfigError, InputError


def rows(record, *epochs, segment=0, kind="epoch"):
    for epoch in epochs:
        record.append(kind, segment=segment, stage="unimodal", epoch=epoch, step=10 * epoch, seconds=epoch / 7)


def rewind(record, *, segment, parent, epoch, from_row):
    record.append(
        "decision",
        segment=segment,
        stage="unimodal",
        epoch=epoch,
        step=0,
        action="rewind",
        parent=parent,
        from_row=from_row,
    )


def test_lineage_follows_rewinds_of_rewinds():
    record = RunRecord()
    rows(record, 1, 2, 3, 4)
    rewind(record, segment=1, parent=0, epoch=2, from_row=2)
    rows(record, 3, 4, segment=1)
    rewind(record, segment=2, parent=1, epoch=3, from_row=6)
    rows(record, 4, segment=2)
    path = [(row["segment"], row["epoch"]) for row in record.lineage("epoch")]
    assert path == [(0, 1), (0, 2), (1, 3), (2, 4)]
    assert len(record.to_frame("epoch", lineage=False)) == 7


def test_a_rewind_past_an_earlier_rewind_forgets_it():
    record = RunRecord()
    rows(record, 1, 2, 3)
    rewind(record, segment=1, parent=0, epoch=2, from_row=2)
    rows(record, 3, segment=1)
    rewind(record, segment=2, parent=1, epoch=1, from_row=1)
    rows(record, 2, segment=2)
    assert [(row["segment"], row["epoch"]) for row in record.lineage("epoch")] == [(0, 1), (2, 2)]


def test_saving_and_loading_gives_the_same_record(tmp_path):
    record = RunRecord({"modalities": ["a", "b"]})
    rows(record, 1, 2)
    assert RunRecord.load(record.save(tmp_path / "x" / "record.jsonl")) == record
    assert RunRecord.load(tmp_path / "x") == record


def test_wall_clock_is_no_part_of_what_must_repeat():
    one, two = RunRecord({"created": "today"}), RunRecord({"created": "tomorrow"})
    rows(one, 1)
    rows(two, 1)
    two.rows[0]["seconds"] = 99
    assert one == two
    two.rows[0]["step"] = 11
    assert one != two


def test_a_last_line_cut_by_a_crash_is_left_out_but_a_damaged_middle_is_not(tmp_path):
    record = RunRecord()
    rows(record, 1, 2)
    path = record.save(tmp_path / "record.jsonl")
    text = path.read_text()
    path.write_text(text[:-20])
    assert len(RunRecord.load(path)) == 1
    lines = text.splitlines()
    path.write_text("\n".join([lines[0], lines[1][:-5], lines[2]]))
    with pytest.raises(CheckpointError, match="line 2, is not JSON"):
        RunRecord.load(path)


@pytest.mark.parametrize(
    "text", ["", "[]\n", '{"metadata": {}}\n', "nonsense\n", '{"metadata": 1, "format": 2}\n', b"\xff\xfe\0"]
)
def test_a_file_that_is_no_record_is_refused(tmp_path, text):
    path = tmp_path / "record.jsonl"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CheckpointError, match="not a run record"):
        RunRecord.load(path)


def test_newer_formats_missing_files_and_unknown_kinds_are_refused(tmp_path):
    path = tmp_path / "record.jsonl"
    path.write_text(json.dumps({"format": 7, "metadata": {}}) + "\n")
    with pytest.raises(CheckpointError, match="format 7"):
        RunRecord.load(path)
    with pytest.raises(InputError, match="does not exist"):
        RunRecord.load(tmp_path / "none.jsonl")
    with pytest.raises(ConfigError, match="Did you mean 'probe'"):
        RunRecord().to_frame("probes")


def test_numbers_of_numpy_and_torch_are_saved_as_pythons(tmp_path):
    values = {"a": np.float32(0.5), "b": np.int64(3), "c": np.bool_(True), "d": torch.tensor(2), "e": np.str_("x")}
    record = RunRecord({"options": {**values, "f": np.arange(3), "g": (np.int8(1), [np.float64(2)]), "h": tmp_path}})
    record.append("epoch", segment=np.int64(0), stage="unimodal", epoch=np.int32(1), step=1, **values)
    loaded = RunRecord.load(record.save(tmp_path / "record.jsonl"))
    assert loaded.metadata == record.metadata and loaded.rows == record.rows
    assert loaded.metadata["options"] == {
        "a": 0.5, "b": 3, "c": True, "d": 2, "e": "x", "f": [0, 1, 2], "g": [1, [2.0]], "h": str(tmp_path),
    }  # fmt: skip
    with pytest.raises(InputError, match=r"`metadata\.options\.fit` must be.*object"):
        RunRecord({"options": {"fit": object()}})
    with pytest.raises(InputError, match="`loss` must be"):
        record.append("epoch", loss=object())


def test_settings_and_commands_take_numbers_of_numpy(make_trainer, small_data, tmp_path):
    folder = tmp_path / "run"
    trainer = make_trainer(out_dir=folder, name=np.str_("mine"))
    trainer.step(epochs=np.int64(1))
    trainer.set_learning_rate(np.float32(0.5))
    trainer.set_batch_size(np.int16(40))
    trainer.auto = np.bool_(False)
    trainer.step(batches=np.int8(2))
    trainer.rewind(np.int64(1))
    child = trainer.branch(np.int64(1), out_dir=tmp_path / "child")
    child.switch_to_joint(rewind=np.bool_(False), from_scratch=np.bool_(True))
    for one in (trainer, child):
        one.step(epochs=2)
        assert Trainer.load(one.folder.path, small_data, device="cpu", read_only=np.bool_(True)).record == one.record


@pytest.mark.parametrize("row", ["5", "[1]", "null", '"epoch"', "{}", '{"kind": "other"}', '{"kind": ["epoch"]}'])
def test_a_row_that_is_none_is_refused(tmp_path, row):
    path = RunRecord().save(tmp_path / "record.jsonl")
    path.write_text(path.read_text() + row + "\n")
    with pytest.raises(CheckpointError, match="not those of a run.*line 2"):
        RunRecord.load(path)
