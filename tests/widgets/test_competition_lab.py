"""The competition lab: a pure scene of the solvable model, and knobs around it."""

import threading
import time
import types

import numpy as np
import pytest
from ipywidgets.widgets.widget import _instances as living_widgets

from mmpid.errors import ConfigError
from mmpid.theory import simulate
from mmpid.widgets import CompetitionLab
from mmpid.widgets.lab import text
from mmpid.widgets.lab import world as scene
from mmpid.widgets.lab.charts import course_series, sweep_series
from mmpid.widgets.lab.world import Knobs, make_sweep, make_world
from mmpid.widgets.parts import lifecycle
from mmpid.widgets.parts.worker import Worker

NAMES = ("audio", "image")
SMALL = {"n_classes": 4, "n_steps": 400}


@pytest.fixture(autouse=True)
def small_sweeps(monkeypatch):
    """Sweep over two numbers of classes and two worlds: the law is tested in the theory, here the picture of it."""
    monkeypatch.setattr(scene, "SWEEP_CLASSES", (4, 6))
    monkeypatch.setattr(scene.make_sweep, "__defaults__", ((4, 6), 2))


@pytest.fixture
def lab():
    made = CompetitionLab(mode="live", names=NAMES, **SMALL)
    yield made
    made.close()


def threads(start="mmpid-"):
    return [thread for thread in threading.enumerate() if thread.name.startswith(start)]


def test_a_world_has_the_numbers_of_the_theory():
    world = make_world(Knobs(**SMALL))
    sim = simulate(4, "joint", seed=0, n_steps=400, n_test=scene.N_TEST, mu=0.25 / 4)
    assert np.allclose(world.ecs, sim.ecs) and world.error == pytest.approx(float(sim.error))
    assert world.error == pytest.approx(float((world.strata * world.strata_weights).sum()))
    assert world.strata_weights.sum() == pytest.approx(1)
    assert world.predicted.tolist() == sim.predicted_winner.tolist()


def test_who_has_a_class_agrees_with_the_course_of_discovery():
    world = make_world(Knobs(n_classes=16))
    ends = [one.y[-1] for one in course_series(world, NAMES) if one.kind == "line"]
    kept = world.kept.tolist()
    assert ends == [kept.count(0) + kept.count(2), kept.count(1) + kept.count(2)]
    right, alone = world.hits
    assert right == alone == kept.count(0) + kept.count(1) > 4  # ECS names every winner here
    said = text.seen(world, NAMES)
    assert f"audio alone learns {kept.count(0)}, image alone {kept.count(1)}, both learn {kept.count(2)}" in said
    assert f"named the winner in {right} of {alone}" in said


def test_two_stages_leave_no_loser_and_the_words_say_so():
    joint, shaped = (make_world(Knobs(n_classes=8, n_steps=600, schedule=s)) for s in ("joint", "two-stage"))
    assert shaped.hits == (0, 0) and (shaped.kept == 2).all() and shaped.hand_over > 0
    assert joint.hand_over is None and shaped.error < joint.error / 3
    assert "nothing for ECS to predict" in text.seen(shaped, NAMES)


@pytest.mark.parametrize(
    ("knobs", "words"),
    [
        (Knobs(n_classes=4, n_steps=100, init_scale=0.001), "too short for this initial scale"),
        (Knobs(n_classes=4, n_steps=300, schedule="two-stage", shaping_steps=400), "Stage 1 has not ended"),
    ],
)
def test_the_words_warn_where_the_picture_would_mislead(knobs, words):
    assert words in text.seen(make_world(knobs), NAMES)


def test_no_insufficient_sample_is_not_an_error():
    world = make_world(Knobs(insufficiency=0.0, **SMALL))
    assert world.error == 0 and "of μ" not in text.seen(world, NAMES)


def test_the_rate_falls_with_k_unless_it_is_constant():
    assert Knobs().rate(8) == 2 * Knobs().rate(16)
    assert Knobs(constant_rate=True).rate(8) == Knobs(constant_rate=True).rate(32) == Knobs().rate(16)


def test_the_sweep_grows_by_one_world_a_time_and_ends_with_slopes():
    states = list(make_sweep(Knobs(schedule="one-shaped").for_sweep, (4, 8), 2))
    assert [state.done for state in states] == list(range(13)) and states[-1].complete
    assert set(states[-1].errors) == {"joint", "two-stage", "one-shaped"}
    assert states[3].slope("joint") is None and states[-1].slope("joint").estimate < 0
    dots = next(one for one in sweep_series(states[-1]) if one.key == "joint worlds")
    assert sorted(dots.x) == [4, 4, 8, 8]
    assert all((one.y > 0).all() for state in states for one in sweep_series(state))


def test_a_zero_error_has_no_logarithm_and_is_not_given_a_slope():
    *_, sweep = make_sweep(Knobs(insufficiency=0.0).for_sweep, (4, 6), 1)
    assert sweep.complete and sweep.slope("joint") is None
    assert all((one.y > 0).all() for one in sweep_series(sweep))


def test_one_number_of_classes_has_no_slope():
    *_, sweep = make_sweep(Knobs().for_sweep, (4,), 2)
    assert sweep.complete and sweep.slope("joint") is None


def test_knobs_that_the_sweep_does_not_depend_on_do_not_restart_it():
    assert Knobs(n_classes=8, seed=5, schedule="two-stage").for_sweep == Knobs().for_sweep
    assert Knobs(init_scale=0.02).for_sweep != Knobs().for_sweep


