"""Run one notebook headless, and say in one line what went wrong."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from mmpid.check.exercises import with_solutions
from mmpid.errors import ConfigError, InputError, MissingDependencyError, MMPIDError

CELL_TIMEOUT = 7200  # seconds, also on a busy machine; a cell that takes longer hangs


class NotebookError(MMPIDError, RuntimeError):
    """A notebook stopped with an error, or is not fit to be run."""


@dataclass(frozen=True)
class Parameters:
    """What a notebook's parameters cell offers: names and default values as text."""

    defaults: dict[str, str]

    def check(self, given: Mapping, notebook: Path) -> None:
        """Refuse a parameter that the notebook does not have; papermill would only warn and run the full size."""
        unknown = sorted(set(given) - set(self.defaults))
        if unknown:
            raise ConfigError(
                f"{notebook.name} has the parameters {', '.join(self.defaults)}; it was given {', '.join(unknown)}."
            )


def inspect_parameters(path: Path) -> Parameters:
    """Read a notebook's parameters cell; raise if there is none."""
    papermill = _papermill()
    from nbformat import ValidationError

    try:
        found = papermill.inspect_notebook(str(path))
    except (ValueError, AttributeError, ValidationError) as problem:
        raise InputError(f"{path.name} is not a notebook: {str(problem).splitlines()[0]:.80}") from problem
    if not found:
        raise InputError(f"{path.name} has no cell tagged `parameters`; add one with `smoke`, `seed` and `out_dir`.")
    return Parameters({name: entry["default"] for name, entry in found.items()})


def run_notebook(
    path: Path, output: Path, parameters: Mapping, *, quiet: bool = False, solutions: bool = False
) -> Path:
    """Execute a notebook with papermill in static mode and return the executed copy.

    Parameters
    ----------
    path, output : Path
        Notebook and executed copy.
    parameters : mapping
        Values for the parameters cell; an unknown name is an error.
    quiet : bool
        Hide papermill's progress bar.
    solutions : bool
        Run a lesson with the solutions of its exercises; without them it stops at the first one.

    Returns
    -------
    Path
        The executed copy, `output`.

    Raises
    ------
    NotebookError
        A cell raised, ran for longer than half an hour, or the kernel died; the message names the cell and the error.
    InputError, ConfigError
        The file is not a notebook, has no parameters cell, or lacks a given parameter.

    Notes
    -----
    Cells run in the folder of `output`, and widgets are static (`MMPID_HEADLESS=1`).
    """
    papermill = _papermill()
    path = existing_notebook(path)
    inspect_parameters(path).check(parameters, path)
    source = with_solutions(path) if solutions else str(path)
    output.parent.mkdir(parents=True, exist_ok=True)
    before = os.environ.get("MMPID_HEADLESS")
    os.environ["MMPID_HEADLESS"] = "1"
    try:
        papermill.execute_notebook(
            source, str(output), parameters=dict(parameters), kernel_name="python3", cwd=str(output.parent),
            progress_bar=not quiet, execution_timeout=CELL_TIMEOUT, start_timeout=120,
        )  # fmt: skip
    except papermill.PapermillExecutionError as problem:
        raise NotebookError(f"{path.name}, cell {problem.cell_index}: {problem.ename}: {problem.evalue}") from problem
    except (RuntimeError, TimeoutError) as problem:  # the kernel died, or a cell hangs
        raise NotebookError(f"{path.name}: {type(problem).__name__}: {problem}") from problem
    finally:
        if before is None:
            del os.environ["MMPID_HEADLESS"]
    return output


def flaws(path: Path) -> list[str]:
    """Return what is wrong with an executed notebook: error outputs, unexecuted cells, saved widget state."""
    notebook = json.loads(path.read_text())
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code" and "".join(cell["source"]).strip()]
    found = []
    if any(out["output_type"] == "error" for cell in cells for out in cell["outputs"]):
        found.append("a cell has an error output")
    counts = [cell["execution_count"] for cell in cells]
    if counts != list(range(1, len(cells) + 1)):
        found.append("not every cell was executed once, in order")
    if "widgets" in notebook["metadata"]:
        found.append("widget state is saved in it")
    return found


def store_executed(executed: Path, target: Path) -> None:
    """Put an executed notebook in place of its source, without what papermill notes of times and paths."""
    notebook = json.loads(executed.read_text())
    for part in (notebook, *notebook["cells"]):
        part["metadata"].pop("papermill", None)
        for key in ("execution", "jupyter"):
            part["metadata"].pop(key, None)
    kernel = notebook["metadata"].get("kernelspec", {})
    notebook["metadata"] = {"kernelspec": kernel, "language_info": {"name": "python"}}
    for cell in notebook["cells"]:
        if cell["metadata"].get("tags") == []:
            del cell["metadata"]["tags"]
    target.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def existing_notebook(path: Path) -> Path:
    """Return the path if it is a notebook."""
    if not path.is_file() or path.suffix != ".ipynb":
        raise InputError(f"`NOTEBOOK` must be an existing .ipynb file; {path} is not.")
    return path


def _papermill():
    try:
        import papermill
    except ModuleNotFoundError as missing:
        raise MissingDependencyError(
            f"running notebooks needs {missing.name!r}, which is not installed. Try: pip install 'mmpid[notebook]'"
        ) from missing
    return papermill
