"""What a test says to JupyterLab: open, run, click, read, save."""

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat

PATIENCE = 60  # seconds: waiting ends with the condition; on a busy machine that may be late, and is no failure
_READY = """() => { const s = window.jupyterapp?.shell.currentWidget?.sessionContext;
    return s && s.isReady && s.session && s.session.kernel && s.session.kernel.status === 'idle'; }"""
# a kernel drops what was asked of it just after an error or an interrupt in a cell: ask again
_EXECUTE = """async (code) => { const kernel = window.jupyterapp.shell.currentWidget.sessionContext.session.kernel;
    for (;;) {
        const future = kernel.requestExecute({code, stop_on_error: false}); let text = '';
        future.onIOPub = m => { if (m.header.msg_type === 'stream') text += m.content.text;
                                if (m.header.msg_type === 'error') text += m.content.traceback.join('\\n'); };
        const reply = await future.done;
        if (reply.content.status !== 'aborted') return text; } }"""
_COUNT_CHANGES = """async ([selector, milliseconds]) => {
    const seen = new Set(), element = document.querySelector(selector);
    const watch = new MutationObserver(() => seen.add(element.textContent));
    watch.observe(element, {childList: true, subtree: true, characterData: true});
    await new Promise(done => setTimeout(done, milliseconds)); watch.disconnect(); return seen.size; }"""
_REPLACE_CELLS = """(sources) => { const notebook = window.jupyterapp.shell.currentWidget.content;
    const model = notebook.model.sharedModel, old = model.cells.length;
    model.insertCells(0, sources.map(source => ({cell_type: 'code', source, metadata: {}, outputs: []})));
    model.deleteCellRange(sources.length, sources.length + old); notebook.activeCellIndex = 0; }"""
# a kernel as good as new for a board: no threads, no widgets, no names; what was imported stays imported
_CLEAN = """
from mmpid.live.registry import sessions
from mmpid.widgets.parts.lifecycle import _alive
for one in list(_alive): one.close()
for session in sessions(): session.close()
import ipywidgets; ipywidgets.Widget.close_all()
get_ipython().run_line_magic("reset", "-sf")
import os, gc; gc.collect(); print("clean")
"""
_SET_THEME = """async (theme) => { if (document.body.dataset.jpThemeName !== theme)
    await window.jupyterapp.commands.execute('apputils:change-theme', {theme}); }"""
# a picture taken before the splash has faded shows little else
_THEME_IS = """(theme) => document.body.dataset.jpThemeName === theme
    && !document.querySelector('#jupyterlab-splash')"""
_ADD_CELL = """(code) => { const notebook = window.jupyterapp.shell.currentWidget.content;
    notebook.model.sharedModel.insertCell(notebook.model.cells.length, {cell_type: 'code', source: code});
    notebook.activeCellIndex = notebook.model.cells.length - 1; }"""
_COLORS = """(selector) => [getComputedStyle(document.querySelector(selector)).fill,
    getComputedStyle(document.querySelector('.jp-Notebook')).backgroundColor]"""

_POINT = """(curve, i) => { const [x, y] = curve.getAttribute('d').split(/[ML]/)[i + 1].split(' ').map(Number);
    const place = new DOMPoint(x, y).matrixTransform(curve.getScreenCTM()); return [place.x, place.y]; }"""


@dataclass(frozen=True)
class Lab:
    """A running server."""

    address: str
    token: str
    folder: Path


