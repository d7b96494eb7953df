"""Exercises and their solutions: what is merged, and what is refused in one line."""

import json

import nbformat
import pytest

from mmpid.check import NotebookError, run_notebook, with_solutions
from mmpid.check.exercises import exercises, read_solutions, task
from mmpid.check.suite import check
from mmpid.errors import InputError

STOP = 'from mmpid.lessons import Task\n\nraise Task("Exercise {0}: add {0} and {0}")'


def lesson(folder, numbers, solutions=None, name="lesson"):
    """Write a lesson with an exercise of each number, and the given text of solutions."""
    notebook = nbformat.v4.new_notebook()
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [("parameters", "smoke = False\nseed = 0"), *((f"exercise-{n}", STOP.format(n)) for n in numbers)]
    for tag, source in cells:
        cell = nbformat.v4.new_code_cell(source)
        cell.metadata["tags"] = [tag]
        notebook.cells.append(cell)
    path = folder / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    if solutions is not None:
        (folder / "solutions").mkdir(exist_ok=True)
        (folder / "solutions" / f"{name}.md").write_text(solutions)
    return path


def solution(n, code):
    return f"## Exercise {n}: add\n\nWhy so.\n\n```python\n{code}\n```\n\nIt is so.\n\n```python\nanother way\n```\n"


def test_the_first_block_below_the_heading_replaces_the_cell(tmp_path):
    path = lesson(tmp_path, [1, 2], "# Head\n" + solution(1, "two = 1 + 1") + solution(2, "assert two == 2"))
    merged = with_solutions(path)
    assert [cell.source for cell in merged.cells[1:]] == ["two = 1 + 1", "assert two == 2"]
    assert merged.cells[0].source == "smoke = False\nseed = 0"
    assert "raise Task" in path.read_text()  # the lesson itself stays


def test_a_notebook_without_exercises_is_left_alone(tmp_path):
    path = lesson(tmp_path, [])
    assert with_solutions(path) == nbformat.read(path, 4)


@pytest.mark.parametrize(
    ("numbers", "solutions", "said"),
    [
        ([1], None, "there are exercises but no solutions: solutions/lesson.md is missing"),
        ([1, 2], solution(1, "1"), "exercise 2 has no solution"),
        ([1], solution(1, "1") + solution(2, "1"), "exercise 2 has no cell"),
        ([], solution(1, "1"), "exercise 1 has no cell"),
        ([1], solution(1, "1") + solution(1, "2"), "exercise 1 has two solutions"),
        ([1], "## Exercise 1\n\nOnly words.\n", "exercise 1 has no ```python block"),
        ([1], solution(1, "x = (1"), "the solution of exercise 1 is not Python: line 1: '\\(' was never closed"),
        ([10], solution(1, "1"), "exercise 10 has no solution"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(tmp_path, numbers, solutions, said):
    with pytest.raises(InputError, match=said) as caught:
        with_solutions(lesson(tmp_path, numbers, solutions))
    assert "\n" not in str(caught.value)


def test_a_block_belongs_to_the_heading_above_it(tmp_path):
    path = tmp_path / "s.md"
    path.write_text(
        "```python\nbefore\n```\n## Exercise 3\n```python\na = 1\n```\n## Exercise 4\n```python\nb = 2\n```\n"
    )
    assert read_solutions(path) == {3: "a = 1", 4: "b = 2"}


def test_the_task_is_the_message_of_the_last_statement():
    assert task({"source": 'x = 1\nraise Task("Exercise 1: do")'}) == "Exercise 1: do"
    for source in ("x = 1", "", "raise ValueError('Exercise 1: do')"):
        with pytest.raises(InputError, match="must end with raise Task"):
            task({"source": source})


# --- running --------------------------------------------------------------------------------------------------


@pytest.mark.notebook
def test_a_lesson_stops_with_the_task_and_runs_through_with_its_solutions(tmp_path):
    path = lesson(tmp_path, [1, 2], solution(1, "two = 1 + 1") + solution(2, "assert two == 2"))
    with pytest.raises(NotebookError, match="Task: Exercise 1: add 1 and 1"):
        run_notebook(path, tmp_path / "out.ipynb", {"smoke": True}, quiet=True)
    done = run_notebook(path, tmp_path / "out.ipynb", {"smoke": True}, quiet=True, solutions=True)
    assert [cell["source"] for cell in exercises(json.loads(done.read_text())).values()] == [
        ["two = 1 + 1"],
        ["assert two == 2"],
    ]


@pytest.mark.notebook
def test_the_check_runs_lessons_with_their_solutions_and_names_those_that_fail(tmp_path):
    (tmp_path / "notebooks").mkdir()
    lesson(tmp_path / "tutorials", [1], solution(1, "1 + 1"), name="good")
    lesson(tmp_path / "tutorials", [1], solution(1, "assert 1 + 1 == 3, 'wrong sum'"), name="wrong")
    lesson(tmp_path / "tutorials", [1, 2], solution(1, "1 + 1"), name="half")
    lines = []
    assert not check(root=tmp_path, smoke=True, out=tmp_path / "out", say=lines.append)
    said = "\n".join(lines)
    assert "FAILED wrong: mmpid: wrong.ipynb, cell 2: AssertionError: wrong sum" in said
    assert "FAILED half: half.ipynb: exercise 2 has no solution" in said
    assert "FAILED good" not in said
