"""Pictures: what the artists carry, not pixels."""

import threading
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
import torch

mpl.use("agg")

import matplotlib.pyplot as plt
from matplotlib.collections import LineCollection
from matplotlib.colors import same_color
from matplotlib.figure import Figure

from mmpid import plots
from mmpid.errors import ConfigError, InputError, ShapeError
from mmpid.runs import RunRecord
from mmpid.studies.sweep import SwitchSweep
from tests.widgets.fake_trainer import FakeTrainer

ATOMS = {"redundancy": 1.2, "unique1": 0.3, "unique2": 0.1, "synergy": 0.4}
CURVES = (
    plots.pid_curves,
    plots.ecs_curves,
    plots.accuracy_curves,
    plots.loss_curves,
    plots.pid_trajectory,
    plots.class_strength,
    plots.stacked_atoms,
    plots.ecs_bars,
    plots.learning_curves,
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


MANY = ("audio", "image", "text", "depth", "touch", "smell")


def many_record(n):
    """A record of `n` modalities, as the trainer writes it for three or more."""
    record, names = RunRecord({"modalities": list(MANY[:n]), "class_names": ["cat", "dog"]}), MANY[:n]
    for epoch in (0, 1, 2):
        at = {"segment": 0, "stage": "unimodal", "epoch": epoch, "step": epoch}
        atoms = {"redundancy": 0.5, "synergy": 0.1} | {f"unique{i + 1}": 0.1 * i for i in range(n)}
        bounds = {f"{k}_{side}": v + d for k, v in atoms.items() for side, d in (("low", -0.1), ("high", 0.1))}
        ecs = {f"ecs.margin.{m}": 1.0 + i for i, m in enumerate(names)}
        ecs |= {f"ecs.margin.{m}.{c}": 1.0 + i for i, m in enumerate(names) for c in (0, 1)}
        record.append("probe", **at, **atoms, **bounds, **ecs)
        record.append("epoch", **at, **{f"{q}.{m}": 0.5 for q in ("validation_accuracy", "loss") for m in names})
    return record


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


@pytest.mark.parametrize("draw", [plots.accuracy_curves, plots.loss_curves, plots.pid_curves, plots.stacked_atoms])
def test_every_quantity_has_its_unit(draw, record, ax):
    assert any(unit in draw(record, ax).get_ylabel() for unit in ("fraction", "nats", "bits"))


def test_accuracies_of_sweeps_and_differences_have_their_unit(ax):
    assert "fraction" in plots.switch_curve(make_sweep(), ax).get_ylabel()
    frame = pd.DataFrame({"method": ["joint"], "mean": [0.03], "low": [0.02], "high": [0.04]})
    assert "fraction" in plots.paired_gain(frame, Figure().subplots()).get_xlabel()


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
    assert "unique to\naudio\n(U1)" in [label.get_text() for label in ax.get_xticklabels()]


def test_exact_results_have_bars_without_intervals(estimate, ax):
    plots.atoms_bar(estimate.pid, ax)
    assert len(ax.patches) == 4 and not ax.collections


def test_the_diagram_writes_each_atom(estimate, ax):
    plots.information_diagram(estimate, ax, modalities=("audio", "image"))
    words = " ".join(text.get_text() for text in ax.texts)
    for value in ("1.20", "0.30", "0.10", "0.40"):
        assert f"{value} bits" in words
    assert words.count("not identified") == 1  # synergy


def test_long_names_do_not_run_into_each_other_in_the_diagram(estimate):
    ax = plots.information_diagram(estimate, modalities=("accelerometer", "gyroscope"))
    ax.figure.draw_without_rendering()
    left, right, middle = (text.get_window_extent() for text in ax.texts[:3])
    assert left.x1 <= middle.x0 and middle.x1 <= right.x0


def test_a_zero_has_no_sign(estimate):
    estimate.pid.redundancy = torch.tensor(-1e-9)
    for draw in (plots.atoms_bar, plots.information_diagram):
        blank = Figure().subplots()
        draw(estimate.pid, blank)
        assert not any("-0.00" in text.get_text() for text in blank.texts)


def test_epochs_are_whole_numbers(ax):
    plots.pid_curves(many_record(3), ax)
    assert all(tick == int(tick) for tick in ax.get_xticks())


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


# --- stacked atoms, bars by class, learning curves, switch points -----------------------------------------------


def test_stacked_areas_rest_on_each_other_and_carry_whiskers(record, ax):
    plots.stacked_atoms(record, ax)
    areas = [c for c in ax.collections if c.get_label() and not c.get_label().startswith("_")]
    assert [a.get_label() for a in areas][1:3] == ["unique to audio (U1)", "unique to image (U2)"]
    last = record.lineage("probe")[-1]
    tops = [max(y for x, y in a.get_paths()[0].vertices if x == last["epoch"]) for a in areas]
    sums = [sum(last[name] for name in list(ATOMS)[: i + 1]) for i in range(4)]
    assert tops == pytest.approx(sums)
    assert len(ax.collections) == 8  # four areas, four sets of whiskers


def test_a_lower_end_below_zero_is_drawn_from_zero(ax):
    record = RunRecord({"modalities": ["audio", "image"]})
    ends = {f"{name}_{end}": value for name in ATOMS for end, value in (("low", -2.0), ("high", 3.0))}
    for epoch in (0, 1):
        record.append("probe", segment=0, stage="unimodal", epoch=epoch, step=0, **ATOMS, **ends)
    plots.stacked_atoms(record, ax)
    whiskers = [c for c in ax.collections if isinstance(c, LineCollection)]
    starts = [min(y for _, y in segment) for one in whiskers for segment in one.get_segments()]
    own = list(ATOMS.values())
    below = [sum(own[:i]) for i in range(len(own))]
    assert sorted(set(np.round(starts, 6))) == pytest.approx(sorted(below))


def test_a_negative_estimate_takes_no_room_and_an_unidentified_one_is_hatched(ax):
    record = RunRecord({"modalities": ["audio", "image"]})
    for epoch in (0, 1):
        row = {**ATOMS, "unique2": -0.2, "synergy_identified": False}
        record.append("probe", segment=0, stage="unimodal", epoch=epoch, step=0, **row)
    plots.stacked_atoms(record, ax)
    tops = [area.get_paths()[0].vertices[:, 1].max() for area in ax.collections]
    assert tops == pytest.approx([1.2, 1.5, 1.5, 1.9])
    assert [bool(area.get_hatch()) for area in ax.collections] == [False, False, False, True]


def test_bars_by_class_have_the_height_of_the_latest_probe(record, ax):
    plots.ecs_bars(record, ax)
    last = record.lineage("probe")[-1]
    assert len(ax.patches) == 20
    assert ax.patches[19].get_height() == last["ecs.margin.image.9"]
    assert len({patch.get_hatch() for patch in ax.patches}) == 2
    with pytest.raises(ConfigError, match="Did you mean 'confidence'"):
        plots.ecs_bars(record, ax, proxy="confidense")


def test_learning_curves_name_both_stages_and_draw_training_thin(record, ax):
    plots.learning_curves(record, ax)
    assert {"stage 1: each alone", "stage 2: together"} <= {text.get_text() for text in ax.texts}
    widths = [artist.get_linewidth() for artist in ax.lines]
    assert widths.count(2) == 4 and widths.count(0.9) == 4
    assert "thin: training" in ax.get_ylabel()
    with pytest.raises(ConfigError, match="'accuracy', 'loss'"):
        plots.learning_curves(record, quantity="f1")


def test_learning_curves_can_show_losses(record, ax):
    plots.learning_curves(record, ax, quantity="loss")
    assert ax.get_ylabel().startswith("cross-entropy (nats")


def make_sweep(seeds=(0, 1, 2), epochs=(0, 5, 10)):
    rows = [{"seed": s, "epoch": e, "test_accuracy": 0.7 + 0.01 * e + 0.05 * s} for s in seeds for e in epochs]
    choices = [{"seed": s, "rule": rule, "epoch": e} for s in seeds for rule, e in (("A", 0), ("B", 10))]
    return SwitchSweep(tuple(rows), tuple(choices))


def test_the_switch_curve_has_the_mean_and_marks_what_each_rule_chose(ax):
    plots.switch_curve(make_sweep(), ax)
    curve, first, second = ax.lines
    assert curve.get_ydata().tolist() == pytest.approx([0.75, 0.80, 0.85])
    assert [(p.get_label(), float(p.get_xdata()[0])) for p in (first, second)] == [("A", 0.0), ("B", 10.0)]
    assert [float(p.get_ydata()[0]) for p in (first, second)] == pytest.approx([0.75, 0.85])
    assert len({p.get_marker() for p in (first, second)}) == 2


def test_the_band_of_the_switch_curve_does_not_count_how_hard_a_seed_is(ax):
    plots.switch_curve(make_sweep(), ax)
    band = ax.collections[0].get_paths()[0].vertices[:, 1]
    assert band.min() == pytest.approx(0.75) and band.max() == pytest.approx(0.85)  # seeds differ by a constant only


def band_of(ax):
    """Lower and upper edge of the band at epochs 0, 1, ... of a switch curve."""
    x, y = ax.collections[0].get_paths()[0].vertices.T
    return np.array([[edge(y[x == epoch]) for epoch in np.unique(x)] for edge in (min, max)])


def noisy_sweep(n_epochs, seeds=range(6)):
    """A sweep in which nothing but noise, and how hard a seed is, moves the accuracy."""
    rng = np.random.default_rng(0)
    level = rng.normal(size=len(seeds))
    rows = [
        {"seed": s, "epoch": e, "test_accuracy": level[s] + 0.1 * rng.normal()} for s in seeds for e in range(n_epochs)
    ]
    return SwitchSweep(tuple(rows), ())


def test_the_bands_of_two_epochs_agree_with_their_paired_difference(ax):
    sweep = noisy_sweep(2)
    plots.switch_curve(sweep, ax)
    difference = sweep.curve().loc[1]
    bounds = band_of(ax)
    assert (bounds[1] - bounds[0]) / 2 == pytest.approx([(difference["high"] - difference["low"]) / 2 / 2**0.5] * 2)


def test_one_seed_has_no_band_and_no_sweep_says_what_will_come(ax):
    plots.switch_curve(make_sweep(seeds=(0,)), ax)
    assert not ax.collections
    one_epoch = Figure().subplots()
    plots.switch_curve(SwitchSweep(make_sweep(epochs=(5,)).rows, ()), one_epoch)
    assert not one_epoch.collections
    blank = Figure().subplots()
    plots.switch_curve(SwitchSweep((), ()), blank)
    assert "appears here" in blank.texts[0].get_text()


# --- three to six modalities, dark styles -----------------------------------------------------------------------


@pytest.mark.parametrize("n", [3, 4, 5, 6])
@pytest.mark.parametrize("draw", [plots.pid_curves, plots.accuracy_curves, plots.ecs_curves])
def test_up_to_six_modalities_differ_in_color_and_in_dash(draw, n, ax):
    draw(many_record(n), ax)
    curves = [artist for artist in ax.lines if not artist.get_label().startswith("_")]
    assert len(curves) == (n + 2 if draw is plots.pid_curves else n)
    assert len({artist.get_color() for artist in curves}) == len(curves)
    assert len({str(artist._unscaled_dash_pattern) for artist in curves}) == len(curves)


@pytest.mark.parametrize("n", [3, 6])
@pytest.mark.parametrize("draw", CURVES)
def test_every_picture_takes_three_to_six_modalities(draw, n, ax):
    assert draw(many_record(n), ax) is ax


def test_the_trajectory_takes_any_pair(ax):
    plots.pid_trajectory(many_record(3), ax, pair=("text", "audio"))
    assert ax.get_xlabel() == "unique to text (U3), bits"
    for pair, said in ((("text", "text"), "two modalities of audio"), (("text", "nose"), "it was 'nose'")):
        with pytest.raises(ConfigError, match=said):
            plots.pid_trajectory(many_record(3), ax, pair=pair)


@pytest.mark.parametrize("draw", CURVES)
def test_a_dark_style_leaves_dark_ink_on_white_paper(draw, record):
    with plt.style.context("dark_background"):
        ax = draw(record)
        legend = ax.get_legend()
        assert ax.get_facecolor() == ax.figure.get_facecolor() == (1, 1, 1, 1)
        words = [ax.xaxis.label, *ax.get_xticklabels(), *(legend.get_texts() if legend else [])]
        written = [text for text in words if text.get_text()]
        assert written and not any(same_color(text.get_color(), "white") for text in written)


def test_no_legend_of_the_overview_reaches_into_the_next_panel():
    trainer = FakeTrainer(epochs=40)
    trainer.fit()
    for row in trainer.record.rows:
        if row["kind"] == "probe":
            row["synergy_identified"] = False  # the longest label
    figure = plots.overview(trainer.record)
    figure.draw_without_rendering()
    left, right = figure.axes[0], figure.axes[1]
    title = right._left_title.get_window_extent()
    assert left.get_legend().get_window_extent().x1 < min(title.x0, right.get_window_extent().x0)


# --- what is handed to a picture --------------------------------------------------------------------------------


@pytest.mark.parametrize("draw", [*CURVES, lambda run, ax: plots.overview(run)])
def test_a_trainer_or_a_saved_record_will_do_and_anything_else_is_refused(draw, ax, tmp_path):
    trainer = FakeTrainer(epochs=4)
    trainer.fit()
    draw(trainer, ax)
    draw(trainer.record.save(tmp_path / "record.jsonl"), Figure().subplots())
    with pytest.raises(InputError, match="`record`"):
        draw(3, Figure().subplots())
    with pytest.raises(InputError, match="does not exist"):
        draw(tmp_path / "nothing", Figure().subplots())


def test_a_sweep_must_be_one(ax):
    with pytest.raises(InputError, match="`sweep`"):
        plots.switch_curve({}, ax)


@pytest.mark.parametrize("draw", [plots.atoms_bar, plots.information_diagram])
@pytest.mark.parametrize("names", ["ab", ("audio",), ("audio", "image", "text")])
def test_a_decomposition_has_two_sources_with_a_name_each(draw, names, estimate, ax):
    with pytest.raises(InputError, match="`modalities`"):
        draw(estimate, ax, modalities=names)


@pytest.mark.parametrize("wrong", [None, 3, "frame"])
def test_paired_gain_asks_for_a_frame(wrong):
    with pytest.raises(InputError, match="`frame`"):
        plots.paired_gain(wrong)


def test_methods_within_the_critical_difference_are_joined(ax):
    ranks = pd.DataFrame({"mean_rank": [1.2, 3.5, 1.9]}, index=["ens", "a", "joint"])
    ranks.attrs |= {"critical_difference": 1.0, "n_data": 8, "p": 0.01}
    plots.critical_difference(ranks, ax)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["ens", "joint", "a"]
    bars = [line.get_ydata().tolist() for line in ax.lines if line.get_label() == "joined"]
    assert bars == [[0, 1]]
    with pytest.raises(InputError, match=r"comparison.ranks\(\)"):
        plots.critical_difference(pd.DataFrame({"mean_rank": [1.0]}), ax)


def test_sensitivity_rings_the_chosen_setting_of_each_method(ax):
    rows = [("d", m, lr, v, v > 0.75) for m, x in (("a", 0), ("b", 0.01)) for lr, v in ((0.1, 0.6 + x), (1, 0.8 + x))]
    frame = pd.DataFrame(rows, columns=["data", "method", "lr", "validation", "chosen"])
    plots.sensitivity(frame, ax)
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in ax.lines] == [(1, 0), (1, 1)]
    assert {text.get_text() for text in ax.texts} == {"60.0", "80.0", "61.0", "81.0"}
    with pytest.raises(InputError, match="one data set"):
        plots.sensitivity(pd.concat([frame, frame.assign(data="e")]), ax)