def write_notebook(folder: Path, name: str, cells) -> str:
    """Write a notebook of code cells and return its file name."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    file = re.sub(r"\W+", "_", name) + ".ipynb"
    nbformat.write(notebook, folder / file)
    return file


class Page:
    """One notebook in one browser tab, in JupyterLab ("lab/tree") or in Notebook 7 ("notebooks")."""

    def __init__(self, lab: Lab, tab, name: str, place: str = "lab/tree"):
        self.lab, self.tab, self.name, self.place = lab, tab, name, place
        self.problems: list[str] = []
        tab.set_default_timeout(1000 * PATIENCE)
        tab.on("console", lambda m: self.problems.append(m.text) if m.type == "error" else None)
        tab.on("pageerror", lambda e: self.problems.append(str(e)))

    def open(self) -> None:
        self.tab.goto(f"{self.lab.address}/{self.place}/{self.name}?reset&token={self.lab.token}")
        self._until_ready()

    def _until_ready(self) -> None:
        self.tab.wait_for_function("() => window.jupyterapp?.shell.currentWidget?.content?.model", timeout=90_000)
        self.tab.wait_for_function(_READY, timeout=90_000)

    def reuse(self, cells) -> None:
        """Make this page and its kernel as good as new, with other cells."""
        self.tab.evaluate(_REPLACE_CELLS, [""])
        said = self.execute(_CLEAN)
        assert said.strip().endswith("clean"), said
        self.theme("JupyterLab Light")
        self.tab.evaluate(_REPLACE_CELLS, list(cells))
        self.problems.clear()

    def command(self, name: str) -> None:
        self.tab.evaluate("async (name) => { await window.jupyterapp.commands.execute(name); }", name)

    def run_all(self) -> None:
        self.command("notebook:run-all-cells")

    def run_from(self, cell: int) -> None:
        """Run one cell and all below it."""
        self.tab.evaluate("(i) => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = i; }", cell)
        self.command("notebook:run-all-below")

    def add_and_run(self, code: str) -> None:
        """Put a cell at the end of the notebook and start it."""
        self.tab.evaluate(_ADD_CELL, code)
        self.tab.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-cell'); }")

    def restart_and_run_all(self) -> None:
        self.tab.evaluate("() => { window.jupyterapp.commands.execute('notebook:restart-run-all'); }")
        self.tab.locator(".jp-Dialog button.jp-mod-accept").click()

    def reload(self) -> None:
        self.tab.reload()
        self._until_ready()

    def shut_down(self) -> None:
        """End this notebook's kernel."""
        self.tab.evaluate("async () => { await window.jupyterapp?.shell.currentWidget?.sessionContext?.shutdown(); }")

    def shut_down_and_reload(self) -> None:
        """Open the saved notebook again, with a kernel that knows nothing."""
        self.shut_down()
        self.reload()

    def resize(self, width: int, height: int) -> None:
        """Give the window another size; back once the page is laid out and drawn anew."""
        self.tab.set_viewport_size({"width": width, "height": height})
        self.tab.evaluate("() => new Promise(drawn => requestAnimationFrame(() => requestAnimationFrame(drawn)))")

    def point(self, chart: str, key: str, i: int) -> list[float]:
        """Return where point `i` of a curve is on the screen, once the curve is drawn."""
        curve = self.tab.locator(f"{chart} path.line[data-key='{key}']")
        curve.wait_for(state="attached")
        curve.scroll_into_view_if_needed()
        return curve.evaluate(_POINT, i)

    def drawn(self, selector: str) -> int:
        """Return how many points, or bars, the marks of a chart have."""
        self.tab.locator(selector).first.wait_for(state="attached")
        return self.tab.eval_on_selector_all(selector, "all => all.reduce((sum, m) => sum + +m.dataset.points, 0)")

    def contrast(self, selector: str) -> float:
        """Return the contrast ratio (WCAG) of the first such element's fill with the page's ground."""
        fill, ground = self.tab.evaluate(_COLORS, selector)
        light, dark = sorted((_luminance(fill), _luminance(ground)), reverse=True)
        return (light + 0.05) / (dark + 0.05)

    def save(self) -> nbformat.NotebookNode:
        self.tab.evaluate("async () => { await window.jupyterapp.shell.currentWidget.context.save(); }")
        return nbformat.read(self.lab.folder / self.name, as_version=4)

    def execute(self, code: str) -> str:
        """Run code in the kernel, beside the notebook, and return what it printed."""
        return self.tab.evaluate(_EXECUTE, code)

    def click(self, name: str) -> None:
        self.button(name).click()

    def button(self, name: str):
        """Find a button by its words; the icon before them counts as a letter of its name."""
        return self.tab.get_by_role("button", name=re.compile(rf"^\W*{re.escape(name)}$")).last

    @property
    def status(self):
        return self.tab.locator(".mmpid-status").last

    @property
    def progress(self):
        return self.tab.locator(".mmpid-progress").last

    def press(self, key: str) -> None:
        """Press a key in the board."""
        self.tab.locator(".mmpid-board").last.focus()
        self.tab.keyboard.press(key)

    def choose(self, opener: str, item: str) -> None:
        """Open a menu of the board and choose an item."""
        self.tab.get_by_role("button", name=opener, exact=True).last.click()
        self.tab.get_by_role("menuitem", name=item).last.click()

    def wait_for(self, state: str, seconds: float = PATIENCE) -> float:
        """Wait until the board shows a state; return the seconds it took."""
        started = time.perf_counter()
        try:
            self.tab.locator(f".mmpid-status[data-state={state}]").last.wait_for(timeout=1000 * seconds)
        except Exception as problem:
            seen = self.tab.locator(".jp-Notebook").first.inner_text(timeout=5000)
            raise AssertionError(
                f"the board did not become {state!r}; the notebook shows:\n{seen[-3000:]}"
            ) from problem
        return time.perf_counter() - started

    def wait_until(self, condition, seconds: float = PATIENCE):
        """Wait until a condition of this process comes true, and return its value; the page goes on meanwhile."""
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            assert time.monotonic() < deadline, "the condition did not come true"
            self.tab.wait_for_timeout(50)
        return found

    def wait_for_kernel(self, expression: str, seconds: float = PATIENCE) -> None:
        """Wait until an expression is true in the kernel."""
        self.wait_until(lambda: self.execute(f"print(bool({expression}))").strip() == "True", seconds)

    def updates_per_second(self, seconds: float = 3.0) -> float:
        return self.tab.evaluate(_COUNT_CHANGES, [".mmpid-progress", 1000 * seconds]) / seconds

    def theme(self, name: str) -> None:
        """Choose "JupyterLab Light" or "JupyterLab Dark"."""
        self.tab.evaluate(_SET_THEME, name)
        self.tab.wait_for_function(_THEME_IS, arg=name)

    def screenshot(self, name: str, folder: Path, element: str | None = None) -> Path:
        """Write a picture of the tab, or of one element, to `MMPID_SCREENSHOTS` or to the given folder."""
        target = Path(os.environ.get("MMPID_SCREENSHOTS") or folder)
        target.mkdir(parents=True, exist_ok=True)
        what = self.tab.locator(element).first if element else self.tab
        what.screenshot(path=target / f"{name}.png")
        return target / f"{name}.png"


def _luminance(color: str) -> float:
    """Return the relative luminance of a CSS color such as "rgb(1, 2, 3)"."""
    parts = [float(number) / 255 for number in re.findall(r"[\d.]+", color)[:3]]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
