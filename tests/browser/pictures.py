"""Pictures of every state of the board and of the other widgets, at three widths and in two themes: one sheet a state.

python -m tests.browser.pictures docs/images/board [STATE ...]
"""

import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import mmpid
from mmpid.widgets import Dashboard, Race, RunBrowser
from mmpid.widgets.lab.page import write_page
from mmpid.widgets.study.board import StudyView
from tests.browser.bare import BarePage
from tests.browser.states import STATES, trained
from tests.widgets.fake_trainer import FakeTrainer

WIDTHS, GAP, HEIGHT, SHRINK, QUALITY = (700, 950, 1800), 16, 2400, 0.62, 82
GONE = "() => { const board = window.bare.el.mmpidBoard; board.gone = true; board.render(true); }"
LOOKS = ("light", "dark")


def shot(tab: Page, what: str, width: int) -> Image.Image:
    """Return a picture of an element, with the page as wide as asked."""
    tab.set_viewport_size({"width": width, "height": HEIGHT})
    tab.wait_for_timeout(450)  # a theme is followed, and charts are drawn, a moment after the size is known
    return Image.open(io.BytesIO(tab.locator(what).first.screenshot())).convert("RGB")


def bare(browser: Browser, widget, what: str, then: str | None = None) -> Iterator[Image.Image]:
    """Yield a widget in a bare page, light and dark, at each width."""
    for look in LOOKS:
        page = BarePage(browser, widget, dark=look == "dark", height=HEIGHT)
        if then:
            page.tab.evaluate(then)
        yield from (shot(page.tab, what, width) for width in WIDTHS)
        page.close()


def settled(board: Dashboard, state: str) -> None:
    """Wait until the board shows a state."""
    own = board._board
    while own.view.now["state"] != state or (state != "playing" and own.publisher.shown != own.runs.version):
        time.sleep(0.02)


def board_in(browser: Browser, make: Callable[[], FakeTrainer], state: str | None = None, then: str | None = None):
    """Yield the board of a run, once it has come to a state."""
    board = Dashboard(make(), mode="live")
    if state is not None:
        board.session.play()
        settled(board, state)
    yield from bare(browser, board._board.view, ".mmpid-board", then)
    board.close()


def running(browser: Browser) -> Iterator[Image.Image]:
    """Yield a board that trains meanwhile."""
    board = Dashboard(trained(9, seconds=0.2, batches=10), mode="live")
    board.session.play()
    settled(board, "playing")
    time.sleep(1.5)
    yield from bare(browser, board._board.view, ".mmpid-board")
    board.close()


def study(browser: Browser) -> Iterator[Image.Image]:
    """Yield the board of a study with a run in each state."""
    cells = [
        {"state": "finished", "mark": "91", "detail": "test accuracy: joint 91.2 %; 6.3 s"},
        {"state": "running", "mark": "40%", "detail": "epoch 12 of 30"},
        {"state": "failed", "mark": "!", "detail": "TrainingError: the loss is not finite"},
        {"state": "waiting", "mark": "", "detail": "not begun"},
    ]
    names = ("joint", "two-stage", "OGM-GE")
    rows = [
        {"name": name, "cells": [cells[(i + j) % 4] | {"seed": j, "folder": f"{name}-{j}"} for j in range(6)]}
        for i, name in enumerate(names)
    ]
    words = "5 of 18 runs finished, 4 failed, 4 running; about 3 minutes left."
    scene = {"rows": rows, "seeds": list(range(6)), "unit": "test accuracy, %"}
    view = StudyView(scene=scene, words=words, chosen="joint-2")
    yield from bare(browser, view, ".mmpid-study")


def runs(browser: Browser) -> Iterator[Image.Image]:
    """Yield the run browser with some runs of three seeds."""
    found = {}
    for i, name in enumerate(("plain", "longer", "other seed", "late start")):
        trainer = FakeTrainer(epochs=15 + 5 * i)
        trainer.record.metadata |= {"seed": i // 2, "created": f"2026-11-2{i}T10:00:00"}
        trainer.fit()
        found[name] = trainer
    browse = RunBrowser(found, mode="live")
    yield from bare(browser, browse._live.view, ".mmpid-browser")
    browse.close()


def race(browser: Browser) -> Iterator[Image.Image]:
    """Yield the race of lesson 1."""
    data = mmpid.datasets.load("av-digits", seed=0, image_noise=0)
    both = Race(data, seed=0, epochs=12, mode="live", device="cpu")
    both.play()
    both.wait()
    yield from bare(browser, both.view, ".mmpid-race")
    both.close()


def lab(browser: Browser) -> Iterator[Image.Image]:
    """Yield the page of the competition lab."""
    with tempfile.TemporaryDirectory() as folder:
        file = write_page(Path(folder) / "lab.html")
        for look in LOOKS:
            context = browser.new_context(color_scheme=look, offline=True)
            tab = context.new_page()
            tab.goto(f"file://{file}#k=8&steps=300")
            tab.locator("main[data-state=done]").wait_for(timeout=120_000)
            yield from (shot(tab, "main", width) for width in WIDTHS)
            context.close()


SHEETS: dict[str, Callable[[Browser], Iterator[Image.Image]]] = {
    **{state: lambda browser, make=make: board_in(browser, make) for state, make in STATES.items()},
    "running": running,
    "error": lambda browser: board_in(browser, lambda: FakeTrainer(fail_at=87, probe_every=1), "failed"),
    "kernel gone": lambda browser: board_in(browser, STATES["paused"], then=GONE),
    "study": study,
    "run browser": runs,
    "race": race,
    "lab page": lab,
}


def sheet(pictures: list[Image.Image]) -> Image.Image:
    """Return two rows, light above dark, with the widths side by side."""
    rows = [pictures[: len(WIDTHS)], pictures[len(WIDTHS) :]]
    heights = [max(one.height for one in row) for row in rows]
    wide = sum(WIDTHS) + GAP * (len(WIDTHS) + 1)
    made = Image.new("RGB", (wide, sum(heights) + 3 * GAP), "#c8ccd2")
    top = GAP
    for row, height in zip(rows, heights, strict=True):
        left = GAP
        for one, width in zip(row, WIDTHS, strict=True):
            made.paste(one, (left, top))
            left += width + GAP
        top += height + GAP
    return made.resize((round(made.width * SHRINK), round(made.height * SHRINK)), Image.Resampling.LANCZOS)


def take(folder: Path, states: list[str]) -> None:
    """Write the sheet of each state as WebP."""
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        for state in states:
            path = folder / f"{state.replace(' ', '-')}.webp"
            with contextlib.closing(SHEETS[state](browser)) as pictures:
                sheet(list(pictures)).save(path, quality=QUALITY, method=6)
            print(f"{path}: {path.stat().st_size / 1024:.0f} KiB", flush=True)
        browser.close()


if __name__ == "__main__":
    take(Path(sys.argv[1]), sys.argv[2:] or list(SHEETS))
