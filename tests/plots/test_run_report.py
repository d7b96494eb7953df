"""The report: one page with everything in it, that asks for nothing else."""

import re
from html.parser import HTMLParser

import pytest

from mmpid.errors import InputError
from mmpid.plots.run_report import write_report
from mmpid.runs.record import RunRecord
from tests.widgets.fake_trainer import FakeTrainer


class Reader(HTMLParser):
    """Collects what a page refers to, the words of its pictures, and its headings."""

    def __init__(self):
        super().__init__()
        self.sources, self.words, self.open = [], [], []

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.sources += [attributes[key] for key in ("src", "href") if key in attributes]
        self.words += [attributes["alt"]] if tag == "img" else []
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture
def finished():
    trainer = FakeTrainer(epochs=20)
    trainer.fit()
    trainer.record.append("result", epoch=20, stage="joint", segment=trainer.segment, step=200, n_test=400,
                          selection="validation", **{"selected_epoch.joint": 17, "test_accuracy.joint": 0.875,
                                                     "test_accuracy.audio": 0.625})  # fmt: skip
    return trainer


def read(page):
    reader = Reader()
    reader.feed(page.read_text())
    assert reader.open == []
    return reader


def test_the_page_has_the_results_and_needs_nothing_from_outside(finished, tmp_path):
    page = write_report(finished, tmp_path / "new" / "run.html")
    said, reader = page.read_text(), read(page)
    assert ">0.875<" in said and "400 samples" in said and "epoch 17 (selection: validation)" in said
    assert "Synergy has fallen by more than its interval" in said
    within, pictures = ([s for s in reader.sources if s.startswith("#") is own] for own in (True, False))
    assert len(pictures) == 6 and all(s.startswith("data:image/svg+xml;base64,") for s in pictures)
    assert all(f'id="{link[1:]}"' in page.read_text() for link in within)
    assert not re.search(r"https?://|<script|@import|url\(", said)
    assert all(re.search(r": .+ against (epoch|class)", words) for words in reader.words), reader.words


@pytest.mark.parametrize("epochs", [0, 1, 7])
def test_a_run_can_be_reported_at_any_moment(epochs, tmp_path):
    trainer = FakeTrainer()
    if epochs:
        trainer.step(epochs=epochs)
    said = write_report(trainer.record, tmp_path / "run.html").read_text()
    assert ("was not trained yet" in said) == (epochs == 0)
    assert ("state at epoch" in said) == (epochs > 0)


def test_three_modalities_are_reported(tmp_path):
    trainer = FakeTrainer(modalities=("audio", "image", "text"))
    trainer.step(epochs=12)
    assert "<td" in write_report(trainer, tmp_path / "run.html").read_text()


def test_an_existing_file_is_kept_unless_asked_for(finished, tmp_path):
    path = tmp_path / "run.html"
    path.write_text("mine")
    with pytest.raises(InputError, match="`path`"):
        write_report(finished, path)
    assert path.read_text() == "mine"
    assert "0.875" in write_report(finished, path, overwrite=True).read_text()


def test_nothing_from_outside_is_taken_as_html(tmp_path):
    hostile = "<img src=x onerror=alert(1)>"
    record = RunRecord({"modalities": ["a", hostile], "name": hostile, "data": {"name": hostile}})
    at = {"segment": 0, "stage": "unimodal", "epoch": 1, "step": 1}
    record.append("epoch", **at, **{f"validation_accuracy.{hostile}": 0.5})
    record.append("decision", **at, action="pause", modality=hostile, reason=hostile, source="user", rule=hostile)
    assert hostile not in write_report(record, tmp_path / "run.html").read_text()


def test_what_is_no_record_is_refused(tmp_path):
    with pytest.raises(InputError, match="`record`"):
        write_report({}, tmp_path / "run.html")


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        ({}, "240 held-out samples, largest"),
        ({"n_groups": 14}, "240 held-out samples in 14 groups, largest"),
        ({"n_groups": 1, "split": "train"}, "240 training samples in 1 group, largest"),
    ],
)
def test_the_samples_of_a_probe_are_named(tmp_path, probe, words):
    row = dict(segment=0, stage="unimodal", epoch=0, step=0, redundancy=0.1, unique1=0.2, unique2=0.1, synergy=0.1)
    record = RunRecord({"modalities": ["audio", "image"]})
    record.append("probe", **row, gap=1e-7, n_samples=240, **probe)
    assert words in write_report(record, tmp_path / "run.html").read_text()
