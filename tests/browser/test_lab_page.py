"""The competition lab as one HTML file: Python's numbers, the state in the address, no kernel, no network."""

import numpy as np
import pytest
import torch

from mmpid.theory import schedules
from mmpid.widgets.lab.page import write_page
from mmpid.widgets.lab.world import Knobs, make_world

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

# the page's knobs beside Python's: every schedule, an oracle and fixed lengths, few and many random numbers at a time
WORLDS = [
    ({"k": 8}, {"n_classes": 8}),
    ({"k": 4, "schedule": "two-stage", "seed": 3}, {"n_classes": 4, "schedule": "two-stage", "seed": 3}),
    ({"k": 6, "schedule": "one-shaped", "stage1": "80", "ratio": 1.4, "steps": 200},
     {"n_classes": 6, "schedule": "one-shaped", "shaping_steps": 80, "ratio": 1.4, "n_steps": 200}),
    ({"k": 4, "schedule": "two-stage-margin", "c": 1, "rate": "constant", "s0": 0.1, "steps": 300},
     {"n_classes": 4, "schedule": "two-stage-margin", "insufficiency": 1.0, "constant_rate": True, "init_scale": 0.1,
      "n_steps": 300}),
]  # fmt: skip
START = {"k": 8, "s0": 0.004, "ratio": 1, "c": 0.25, "rate": "law", "schedule": "joint", "stage1": "oracle"}
START |= {"steps": 400, "seed": 0}
_WORLD = """(knobs) => { const { ecs, times, expected, kept, predicted, handOver, strata, error } =
    window.competitionLab.simulateNow(knobs);
    const words = times.map((pair) => pair.map(String));
    return { ecs, times: words, expected, kept, predicted, handOver, strata, error }; }"""


@pytest.fixture
def show(browser, tmp_path):
    opened, file = [], write_page(tmp_path / "lab.html")

    def go(address="", **context):
        own = browser.new_context(offline=True, viewport={"width": 1200, "height": 900}, **context)
        tab = own.new_page()
        tab.problems = []
        tab.on("console", lambda m: tab.problems.append(m.text) if m.type == "error" else None)
        tab.on("pageerror", lambda e: tab.problems.append(str(e)))
        tab.goto(f"file://{file}{address}")
        tab.locator("main[data-state=done]").wait_for(timeout=120_000)
        opened.append(own)
        return tab

    yield go
    for one in opened:
        one.close()


def said(tab):
    return tab.locator("[role=status]").inner_text()


def test_the_page_has_the_numbers_of_python(show, monkeypatch):
    monkeypatch.setattr(schedules, "DTYPE", torch.float64)
    tab = show("#k=4&steps=100")
    for here, there in WORLDS:
        mine, world = tab.evaluate(_WORLD, START | here), make_world(Knobs(**there))
        assert mine["kept"] == world.kept.tolist() and mine["predicted"] == world.predicted.tolist()
        assert mine["handOver"] == world.hand_over
        for got, wanted in ((mine["ecs"], world.ecs), (mine["strata"], world.strata), (mine["error"], world.error)):
            np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-6)
        times = np.array([[float(t.replace("Infinity", "inf")) for t in pair] for pair in mine["times"]])
        np.testing.assert_allclose(times, world.sim.discovery_time.numpy(), rtol=2e-6)
        np.testing.assert_allclose(mine["expected"], world.sim.predicted_time.numpy(), rtol=2e-6)


def test_the_address_holds_the_state_and_a_link_shows_the_same_world(show):
    tab = show("#k=4&schedule=two-stage&seed=7&steps=300&theme=dark")
    assert tab.get_by_label("Schedule").input_value() == "two-stage" and "Of 4 classes" in said(tab)
    first = said(tab)
    tab.get_by_role("button", name="Another world").click()
    tab.wait_for_function("() => location.hash.includes('seed=8')")
    tab.locator("main[data-state=done]").wait_for(timeout=60_000)
    again = show(tab.evaluate("() => location.hash").replace("seed=8", "seed=7"))
    assert said(again) == first
    assert again.evaluate("() => getComputedStyle(document.body).backgroundColor") == "rgb(17, 17, 17)"
    nonsense = show("#k=5&steps=abc&schedule=none&seed=-1&s0=9&theme=pink")
    assert nonsense.evaluate("() => window.competitionLab.page.state") == START | {"theme": "auto"}
    assert tab.problems == again.problems == nonsense.problems == []


def test_every_knob_works_by_keyboard(show):
    tab = show("#k=4&steps=100")
    tab.get_by_label("Classes K").focus()
    for _ in range(6):
        tab.keyboard.press("Tab")
    tab.keyboard.press("Tab")  # stage 1 is off with the joint schedule: the next one is the number of steps
    assert tab.evaluate("() => document.activeElement.id") in ("knob-steps", "knob-seed")
    tab.get_by_label("Steps in all").focus()
    tab.keyboard.press("ArrowRight")
    tab.wait_for_function("() => location.hash.includes('steps=150')")
    tab.get_by_label("Schedule").focus()
    tab.keyboard.press("ArrowDown")
    tab.wait_for_function("() => location.hash.includes('schedule=two-stage')")
    assert tab.problems == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_violation_on_the_page(show, scheme):
    axe = pytest.importorskip("axe_core_python.sync_playwright", reason="axe-core-python is not installed").Axe()
    tab = show("#k=4&steps=150", color_scheme=scheme)
    tab.get_by_text("The data of the charts as tables").click()
    found = axe.run(tab)["violations"]
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in found] == []
    assert tab.evaluate("() => document.documentElement.scrollWidth") <= 1200


def test_the_sweep_over_k_grows_while_the_page_answers(show):
    tab = show("#k=4&steps=100")
    tab.get_by_role("button", name="Compute").click()
    tab.wait_for_function("() => (window.competitionLab.page.sweep.joint[4] ?? []).length > 0", timeout=60_000)
    tab.get_by_label("Steps in all").fill("150")
    tab.locator("main[data-state=done]").wait_for(timeout=60_000)
    assert tab.evaluate("() => Object.keys(window.competitionLab.page.sweep.joint).length") == 0  # another setting
