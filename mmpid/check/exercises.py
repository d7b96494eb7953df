"""Exercises of a lesson: cells that stop with their own task, and the solutions that replace them."""

import ast
import re
from pathlib import Path

from mmpid.errors import InputError, MissingDependencyError

_TAG = re.compile(r"exercise-(\d+)")
_HEADING = re.compile(r"^## Exercise (\d+)\b.*$", re.MULTILINE)
_BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def exercises(notebook) -> dict[int, dict]:
    """Return the exercise cells of a notebook by their number: code cells tagged `exercise-N`.

    Examples
    --------
    >>> cell = {"cell_type": "code", "metadata": {"tags": ["exercise-1"]}, "source": "..."}
    >>> sorted(exercises({"cells": [cell]}))
    [1]
    """
    found = {}
    for cell in notebook["cells"]:
        for tag in cell["metadata"].get("tags", []):
            if match := _TAG.fullmatch(tag):
                found[int(match[1])] = cell
    return found


def task(cell) -> str:
    """Return the task of an exercise cell: the message of the `mmpid.lessons.Task` that its last statement raises.

    Raises
    ------
    InputError
        If the cell does not end with one.
    """
    source = "".join(cell["source"])
    last = (ast.parse(source).body or [None])[-1]
    call = last.exc if isinstance(last, ast.Raise) else None
    if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "Task" and call.args:
        return ast.literal_eval(call.args[0])
    raise InputError(
        'an exercise cell must end with raise Task("Exercise N: what to do"), from mmpid.lessons; it ended with '
        f"{source.rstrip().splitlines()[-1:] or 'nothing'}."
    )


def solutions_path(lesson: Path) -> Path:
    """Return where the solutions of a lesson lie."""
    return lesson.parent / "solutions" / f"{lesson.stem}.md"


def read_solutions(path: Path) -> dict[int, str]:
    """Return the code of each solution by its number: the first python block below `## Exercise N`.

    Parameters
    ----------
    path : Path
        A markdown file; everything else in it is prose.

    Raises
    ------
    InputError
        If the file is missing, a heading has no block, a number comes twice, or a block is not Python.
    """
    if not path.is_file():
        raise InputError(f"there are exercises but no solutions: {path.parent.name}/{path.name} is missing.")
    text = path.read_text()
    headings = list(_HEADING.finditer(text))
    ends = [heading.start() for heading in headings[1:]] + [len(text)]
    found: dict[int, str] = {}
    for heading, end in zip(headings, ends, strict=True):
        number, block = int(heading[1]), _BLOCK.search(text, heading.end(), end)
        if block is None or number in found:
            problem = "two solutions" if number in found else "no ```python block below its heading"
            raise InputError(f"{path.name}: exercise {number} has {problem}.")
        found[number] = _python(block[1].rstrip(), f"{path.name}: the solution of exercise {number}")
    return found


def with_solutions(lesson: Path):
    """Return a lesson as a notebook in which each exercise cell holds its solution.

    Parameters
    ----------
    lesson : Path
        A notebook; its solutions lie in `solutions/NAME.md` beside it. Without exercises and such a file it is
        returned as it is.

    Returns
    -------
    nbformat.NotebookNode

    Raises
    ------
    InputError
        If an exercise has no solution, a solution no exercise, or a solution is not Python.
    """
    notebook = _read(lesson)
    cells = exercises(notebook)
    path = solutions_path(lesson)
    if not cells and not path.is_file():
        return notebook
    solutions = read_solutions(path)
    for numbers, without in ((cells.keys() - solutions.keys(), "solution"), (solutions.keys() - cells.keys(), "cell")):
        if numbers:
            which = ", ".join(str(number) for number in sorted(numbers))
            raise InputError(
                f"{lesson.name}: exercise {which} has no {without}; {path.parent.name}/{path.name} and the cells "
                "tagged exercise-N must have the same numbers."
            )
    for number, cell in cells.items():
        cell["source"] = solutions[number]
    return notebook


def _python(source: str, where: str) -> str:
    """Return the source if it is Python."""
    try:
        ast.parse(source)
    except SyntaxError as problem:
        raise InputError(f"{where} is not Python: line {problem.lineno}: {problem.msg}.") from problem
    return source


def _read(path: Path):
    try:
        import nbformat
    except ModuleNotFoundError as missing:
        raise MissingDependencyError(
            f"reading notebooks needs {missing.name!r}, which is not installed. Try: pip install 'mmpid[notebook]'"
        ) from missing
    return nbformat.read(path, as_version=4)
