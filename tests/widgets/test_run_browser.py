"""The run browser: what lies in a folder, side by side; what cannot be read hurts nothing."""

import json
import os
import threading
import types

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances as living_widgets

from mmpid.errors import InputError
from mmpid.runs.record import RunRecord
from mmpid.widgets import RunBrowser
from mmpid.widgets.browser import runs
from mmpid.widgets.parts import lifecycle
from tests.widgets.fake_trainer import FakeTrainer


def make_record(seed=0, epochs=12, lr=0.02, created="2026-11-21T10:00:00+00:00", finished=True):
    trainer = FakeTrainer(epochs=epochs)
    trainer.record.metadata |= {"seed": seed, "settings": {"lr": lr, "epochs": epochs}, "created": created}
    trainer.record.metadata |= {"data": {"name": "digits"}}
    trainer.fit()
    if finished:
        trainer._row("result", **{"test_accuracy.audio": 0.5, "test_accuracy.joint": 0.9}, selection="validation")
    return trainer.record


@pytest.fixture
def folder(tmp_path):
    make_record().save(tmp_path / "one" / "record.jsonl")
    make_record(seed=1, created="2026-11-21T11:00:00+00:00").save(tmp_path / "sweep" / "two" / "record.jsonl")
    make_record(lr=0.01, created="2026-11-21T12:00:00+00:00", finished=False).save(tmp_path / "kept.jsonl")
    (tmp_path / "one" / "checkpoints").mkdir()
    return tmp_path


@pytest.fixture
def browser(folder):
    made = RunBrowser(folder, mode="live")
    yield made
    made.close()


def drawn(live, which):
    """The values of the first curve of a chart, as the page gets them."""
    numbers = np.frombuffer(live.view.charts["numbers"], np.float32)
    start, length = live.view.charts["charts"][which]["traces"][0]["y"]
    return numbers[start : start + length].tolist()


def names(found, readable=True):
    return sorted(run.name for run in found if (run.record is not None) == readable)


def test_runs_are_found_in_folders_and_files_at_any_depth(folder):
    assert names(runs.find(folder)) == ["kept", "one", "sweep/two"]
    assert names(runs.find(str(folder / "kept.jsonl"))) == ["kept"]
    assert names(runs.find(folder / "one")) == ["one"]


def test_records_trainers_folders_and_files_can_be_mixed(folder):
    trainer = FakeTrainer(epochs=4)
    found = runs.find({"live": trainer, "saved": make_record(), "disk": folder / "one", "many": folder})
    assert names(found) == ["disk", "live", "many/kept", "many/one", "many/sweep/two", "saved"]
    assert names(runs.find([make_record(), make_record()])) == ["digits", "digits (2)"]


def test_what_has_no_record_is_refused():
    with pytest.raises(InputError, match="Pass the folder"):
        RunBrowser([42], mode="static")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\xff\xfe\x00\x01", "cannot be read"),
        (b"", "not a run record"),
        (b'{"format": 99, "metadata": {}}\n', "format 99"),
        (b'{"format": 2, "metadata": {}}\nnonsense\n{"kind": "epoch"}\n', "changed by hand"),
        (b'{"format": 2, "metadata": {}}\n[1, 2]\n', "not those of a run"),
        (b'{"format": 2, "metadata": {}}\n{"kind": "epoch"}\n', "not those of a run"),
        (b'{"format": 2, "metadata": [3]}\n', "cannot be read"),
    ],
)
def test_a_damaged_record_is_listed_with_its_reason_and_hurts_nothing(folder, content, reason):
    (folder / "bad").mkdir()
    (folder / "bad" / "record.jsonl").write_bytes(content)
    found = runs.find(folder)
    assert names(found) == ["kept", "one", "sweep/two"] and names(found, readable=False) == ["bad"]
    assert reason in next(run.problem for run in found if run.name == "bad")
    browser = RunBrowser(folder, mode="live")
    assert any(reason in row["problem"] for row in browser._live.view.runs) and len(browser.chosen) == 2
    browser.close()


def test_foreign_folders_are_named_and_hidden_ones_passed_over(folder):
    (folder / "pictures").mkdir()
    (folder / ".cache").mkdir()
    (folder / ".cache" / "record.jsonl").write_text("x")
    found = runs.find(folder)
    assert [run.problem for run in found if run.record is None] == ["not a run: it holds no record.jsonl"]


