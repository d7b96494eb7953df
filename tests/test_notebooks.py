"""Notebooks are evidence and are kept executed; tutorials are lessons and are kept clean. All have one shape."""

import ast
import base64
import functools
import io
import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from mmpid.check import NotebookError, run_notebook, with_solutions
from mmpid.check.exercises import exercises, task
from mmpid.check.notebook import flaws, inspect_parameters

ROOT = Path(__file__).parents[1]
EVIDENCE = sorted((ROOT / "notebooks").glob("*.ipynb"))
GUIDES = sorted((ROOT / "notebooks" / "how-to").glob("*.ipynb"))
LESSONS = sorted((ROOT / "tutorials").glob("*.ipynb"))
WIDGETS = ("board", "competition_lab", "explorer", "race", "run_browser")
OF_WIDGETS = {path for name in WIDGETS for path in (ROOT / "docs" / "images").glob(f"{name}*.png")}  # from the browser


def name(path: Path) -> str:
    return path.stem


def cells(path: Path, kind: str) -> list[dict]:
    return [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]


@pytest.mark.parametrize("path", EVIDENCE + GUIDES, ids=name)
def test_evidence_is_kept_executed_in_order_without_errors(path):
    assert flaws(path) == []


@pytest.mark.parametrize("path", EVIDENCE + GUIDES, ids=name)
def test_evidence_was_executed_at_full_size(path):
    sources = ["".join(cell["source"]) for cell in cells(path, "code")]
    assert any("smoke = False" in source for source in sources)
    assert not any("smoke = True" in source for source in sources)


@pytest.mark.parametrize("path", EVIDENCE, ids=name)
def test_evidence_publishes_values_that_have_references_at_both_sizes(path):
    stored = json.loads((path.parent / "references" / f"{path.stem}.json").read_text())
    published = [
        output["data"]["application/vnd.mmpid.values+json"]
        for cell in cells(path, "code")
        for output in cell["outputs"]
        if "application/vnd.mmpid.values+json" in output.get("data", {})
    ]
    assert len(published) == 1
    assert set(stored["full"]["values"]) == set(published[0])
    assert stored["smoke"]["values"]  # a small size may have fewer values, of fewer classes or sample sizes
    assert all({"commit", "versions"} <= set(stored[size]) for size in ("smoke", "full"))


def pixels(png: bytes | Path) -> np.ndarray:
    return imread(png if isinstance(png, Path) else io.BytesIO(png))


@functools.cache
def drawn() -> list[np.ndarray]:
    """All pictures in the executed notebooks."""
    outputs = [output for path in EVIDENCE for cell in cells(path, "code") for output in cell["outputs"]]
    pictures = [output["data"]["image/png"] for output in outputs if "image/png" in output.get("data", {})]
    return [pixels(base64.b64decode(picture)) for picture in pictures]


@pytest.mark.parametrize("path", sorted(set((ROOT / "docs").rglob("*.png")) - OF_WIDGETS), ids=name)
def test_a_picture_of_the_docs_is_in_an_executed_notebook(path):
    picture = pixels(path)
    assert any(np.array_equal(picture, one) for one in drawn()), f"{path.name} is not what its notebook shows now"


@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_lessons_are_kept_without_outputs(path):
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells(path, "code"))


@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_a_lesson_has_a_goal_predictions_exercises_solutions_and_a_summary(path):
    text = "\n".join("".join(cell["source"]) for cell in cells(path, "markdown"))
    for part in ("**Goal.**", "**Prediction", "## Exercises", "## Summary"):
        assert part in text, part
    assert (path.parent / "solutions" / f"{path.stem}.md").is_file()


@pytest.mark.parametrize("path", LESSONS, ids=name)
def test_a_lesson_has_exercises_that_stop_with_their_own_task_and_solutions_that_fit(path):
    found = exercises(json.loads(path.read_text()))
    assert len(found) >= 2 and list(found) == list(range(1, len(found) + 1))
    for number, cell in found.items():
        assert task(cell).startswith(f"Exercise {number}: "), task(cell)
        ast.parse("".join(cell["source"]))
    for cell in exercises(with_solutions(path)).values():
        assert "raise Task" not in cell["source"]
        assert "print(" in cell["source"] or "assert " in cell["source"], cell["source"]
        assert len([line for line in cell["source"].splitlines() if line.strip()]) <= 15


@pytest.mark.notebook
@pytest.mark.parametrize("path", LESSONS[::4], ids=name)  # `mmpid check` runs the same cells of all, with solutions
def test_a_lesson_without_solutions_stops_at_its_first_exercise(path, tmp_path):
    first = exercises(json.loads(path.read_text()))[1]
    with pytest.raises(NotebookError) as caught:
        run_notebook(path, tmp_path / path.name, {"smoke": True}, quiet=True)
    assert str(caught.value).endswith(f": Task: {task(first)}")
    done = cells(tmp_path / path.name, "code")
    failed = [cell for cell in done if any(out["output_type"] == "error" for out in cell["outputs"])]
    assert [cell["metadata"]["tags"] for cell in failed] == [["exercise-1"]]
    before = done[: done.index(failed[0])]
    assert [cell["execution_count"] for cell in before] == list(range(1, len(before) + 1))


@pytest.mark.parametrize("path", EVIDENCE + GUIDES + LESSONS, ids=name)
def test_every_notebook_has_the_parameters_that_the_check_sets(path):
    defaults = inspect_parameters(path).defaults
    assert defaults["smoke"] == "False" and {"seed", "out_dir"} <= set(defaults)


@pytest.mark.parametrize("path", EVIDENCE + GUIDES + LESSONS, ids=name)
def test_cells_are_short_and_functions_shorter(path):
    for cell in cells(path, "code"):
        source = "".join(cell["source"])
        assert len([line for line in source.splitlines() if line.strip()]) <= 15, source
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                assert node.end_lineno - node.lineno < 15, node.name


@pytest.mark.parametrize("path", EVIDENCE + GUIDES + LESSONS, ids=name)
def test_no_widget_state_and_no_path_of_a_machine_is_saved(path):
    notebook = json.loads(path.read_text())
    assert set(notebook["metadata"]) <= {"kernelspec", "language_info"}
    for folder in (Path.home(), ROOT, Path(tempfile.gettempdir())):
        assert f"{folder}/" not in path.read_text()
