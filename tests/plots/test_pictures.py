"""Pictures: what the artists carry, not pixels."""

import threading
from types import SimpleNamespace

import matplotlib as mpl
import pandas as pd
import pytest
import torch

mpl.use("agg")

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from mmpid import plots
from mmpid.errors import ConfigError, InputError, ShapeError
from tests.widgets.fake_trainer import FakeTrainer

ATOMS = {"redundancy": 1.2, "unique1": 0.3, "unique2": 0.1, "synergy": 0.4}
CURVES = (
    plots.pid_curves,
    plots.ecs_curves,
    plots.accuracy_curves,
    plots.loss_curves,
    plots.pid_trajectory,
    plots.class_strength,
)


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture(scope="module")
def record():
    trainer = FakeTrainer(epochs=40)
    trainer.fit()
    return trainer.record


@pytest.fixture
def estimate():
    pid = SimpleNamespace(**{name: torch.tensor(value, dtype=torch.float64) for name, value in ATOMS.items()})
    return SimpleNamespace(
        pid=pid,
        interval={name: (value - 0.1, value + 0.2) for name, value in ATOMS.items()},
        null=dict.fromkeys(ATOMS, (-0.03, 0.08)),
        identified={**dict.fromkeys(ATOMS, True), "synergy": False},
    )


def line(ax, label):
    return next(artist for artist in ax.lines if artist.get_label() == label)


def test_pid_curves_draw_the_recorded_atoms(record, ax):
    assert plots.pid_curves(record, ax) is ax
    probes = record.lineage("probe")
    drawn = line(ax, "unique to audio (U1)")
    assert drawn.get_xdata().tolist() == [row["epoch"] for row in probes]
    assert drawn.get_ydata().tolist() == [row["unique1"] for row in probes]
    assert "bits" in ax.get_ylabel()
    assert len(ax.collections) == 5  # four intervals and the null band


@pytest.mark.parametrize("draw", CURVES)
def test_every_axis_is_labeled_and_every_empty_panel_says_what_will_come(draw, record, ax):
    draw(record, ax)
    assert ax.get_xlabel() and ax.get_ylabel()
    blank = Figure().subplots()
    draw(FakeTrainer().record, blank)
    assert any("appear" in text.get_text() for text in blank.texts)


@pytest.mark.parametrize("draw", CURVES[:4])
def test_the_switch_is_marked_at_its_epoch(draw, record, ax):
    draw(record, ax)
    epoch = record.lineage("decision")[-1]["epoch"]
    assert any(list(artist.get_xdata()) == [epoch, epoch] for artist in ax.lines)


@pytest.mark.parametrize("draw", CURVES[:4])
def test_the_legend_lies_above_the_data(draw, record, ax):
    draw(record, ax)
    ax.figure.draw_without_rendering()
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1 - 2


def test_the_heat_map_has_a_row_a_modality_and_a_column_a_class(record, ax):
    plots.class_strength(record, ax)
    last = record.lineage("probe")[-1]
    drawn = ax.images[0].get_array()
    assert drawn.shape == (2, 10)
    assert drawn[1, 9] == last["ecs.margin.image.9"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["audio", "image"]
    assert len(ax.texts) == 20


def test_an_unknown_proxy_is_refused_with_the_recorded_ones(record, ax):
    with pytest.raises(ConfigError, match="'margin', 'confidence'; it was 'margni'. Did you mean 'margin'"):
        plots.ecs_curves(record, ax, proxy="margni")


def test_curves_without_axes_make_a_figure_of_their_own(record):
    assert plots.loss_curves(record).figure in map(plt.figure, plt.get_fignums())


def test_the_overview_shows_itself_and_touches_no_global_figure(record):
    before = dict(mpl.rcParams)
    figure = plots.overview(record, note="paused")
    assert figure._repr_png_().startswith(b"\x89PNG")
    assert not plt.get_fignums()
    assert dict(mpl.rcParams) == before
    assert "joint stage" in figure.get_suptitle() and figure.get_suptitle().endswith("paused")


def test_the_overview_lists_decisions_newest_first(record):
    figure = plots.overview(record)
    words = "\n".join(text.get_text() for ax in figure.axes for text in ax.texts)
    assert words.index("switch (controller)") < words.index("rewind (controller)")


def test_overviews_can_be_drawn_in_threads(record):
    pictures = []
    threads = [threading.Thread(target=lambda: pictures.append(plots.overview(record).png(40))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pictures) == 3


def test_bars_have_the_height_of_the_atoms_and_unidentified_ones_are_pale(estimate, ax):
    plots.atoms_bar(estimate, ax, modalities=("audio", "image"))
    solid = [patch for patch in ax.patches if patch.get_width() < 0.7]
    assert [patch.get_height() for patch in solid] == pytest.approx(list(ATOMS.values()))
    assert [patch.get_alpha() for patch in solid] == [1, 1, 1, 0.35]
    assert "unique to audio\n(U1)" in [label.get_text() for label in ax.get_xticklabels()]


def test_exact_results_have_bars_without_intervals(estimate, ax):
    plots.atoms_bar(estimate.pid, ax)
    assert len(ax.patches) == 4 and not ax.collections


def test_the_diagram_writes_each_atom(estimate, ax):
    plots.information_diagram(estimate, ax, modalities=("audio", "image"))
    words = " ".join(text.get_text() for text in ax.texts)
    for value in ("1.20", "0.30", "0.10", "0.40"):
        assert f"{value} bits" in words


@pytest.mark.parametrize("draw", [plots.atoms_bar, plots.information_diagram])
def test_a_batch_and_a_stranger_are_refused(draw, ax):
    batch = SimpleNamespace(**dict.fromkeys(ATOMS, torch.zeros(3)))
    with pytest.raises(ShapeError, match=r"batch shape was \(3,\)"):
        draw(batch, ax)
    with pytest.raises(InputError, match="it was dict"):
        draw({}, ax)


def test_paired_gain_is_hollow_within_noise(ax):
    frame = pd.DataFrame({"method": ["joint", "ens"], "mean": [0.03, 0.0], "low": [0.02, -0.01], "high": [0.04, 0.01]})
    plots.paired_gain(frame, ax)
    points = [artist for artist in ax.lines if artist.get_marker() == "o"]
    assert [float(p.get_xdata()[0]) for p in points] == [0.03, 0.0]
    assert [p.get_markerfacecolor() == "white" for p in points] == [False, True]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["joint", "ens"]


@pytest.mark.parametrize("columns", [["method", "mean"], ["method", "mean", "low", "high"]])
def test_paired_gain_names_what_is_missing(columns, ax):
    with pytest.raises(InputError, match="it lacked low, high|it had no rows"):
        plots.paired_gain(pd.DataFrame({name: [] for name in columns}), ax)
