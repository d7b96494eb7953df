"""What the widgets read of marimo: whether it runs them, and which run of which cell this is."""

import sys
from types import ModuleType, SimpleNamespace

import pytest

from mmpid.widgets import Dashboard
from mmpid.widgets.parts.environment import cell_of_now, resolve_mode
from tests.widgets.fake_trainer import FakeTrainer


@pytest.fixture
def run_of(monkeypatch):
    """Return a function that begins a run of a cell of a notebook that marimo seems to run."""
    marimo, inner = ModuleType("marimo"), ModuleType("marimo._runtime.context")
    marimo.running_in_notebook = lambda: True
    here = SimpleNamespace(execution_context=None)
    inner.safe_get_context = lambda: here
    monkeypatch.setitem(sys.modules, "marimo", marimo)
    monkeypatch.setitem(sys.modules, "marimo._runtime.context", inner)
    monkeypatch.delenv("MMPID_HEADLESS", raising=False)

    def begin(cell):
        here.execution_context = SimpleNamespace(cell_id=cell)

    return begin


def test_a_cell_of_marimo_that_runs_again_ends_what_it_made_before(run_of, no_thread_is_left):
    assert resolve_mode("auto") == "live" and cell_of_now() is None
    run_of("first")
    one, two = Dashboard(FakeTrainer()), Dashboard(FakeTrainer())
    run_of("second")
    other = Dashboard(FakeTrainer())
    assert [board.session.closing for board in (one, two, other)] == [False, False, False]
    run_of("first")
    again = Dashboard(FakeTrainer())
    assert [board.session.closing for board in (one, two, other, again)] == [True, True, False, False]
    assert again._display_() is again._board.view
    for board in (other, again):
        board.close()


def test_a_static_board_of_marimo_is_a_picture_or_words(run_of):
    trainer = FakeTrainer(epochs=12)
    kind, words = Dashboard(trainer, mode="static")._display_()._mime_()
    assert kind == "text/plain" and "mmpid board" in words
    trainer.fit()
    kind, page = Dashboard(trainer, mode="static")._display_()._mime_()
    assert kind == "text/html" and page.startswith("<img alt=") and "data:image/png;base64," in page
