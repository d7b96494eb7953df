"""The explorer: edit a joint, read its atoms."""

import pytest

from mmpid.widgets import PIDExplorer, scene

CLOSED_FORMS = {
    "XOR: only together": (0, 0, 0, 1),
    "RDN: both know the same": (1, 0, 0, 0),
    "UNQ1: only source 1 knows": (0, 1, 0, 0),
    "UNQ2: only source 2 knows": (0, 0, 1, 0),
    "independent: nobody knows": (0, 0, 0, 0),
    "AND": (0.3113, 0, 0, 0.5),
    "OR": (0.3113, 0, 0, 0.5),
}


@pytest.mark.parametrize("gate", scene.PRESETS)
def test_each_gate_shows_its_known_atoms(gate):
    explorer = PIDExplorer(mode="live")
    explorer.gate.value = gate
    assert explorer.bars.y.tolist() == pytest.approx(CLOSED_FORMS[gate], abs=1e-4)


def test_editing_cells_changes_the_atoms_and_normalizes():
    explorer = PIDExplorer(mode="live")
    for cell, weight in zip(explorer.cells, (3, 0, 0, 0, 0, 0, 0, 3), strict=True):
        cell.value = weight
    assert explorer.scene.atoms["redundancy"] == pytest.approx(1, abs=1e-4)
    assert float(explorer.scene.joint.sum()) == pytest.approx(1)


def test_mixing_moves_from_one_gate_to_the_other():
    explorer = PIDExplorer(mode="live")
    explorer.mix.value = 1.0
    assert explorer.scene.atoms["redundancy"] == pytest.approx(1, abs=1e-4)
    assert explorer.weights == pytest.approx([0.5, 0, 0, 0, 0, 0, 0, 0.5])


def test_all_weights_zero_is_not_an_error():
    assert sum(scene.make_scene([0] * 8).atoms.values()) == pytest.approx(0, abs=1e-6)


def test_the_optimum_shares_the_marginals_and_the_words_name_the_numbers():
    shown = scene.make_scene(scene.make_joint("AND", "XOR: only together", 0.3, 0.1))
    optimum = shown.result.optimum
    assert (optimum.sum(0) - shown.joint.sum(0)).abs().max() < 1e-6
    assert (optimum.sum(1) - shown.joint.sum(1)).abs().max() < 1e-6
    said = scene.sentences(shown)
    for value in shown.atoms.values():
        assert f"{value:.2f} bit" in said
    assert "no synergy" in scene.tables(shown)


def test_controls_have_words_and_tooltips():
    explorer = PIDExplorer(mode="live")
    for control in (explorer.gate, explorer.other, explorer.mix, explorer.noise):
        assert control.description and control.tooltip
    assert all(cell.tooltip for cell in explorer.cells)


def test_the_picture_is_a_png():
    assert PIDExplorer(mode="static").picture().png().startswith(b"\x89PNG")