def test_a_folder_that_may_not_be_opened_is_named(folder, monkeypatch):
    (folder / "secret").mkdir()
    scandir = os.scandir

    def guarded(path):
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)
    found = runs.find(folder)
    assert [run.problem for run in found if run.name == "secret"] == ["cannot be opened: Permission denied"]
    assert names(found) == ["kept", "one", "sweep/two"]


def test_the_present_folder_is_the_default(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert names(RunBrowser(mode="static").runs) == ["kept", "one", "sweep/two"]


def test_a_folder_that_is_not_there_and_an_empty_one_say_what_would_appear(tmp_path):
    for place in (tmp_path / "nothing", tmp_path):
        browser = RunBrowser(place, mode="live")
        assert "out_dir" in browser._live.view.now["more"] and browser.chosen == []
        assert browser.picture().png().startswith(b"\x89PNG")
        browser.close()


def test_a_card_without_the_usual_entries_is_still_a_run(tmp_path):
    RunRecord({"modalities": ["a", "b"]}).save(tmp_path / "bare" / "record.jsonl")
    browser = RunBrowser(tmp_path, mode="live")
    assert names(browser.runs) == ["bare"] and browser._live.view.runs[0]["cells"]["stage"] == "not begun"
    browser.close()


def test_the_summary_says_which_accuracy_it_is(folder):
    by_name = {run.name: runs.summary(run) for run in runs.find(folder)}
    assert by_name["one"]["accuracy"] == "audio 0.500, joint 0.900" and by_name["one"]["measured on"] == "test"
    assert "validation" in by_name["kept"]["measured on"] and by_name["kept"]["stage"] == "joint"
    assert by_name["one"]["switch"].startswith("epoch ") and by_name["one"]["created"] == "2026-11-21 10:00"


def test_the_newest_are_chosen_and_a_box_adds_another(browser):
    live = browser._live
    assert [run.name for run in browser.chosen] == ["kept", "sweep/two"]
    live.hear({"do": "choose", "name": "one", "value": True})
    assert browser.wait(10)
    assert [run.name for run in browser.chosen] == ["kept", "one", "sweep/two"]
    assert [trace["label"] for trace in live.view.charts["charts"][0]["traces"]] == ["kept", "one", "sweep/two"]
    looks = {(row["role"], row["dash"]) for row in live.view.runs if row["chosen"]}
    assert len(looks) == 3 and live.view.now["failure"] == ""


def test_the_curves_are_the_records_numbers(browser):
    live, chosen = browser._live, browser.chosen
    live.hear({"do": "show", "quantity": "training loss", "output": "audio", "part": "first"})
    assert browser.wait(10)
    rows = chosen[0].record.lineage("epoch")
    assert drawn(live, 0) == pytest.approx([row["loss.audio"] for row in rows])
    probes = chosen[0].record.probes()
    assert drawn(live, 1) == pytest.approx([probe.unique["audio"].value for probe in probes])
    assert live.view.tables == ""
    live.hear({"do": "tables", "open": True})
    assert browser.wait(10)
    assert f"{rows[-1]['loss.audio']:.3f}" in live.view.tables and "nats" in live.view.tables
    units = [one["unit"] for one in live.view.charts["charts"]]
    assert "nats" in units[0] and "bits" in units[1]


def test_the_answer_is_the_average_until_there_is_a_joint_head(browser):
    run = browser.chosen[0]
    (trace,) = runs.curves([run], "validation accuracy", runs.ANSWER)
    rows = run.record.lineage("epoch")
    expected = [row.get("validation_accuracy.joint", row["validation_accuracy.ens"]) for row in rows]
    assert trace.value.tolist() == pytest.approx(expected)


def test_what_differs_between_the_cards_is_shown_as_it_was_written(browser):
    browser._live.hear({"do": "choose", "name": "one", "value": True})
    browser.wait(10)
    head, rows = browser.differences()
    assert head == ["entry", "kept", "one", "sweep/two"]
    assert ["seed", "0", "0", "1"] in rows and ["settings.lr", "0.01", "0.02", "0.02"] in rows
    said = browser._live.view.comparison
    assert "What differs" in said and "Decisions of one" in said


def test_equal_cards_are_said_to_be_equal():
    browser = RunBrowser({"a": make_record(), "b": make_record()}, mode="live")
    assert "The metadata are the same" in browser._live.view.comparison
    browser.close()


def test_a_run_that_another_process_writes_is_read_as_far_as_it_is(folder, browser):
    path = folder / "growing" / "record.jsonl"
    path.parent.mkdir()
    lines = [json.dumps({"format": 2, "metadata": {"modalities": ["audio", "image"]}})]
    lines += [json.dumps(row) for row in make_record().rows]
    for share in (0.3, 0.8):
        path.write_text("\n".join(lines)[: int(share * len("\n".join(lines)))])  # the last line is cut
        browser._live.hear({"do": "refresh"})
        assert browser.wait(10)
        listed = {row["name"]: row["problem"] for row in browser._live.view.runs}
        assert listed["growing"] == "" and browser._live.view.now["failure"] == ""
    browser._live.hear({"do": "choose", "name": "growing", "value": True})
    path.unlink()
    browser.refresh()
    assert browser.wait(10) and "growing" not in {row["name"] for row in browser._live.view.runs if not row["problem"]}


def test_a_refresh_keeps_what_was_chosen_and_shows_how_far_a_live_trainer_is():
    trainer = FakeTrainer(epochs=20)
    trainer.step(epochs=4)
    browser = RunBrowser({"live": trainer, "other": make_record()}, mode="live")
    browser._live.hear({"do": "choose", "name": "other", "value": False})
    trainer.step(epochs=6)
    browser.refresh()
    assert browser.wait(10)
    assert [run.name for run in browser.chosen] == ["live"] and "Choose a second" in browser._live.view.now["more"]
    assert len(drawn(browser._live, 0)) == 10
    browser.close()


def test_an_error_is_shown_and_forgotten(browser, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(runs, "find", lambda source: 1 / 0)
        browser.refresh()
        with pytest.raises(ZeroDivisionError):
            browser.wait(10)
        assert 'role="alert"' in browser._live.view.now["failure"]
    browser.refresh()
    assert browser.wait(10) and browser._live.view.now["failure"] == ""


def test_names_are_escaped():
    browser = RunBrowser({"<b>bold</b>": make_record(), "other": make_record(seed=3)}, mode="live")
    browser._live.hear({"do": "tables", "open": True})
    browser.wait(10)
    assert "<b>bold" not in browser._live.view.comparison + browser._live.view.tables
    assert "<b>bold" not in browser._tables()["text/html"]
    browser.close()


def test_what_the_page_cannot_say_is_shown_as_an_error_and_changes_nothing(browser):
    shown = browser._live.shown
    browser._live.hear({"do": "show", "quantity": "no such curve", "part": "unique9"})
    browser._live.hear({"do": "explode"})
    browser.wait(10)
    assert "knows no command" in browser._live._failure or browser._live._failure == ""
    assert browser._live.shown == shown


@pytest.mark.parametrize("modalities", [("a",), ("a", "b", "c")])
def test_a_part_that_a_run_does_not_have_is_left_out(modalities):
    record = RunRecord({"modalities": list(modalities)})
    record.append("probe", segment=0, stage="unimodal", epoch=1, step=1, redundancy=0.2, synergy=float("nan"))
    run = runs.Run(name="one", record=record)
    assert [len(runs.parts([run], part)[0].epoch) for part in runs.PARTS] == [1, 0, 0, 0]


def test_close_and_a_second_run_of_the_cell_end_the_threads(folder, monkeypatch):
    def alive():
        return sum(thread.name == "mmpid-runs" for thread in threading.enumerate())

    browsers = []
    for count in (1, 2, 3):
        monkeypatch.setattr(lifecycle, "cell_of_now", lambda count=count: ("cell", count))
        browsers.append(RunBrowser(folder, mode="live"))
    assert alive() == 1
    browsers[-1].close()
    assert alive() == 0


def test_the_static_browser_leaves_a_picture_and_tables_and_no_widget(folder, monkeypatch):
    shown, before = [], set(living_widgets)
    import IPython.display

    monkeypatch.setattr(IPython.display, "display", lambda data, **_: shown.append(data) or types.SimpleNamespace())
    browser = RunBrowser(folder, mode="static")
    browser._ipython_display_()
    assert set(living_widgets) == before and not any(t.name == "mmpid-runs" for t in threading.enumerate())
    assert "image/png" in shown[0] and "What differs" in shown[1]["text/html"]
    assert [run.name for run in browser.chosen] == ["kept", "one", "sweep/two"]
