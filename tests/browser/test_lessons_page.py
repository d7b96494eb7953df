"""What a learner sees after "Run All" of a lesson."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.timeout(240)]

TALL = "from IPython.display import HTML\nHTML('<div style=\"height: 900px\">before</div>')"
TASK = 'from mmpid.lessons import Task\n\nraise Task("Exercise 1: plot R over the epochs.")'
AFTER = ["ran_on = True\n" + "\n" * 12] * 6
# the middle of the exercise's output, as a share of the height of the window
_PLACE = """() => { const found = [...document.querySelectorAll('.jp-OutputArea-output')]
    .find(output => output.textContent.includes('Exercise 1: plot R'));
    if (!found) return null; const box = found.getBoundingClientRect();
    return (box.top + box.bottom) / 2 / window.innerHeight; }"""


def test_run_all_stops_at_the_exercise_and_shows_it(open_notebook, tmp_path):
    page = open_notebook(TALL, TALL, TASK, *AFTER, height=800)
    page.wait_until(lambda: page.tab.evaluate(_PLACE) is not None)
    page.wait_until(lambda: 0.05 < page.tab.evaluate(_PLACE) < 0.95, 20)
    page.tab.wait_for_timeout(1500)
    page.screenshot("exercise", tmp_path)
    assert 0.05 < page.tab.evaluate(_PLACE) < 0.95
    shown = page.tab.locator(".jp-OutputArea-output", has_text="Exercise 1: plot R").last.inner_text()
    assert shown.strip() == "Exercise 1: plot R over the epochs."
    assert page.execute("print('ran_on' in globals())").strip() == "False"
