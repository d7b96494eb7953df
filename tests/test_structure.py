"""Small files, small functions, no class continued in another file, no relative imports."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "mmpid"
FILES = sorted(ROOT.rglob("*.py"))
TREES = {path: ast.parse(path.read_text()) for path in FILES}
MOST_LINES, MOST_CODE_LINES = 300, 40
# Known exceptions, to be taken off the lists when they are shortened; nothing may be added.
LONG_FILES: set[str] = set()
LONG_FUNCTIONS = {"widgets/lab/controls.py:__init__"}
INHERITED = {
    "widgets/board/branches.py:Runs(Notifier)",
    "datasets/stream.py:StreamedSplit(Split)",
    "datasets/multimodal.py:MultimodalData(FromTorch)",
}
MADE_TO_INHERIT = {"Callback", "SwitchRule"}  # small bases of users' classes; every method has a default


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Lines of a function without its signature, docstring, comments and blank lines."""
    body = function.body[1:] if ast.get_docstring(function) is not None else function.body
    if not body:
        return 0
    return len({line for part in body for line in range(part.lineno, part.end_lineno + 1)} & LINES[function])


LINES = {}
for path, tree in TREES.items():
    text = path.read_text().splitlines()
    code = {i for i, line in enumerate(text, 1) if line.strip() and not line.strip().startswith("#")}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            LINES[node] = code


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_file_is_long(path):
    assert len(path.read_text().splitlines()) <= MOST_LINES or name_of(path) in LONG_FILES


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_no_function_is_long(path):
    functions = [n for n in ast.walk(TREES[path]) if n in LINES]
    long = {f"{name_of(path)}:{each.name}" for each in functions if code_lines(each) > MOST_CODE_LINES}
    assert long <= LONG_FUNCTIONS


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_are_absolute(path):
    assert not [n for n in ast.walk(TREES[path]) if isinstance(n, ast.ImportFrom) and n.level]


def classes() -> dict[str, tuple[Path, ast.ClassDef]]:
    return {n.name: (path, n) for path, tree in TREES.items() for n in tree.body if isinstance(n, ast.ClassDef)}


def is_a_small_base(node: ast.ClassDef) -> bool:
    """Whether a class is made to be inherited: an ABC, a protocol, an exception, or one whose own bases are."""
    bases = {ast.unparse(base).split("[")[0].split(".")[-1] for base in node.bases}
    bases |= {ast.unparse(each.value).split(".")[-1] for each in node.keywords}
    roots = {"ABC", "ABCMeta", "Protocol", "Exception", "NamedTuple"}
    return bool(bases & roots) or node.name.endswith("Error") or node.name in MADE_TO_INHERIT


def test_no_class_is_continued_in_another_file():
    found, ours = set(), classes()
    for path, tree in TREES.items():
        for node in [n for n in ast.walk(tree) if isinstance(n, ast.ClassDef)]:
            for base in node.bases:
                home, parent = ours.get(ast.unparse(base).split("[")[0], (path, None))
                if parent is not None and home != path and not is_a_small_base(parent):
                    found.add(f"{name_of(path)}:{node.name}({parent.name})")
    assert found <= INHERITED
