"""The house has floors: a module imports only from floors below its own, and the core knows no Jupyter."""

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "mmpid"
FLOORS = [
    "errors _version",
    "_coerce",
    "_labels",
    "_validate _tables _progress report",
    "protocols",
    "pid datasets",
    "estimate models theory",
    "ecs",
    "runs",
    "rules testing",
    "train live",
    "methods",
    "studies",
    "plots",
    "widgets lessons",
    "check bench",
    "cli",
    "__main__",
]
RANK = {name: rank for rank, floor in enumerate(FLOORS) for name in floor.split()}
ONLY_IN = {
    "matplotlib": {"plots", "widgets"},
    "seaborn": {"plots"},
    "ipywidgets": {"widgets"},
    "IPython": {"widgets", "lessons"},
    "anywidget": {"widgets"},
    "papermill": {"check"},
    "jupyterlab": {"cli"},
}
BENCHED_PEERS = {"dit", "cvxpy", "clarabel"}


def imported(path: Path):
    """Give what a module imports when it runs; what only a type checker reads does not count."""
    tree = ast.parse(path.read_text())
    for block in [n for n in ast.walk(tree) if isinstance(n, ast.If) and ast.unparse(n.test) == "TYPE_CHECKING"]:
        block.body = [ast.Pass()]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def module_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


FILES = [path for path in sorted(ROOT.rglob("*.py")) if path != ROOT / "__init__.py"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    me = module_of(path)
    for name in imported(path):
        top, *rest = name.split(".")
        if top == "mmpid" and rest and rest[0] in RANK and rest[0] != me:
            assert RANK[rest[0]] < RANK[me], f"{me} must not import {rest[0]}"
        assert me in ONLY_IN.get(top, {me}), f"{me} must not import {top}"
        assert top not in BENCHED_PEERS or me == "bench", f"{me} must not import {top}"


def test_every_module_has_a_floor():
    assert {module_of(path) for path in FILES} == set(RANK)


ROOMS = sorted(path.name for path in (ROOT / "widgets").iterdir() if (path / "__init__.py").exists())


@pytest.mark.parametrize("room", ROOMS)
def test_rooms_of_the_widgets_share_only_the_parts(room):
    allowed = {room, "parts"}
    for path in (ROOT / "widgets" / room).glob("*.py"):
        used = {name.split(".")[2] for name in imported(path) if name.startswith("mmpid.widgets.")}
        assert used <= allowed, f"{path.name} of {room} must not import {sorted(used - allowed)}"


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__")


def test_no_import_leads_back_to_where_it_began():
    """Imports inside functions count like those at the top of a module."""
    names = {name_of(path) for path in FILES}
    below = {}
    for path in FILES:
        found = {name if name in names else name.rpartition(".")[0] for name in imported(path)}
        below[name_of(path)] = (found & names) - {name_of(path)}
    try:
        TopologicalSorter(below).prepare()
    except CycleError as circle:
        raise AssertionError(" <- ".join(circle.args[1])) from None


CORE = "import sys, mmpid; assert not {hidden} & set(sys.modules), sorted({hidden} & set(sys.modules))"


def test_importing_the_package_loads_no_jupyter_no_plotting_and_nothing_slow():
    hidden = {"matplotlib", "seaborn", "ipywidgets", "IPython", "anywidget", "sklearn", "scipy", "pandas"}
    subprocess.run([sys.executable, "-c", CORE.format(hidden=hidden)], check=True, cwd=ROOT.parent)


HIDE = """
import sys

class Hider:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {hidden}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hider())
import mmpid
data = mmpid.datasets.load("av-digits")
trainer = mmpid.Trainer(mmpid.LateFusion.from_data(data), data, n_boot=0, n_null=0, device="cpu")
trainer.step(epochs=1)
try:
    mmpid.plots
except ImportError as problem:
    assert "mmpid[notebook]" in str(problem), problem
else:
    raise AssertionError("plots must ask for the notebook extra")
"""


def test_the_core_trains_with_torch_numpy_sklearn_and_pandas_alone():
    hidden = {"matplotlib", "seaborn", "ipywidgets", "IPython", "anywidget", "papermill", "nbformat", "jupyterlab"}
    code = HIDE.format(hidden=hidden | {"safetensors"} | BENCHED_PEERS)
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT.parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
