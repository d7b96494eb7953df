"""The explorer: edit a joint, read its atoms."""

import threading
import time

import pytest
from ipywidgets.widgets.widget import _instances as living_widgets

from mmpid.errors import ConfigError
from mmpid.widgets import PIDExplorer
from mmpid.widgets.explorer import scene

CLOSED_FORMS = {
    "XOR: only together": (0, 0, 0, 1),
    "RDN: both know the same": (1, 0, 0, 0),
    "UNQ1: only source 1 knows": (0, 1, 0, 0),
    "UNQ2: only source 2 knows": (0, 0, 1, 0),
    "COPY: each knows its own bit": (0, 1, 1, 0),
    "SUM: y = x1 + x2": (0.5, 0, 0, 1),
    "independent: nobody knows": (0, 0, 0, 0),
    "AND": (0.3113, 0, 0, 0.5),
    "OR": (0.3113, 0, 0, 0.5),
}


@pytest.fixture
def explorer():
    made = PIDExplorer(mode="live")
    yield made
    made.close()


@pytest.mark.parametrize("gate", scene.PRESETS)
def test_each_gate_shows_its_known_atoms(explorer, gate):
    explorer.gate.value = gate
    drawn = [mark["y"].item() for mark in explorer.plot.marks.values()]
    assert drawn == pytest.approx(CLOSED_FORMS[gate], abs=1e-4)


def test_a_larger_target_shows_more_cells(explorer):
    assert len(explorer.weights) == 8
    explorer.gate.value = "COPY: each knows its own bit"
    assert len(explorer.weights) == 16 and sum(cell.layout.display != "none" for cell in explorer.cells) == 16
    explorer.gate.value = "SUM: y = x1 + x2"
    assert len(explorer.weights) == 12 and sum(cell.layout.display != "none" for cell in explorer.cells) == 12


def test_editing_cells_changes_the_atoms_and_normalizes(explorer):
    shown = [cell for cell in explorer.cells if cell.layout.display != "none"]
    for cell, weight in zip(shown, (3, 0, 0, 0, 0, 0, 0, 3), strict=True):
        cell.value = weight
    assert explorer.scene.atoms["redundancy"] == pytest.approx(1, abs=1e-4)
    assert float(explorer.scene.joint.sum()) == pytest.approx(1)


def test_mixing_moves_from_one_gate_to_the_other(explorer):
    explorer.mix.value = 1.0
    assert explorer.scene.atoms["redundancy"] == pytest.approx(1, abs=1e-4)
    assert explorer.weights == pytest.approx([0.5, 0, 0, 0, 0, 0, 0, 0.5])


@pytest.mark.parametrize("atom", scene.COMPONENTS)
def test_a_single_component_is_a_single_atom(explorer, atom):
    explorer.start.value = "a mix of R, U1, U2, S"
    for name, slider in explorer.shares.items():
        slider.value = 1.0 if name == atom else 0.0
    assert explorer.scene.atoms == pytest.approx({name: float(name == atom) for name in scene.COMPONENTS}, abs=1e-4)
    assert explorer.gate.layout.display == "none" and explorer.shares[atom].layout.display is None


def test_a_mixture_knows_no_more_than_the_mean_of_its_parts(explorer):
    explorer.start.value = "a mix of R, U1, U2, S"
    assert 0 < sum(explorer.scene.atoms.values()) < 1
    assert all(value > 0.01 for value in explorer.scene.atoms.values())  # and has all four


def test_no_component_at_all_is_not_an_error(explorer):
    explorer.start.value = "a mix of R, U1, U2, S"
    for slider in explorer.shares.values():
        slider.value = 0.0
    assert sum(explorer.scene.atoms.values()) == pytest.approx(0, abs=1e-6) and explorer._failure.value == ""


@pytest.mark.parametrize("correlation", [-1.0, -0.4, 0.0, 0.7])
def test_uniform_sources_get_exactly_the_correlation_that_was_asked_for(correlation):
    joint = scene.Recipe(gate="AND", correlation=correlation).joint()
    assert scene.make_scene(joint).source_correlation == pytest.approx(correlation, abs=1e-9)
    conditional = joint / joint.sum(2, keepdim=True)
    assert conditional.nan_to_num().max() == 1  # p(y | x1, x2) is still the gate


def test_correlated_sources_turn_unique_into_redundant_information(explorer):
    explorer.gate.value = "UNQ1: only source 1 knows"
    explorer.correlation.value = 1.0
    assert explorer.scene.atoms["redundancy"] == pytest.approx(1, abs=1e-4)
    assert "tend to agree" in explorer._words.value


def test_sources_that_never_agree_leave_the_redundant_gate_as_it_is(explorer):
    explorer.gate.value = "RDN: both know the same"
    explorer.correlation.value = -1.0
    assert explorer._failure.value == ""
    assert explorer.scene.atoms["redundancy"] == pytest.approx(1, abs=1e-4)


def test_all_weights_zero_is_not_an_error():
    assert sum(scene.make_scene([0] * 8).atoms.values()) == pytest.approx(0, abs=1e-6)


def test_the_optimum_shares_the_marginals_and_the_words_name_the_numbers():
    shown = scene.make_scene(scene.Recipe(gate="AND", other="XOR: only together", mix=0.3, noise=0.1).joint())
    optimum = shown.result.optimum
    assert (optimum.sum(0) - shown.joint.sum(0)).abs().max() < 1e-6
    assert (optimum.sum(1) - shown.joint.sum(1)).abs().max() < 1e-6
    said = scene.sentences(shown)
    for value in shown.atoms.values():
        assert f"{value:.2f} bit" in said
    assert "no synergy" in scene.tables(shown)


def test_controls_have_words_and_tooltips(explorer):
    sliders = (explorer.mix, *explorer.shares.values(), explorer.correlation, explorer.noise)
    for control in (explorer.start, explorer.gate, explorer.other, *sliders):
        assert control.description and control.tooltip
    assert all(cell.tooltip for cell in explorer.cells)


def test_the_static_explorer_makes_no_widget_and_draws_the_same_numbers():
    before = set(living_widgets)
    static = PIDExplorer("AND", mode="static")
    assert set(living_widgets) == before
    assert static.picture().png().startswith(b"\x89PNG")
    assert "AND" in static._bundle()["text/plain"]


def test_the_picture_follows_what_was_edited_in_a_thread_that_close_ends(explorer):
    shown = []
    explorer._still._handle = type("Handle", (), {"update": lambda self, bundle, raw: shown.append(bundle)})()
    explorer.noise.value = 0.2
    explorer.noise.value = 0.3
    explorer._still._worker.wait(20)
    assert len(shown) == 1 and "changed" in shown[0]["text/plain"]
    explorer.cells[0].value = 5.0
    explorer._still._worker.wait(20)
    assert "by hand" in shown[-1]["text/plain"]
    explorer.close()
    deadline = time.monotonic() + 5
    while any(thread.name == "mmpid-still" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_unknown_gate_is_refused_with_a_suggestion():
    with pytest.raises(ConfigError, match="gate"):
        PIDExplorer("XOR", mode="static")