def test_a_knob_changes_charts_words_and_table(lab):
    controls, charts = lab._live.controls, lab._live.charts
    lab._live._folded.unfolded = True
    before = lab._live._status.value, charts.winners.plot.scene, lab._live._folded.html
    controls.n_classes.value = 6
    assert lab.wait(30)
    marks = charts.winners.plot.marks
    for i, name in enumerate(lab.names):
        assert marks[name]["y"].tolist() == pytest.approx(lab.world.ecs[:, i].tolist())
    assert len(lab.world.ecs) == 6 and before[1] != charts.winners.plot.scene
    assert before[0] != lab._live._status.value and before[2] != lab._live._folded.html
    assert "Of 6 classes" in lab._live._status.value and 'aria-live="polite"' in lab._live._status.value
    assert lab._live._failure.value == ""
    assert sum(len(mark["x"]) for key, mark in marks.items() if key.startswith("kept")) == 6


def test_the_latest_of_many_moves_wins(lab):
    for seed in range(1, 12):
        lab._live.controls.seed.value = seed
    assert lab.wait(60)
    assert lab.world.knobs.seed == 11


def test_the_sweep_is_computed_in_the_background_and_restarted_by_a_knob(lab):
    assert lab.wait(60, sweep=True)
    assert lab.sweep.complete and "complete" in lab._live._progress.value
    lab._live.controls.ratio.value = 0.5
    assert lab.wait(60, sweep=True)
    assert lab.sweep.complete and lab.sweep.knobs.ratio == 0.5


def test_the_start_is_one_click_away_and_another_world_too(lab):
    controls = lab._live.controls
    start = controls.knobs
    controls.schedule.value, controls.oracle.value, controls.shaping_steps.value = "two-stage", False, 60
    assert controls.knobs.shaping_steps == 60 and not controls.shaping_steps.disabled
    controls.another.click()
    assert controls.knobs.seed == 1
    controls.reset.click()
    assert controls.knobs == start and controls.shaping_steps.disabled
    assert lab.wait(30) and lab.world.knobs == start


def test_an_error_is_shown_raised_by_wait_and_forgotten_when_all_is_well(lab, monkeypatch):
    broken = lambda *_, **__: (_ for _ in ()).throw(ValueError("no such world"))  # noqa: E731
    monkeypatch.setattr(scene, "simulate", broken)
    lab._live.controls.seed.value = 7
    with pytest.raises(ValueError, match="no such world"):
        lab.wait(30)
    assert 'role="alert"' in lab._live._failure.value and "no such world" in lab._live._failure.value
    monkeypatch.setattr(scene, "simulate", simulate)
    lab._live.controls.seed.value = 8
    assert lab.wait(30) and lab._live._failure.value == ""


def test_every_control_has_words_and_a_tooltip(lab):
    for control in (*lab._live.controls.inputs, lab._live.controls.another, lab._live.controls.reset):
        assert control.description and control.tooltip


def test_close_ends_every_thread(lab):
    assert len(threads("mmpid-lab")) == 2
    lab.close()
    assert threads("mmpid-lab") == []
    lab.close()  # twice is no error


def test_running_the_cell_again_leaves_one_lab(monkeypatch):
    labs = []
    for count in (1, 2, 3):
        monkeypatch.setattr(lifecycle, "cell_of_now", lambda count=count: ("cell", count))
        labs.append(CompetitionLab(mode="live", **SMALL))
    assert len(threads("mmpid-lab")) == 2 and labs[-1]._live.worlds.alive and not labs[0]._live.worlds.alive
    labs[-1].close()


def test_the_static_lab_makes_neither_widget_nor_thread_and_has_the_live_numbers():
    widgets_before, threads_before = set(living_widgets), threading.active_count()
    static = CompetitionLab(mode="static", names=NAMES, **SMALL)
    bundle = static._bundle()
    assert set(living_widgets) == widgets_before and threading.active_count() == threads_before
    assert bundle["image/png"].startswith(b"\x89PNG") and "Of 4 classes" in bundle["text/plain"]
    live = CompetitionLab(mode="live", names=NAMES, **SMALL)
    assert live.wait(60, sweep=True)
    assert static.world.error == live.world.error and static.sweep.errors == live.sweep.errors
    live.close()


def test_the_picture_has_four_panels_with_units():
    figure = CompetitionLab(mode="static", **SMALL).picture()
    labels = [ax.get_ylabel() for ax in figure.axes]
    assert labels == [
        "ECS at the start (no unit)",
        "classes discovered (number)",
        "test error (fraction wrong)",
        "test error (fraction wrong)",
    ]


def test_unknown_and_impossible_knobs_are_refused():
    with pytest.raises(ConfigError, match="n_clases"):
        CompetitionLab(mode="static", n_clases=4)
    with pytest.raises(ConfigError, match="n_classes"):
        CompetitionLab(mode="live", n_classes=1)


def test_a_worker_drops_what_a_newer_request_replaces():
    shown, go = [], threading.Event()

    def work(request):
        yield request, "begun"
        go.wait(5)
        yield request, "done"

    worker = Worker(work, shown.append)
    worker.ask("old")
    deadline = time.monotonic() + 5
    while not shown and time.monotonic() < deadline:
        time.sleep(0.005)
    for request in ("middle", "new"):
        worker.ask(request)
    go.set()
    assert worker.wait(5)
    assert shown == [("old", "begun"), ("new", "begun"), ("new", "done")]
    assert worker.close() and not worker.alive
    worker.ask("late")
    assert worker.wait(1)  # a closed worker does nothing, and nobody waits for it


def test_a_failure_of_the_display_is_kept_too():
    seen = types.SimpleNamespace(error=None)
    worker = Worker(lambda r: [r], lambda r: 1 / r, lambda e: setattr(seen, "error", e or seen.error))
    worker.ask(0)
    with pytest.raises(ZeroDivisionError):
        worker.wait(5)
    worker.close()
    assert isinstance(seen.error, ZeroDivisionError)
