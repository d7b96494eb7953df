"""`mmpid check`: run every notebook and tutorial, compare what they publish with what is stored, say what moved."""

import html
import json
import os
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from mmpid._tables import html_table, text_table
from mmpid.check.exercises import exercises, solutions_path, with_solutions
from mmpid.check.notebook import flaws, inspect_parameters, store_executed
from mmpid.check.references import Verdict, judge, load_references, store_references
from mmpid.errors import InputError, MMPIDError
from mmpid.runs.metadata import versions

EVIDENCE, LESSONS = "notebooks", "tutorials"  # kept executed at full size; kept without outputs
GUIDES = f"{EVIDENCE}/how-to"  # kept executed, too, but what they publish nothing is compared with
FOLDERS = (EVIDENCE, GUIDES, LESSONS)
REFERENCES = "references"
HEADER = ["notebook", "value", "now", "reference", "tolerance", "verdict", "s"]


@dataclass
class Outcome:
    """What came of one notebook."""

    path: Path
    executed: Path
    seconds: float = 0.0
    problem: str = ""
    values: dict[str, float] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)

    @property
    def published(self) -> Path:
        """Where it writes its values, if it publishes any."""
        return self.executed.with_suffix(".json")

    @property
    def ok(self) -> bool:
        """Whether it ran and every value agrees."""
        return not self.problem and all(verdict.ok for verdict in self.verdicts)

    def complaints(self) -> list[str]:
        """Return a sentence for each thing that is wrong."""
        if self.problem:
            return [f"FAILED {self.path.stem}: {self.problem}"]
        return [
            f"MISS {v.notebook}: {v.name} is {v.value}, the reference {v.reference} ({v.tolerance})"
            for v in self.verdicts
            if not v.ok
        ]

    def rows(self) -> list[list[str]]:
        """Return the lines of the table."""
        if self.problem:
            return [[self.path.stem, "-", "-", "-", "-", "FAILED", f"{self.seconds:.0f}"]]
        done = [[self.path.stem, "(ran)", "-", "-", "-", "ok", f"{self.seconds:.0f}"]]
        return [verdict.row(self.seconds) for verdict in self.verdicts] or done


def find_root(start: Path | None = None) -> Path:
    """Return the folder that holds `notebooks/`: `start`, else the working folder, a checkout, or the installed copies.

    Raises
    ------
    InputError
        If none of them does.
    """
    for root in (start,) if start else (Path.cwd(), Path(__file__).resolve().parents[2], *_installed()):
        if (root / "notebooks").is_dir():
            return root
    where = f"in {start}, the given root" if start else "here"
    raise InputError(
        f"there must be a folder `notebooks` {where}; none was found. Run this in a checkout of mmpid, or give its "
        "path by --root."
    )


def _installed() -> list[Path]:
    """Return where a wheel puts the notebooks: under the environment, or under the user's own folder."""
    user = sysconfig.get_path("data", sysconfig.get_preferred_scheme("user"))
    return [Path(base) / "share" / "mmpid" for base in (sysconfig.get_path("data"), user)]


def check(
    *,
    root: Path | None = None,
    smoke: bool = False,
    only: str = "",
    jobs: int = 2,
    update: bool = False,
    out: Path | None = None,
    say: Callable[[str], None] = print,
) -> bool:
    """Run the notebooks in parallel processes, print one table, write an HTML report; return whether all agree.

    Parameters
    ----------
    root : Path, optional
        Folder with `notebooks/` and `tutorials/`.
    smoke : bool
        Run at the small size and compare with the references of that size.
    only : str
        Part of a name; only notebooks whose name holds it are run.
    jobs : int
        Notebooks that run at the same time.
    update : bool
        Store the new values, and at full size the executed notebooks, instead of comparing; refused when the
        checkout has uncommitted changes.
    out : Path, optional
        Folder for executed notebooks and report; by default a temporary one, which is named.
    say : callable
        Where the text goes.

    Returns
    -------
    bool
        Whether every notebook ran and every value agrees with its reference.

    Raises
    ------
    InputError
        For a root without notebooks, a name that none has, a folder that cannot be written, or, with `update`, a
        checkout with changes.

    Notes
    -----
    Agreement is within the tolerance of each reference, not to the last bit: for a gain over seeds the tolerance is
    half of its 95 % interval, about as far as other seeds would move it.
    """
    root = find_root(root)
    commit = _clean_commit(root) if update else ""
    paths = [p for folder in FOLDERS for p in sorted((root / folder).glob("*.ipynb")) if only in p.stem]
    if not paths:
        raise InputError(f"no notebook in {root} has {only!r} in its name. Look into {' and '.join(FOLDERS)}.")
    out = _writable(out or Path(tempfile.mkdtemp(prefix="mmpid-check-")))
    say(f"running {len(paths)} notebooks, {jobs} at a time; executed copies go to {out}")
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        outcomes = list(pool.map(lambda path: _run_one(path, out, smoke, jobs), paths))
    size = "smoke" if smoke else "full"
    for outcome in outcomes:
        try:
            _compare(outcome, root / EVIDENCE / REFERENCES, size, commit)
        except MMPIDError as problem:  # a damaged reference file
            outcome.problem = str(problem)
    say(text_table(HEADER, [row for outcome in outcomes for row in outcome.rows()]))
    for outcome in outcomes:
        for line in outcome.complaints():
            say(line)
    say(f"report: {_write_report(outcomes, out, size)}")
    return all(outcome.ok for outcome in outcomes)


def _run_one(path: Path, out: Path, smoke: bool, jobs: int) -> Outcome:
    """Run one notebook in a process of its own, so that a kernel that dies takes nothing with it."""
    outcome = Outcome(path, out / path.name)
    outcome.published.unlink(missing_ok=True)  # of an earlier check into the same folder
    start = time.perf_counter()
    try:
        offered = inspect_parameters(path).defaults
        wanted = {"smoke": "True"} if smoke and "smoke" in offered else {}  # the full size is the default
        source = _solved(path, out)
    except MMPIDError as problem:
        outcome.problem = str(problem)
        return outcome
    command = [sys.executable, "-m", "mmpid", "run", str(source), "-o", str(outcome.executed), "--quiet"]
    for name, value in wanted.items():
        command += ["-p", name, value]
    threads = str(max(1, (os.cpu_count() or 1) // jobs))
    env = {**os.environ, "MMPID_OUT_DIR": str(out), "OMP_NUM_THREADS": threads}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    outcome.seconds = time.perf_counter() - start
    if done.returncode:
        outcome.problem = (done.stderr.strip() or f"the process ended with code {done.returncode}").splitlines()[-1]
    else:
        outcome.problem = "; ".join(flaws(outcome.executed))
    return outcome


def _solved(path: Path, out: Path) -> Path:
    """Return the notebook to run: itself, or for a lesson with exercises a copy that holds its solutions."""
    if not solutions_path(path).is_file() and not exercises(json.loads(path.read_text())):
        return path
    import nbformat

    copy = out / "with-solutions" / path.name
    copy.parent.mkdir(exist_ok=True)
    nbformat.write(with_solutions(path), copy)
    return copy


def _compare(outcome: Outcome, references: Path, size: str, commit: str) -> None:
    """Judge the published values, or store them when a commit to store them under is given."""
    if outcome.problem:
        return
    if outcome.published.is_file():
        outcome.values = json.loads(outcome.published.read_text())
    if commit and outcome.values:
        store_references(references, outcome.path.stem, size, outcome.values, versions(), commit)
        if size == "full" and outcome.path.parent.name in (EVIDENCE, Path(GUIDES).name):
            store_executed(outcome.executed, outcome.path)
    outcome.verdicts = judge(outcome.path.stem, outcome.values, load_references(references, outcome.path.stem, size))


def _clean_commit(root: Path) -> str:
    """Return the present commit; refuse a checkout with changes, from which nobody could repeat the values."""
    try:
        changed = subprocess.check_output(["git", "status", "--porcelain"], cwd=root, text=True).strip()
        commit = subprocess.check_output(["git", "rev-parse", "HEAD"], cwd=root, text=True).strip()
    except (OSError, subprocess.CalledProcessError) as problem:
        raise InputError(f"--update needs a git checkout, to record the commit; {root} is not one.") from problem
    if changed:
        raise InputError(
            f"--update needs a checkout without changes; {len(changed.splitlines())} files differ. Commit first."
        )
    return commit


def _writable(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".write-test").touch()
        (folder / ".write-test").unlink()
    except OSError as problem:
        raise InputError(
            f"the output folder {folder} cannot be written: {problem.strerror}. Choose another with --out."
        ) from problem
    return folder.resolve()


def _write_report(outcomes: list[Outcome], out: Path, size: str) -> Path:
    """Write one HTML page with the table and links to the executed notebooks."""
    rows = [row for outcome in outcomes for row in outcome.rows()]
    links = "".join(_links(outcome) for outcome in outcomes)
    page = (
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>mmpid check</title>'
        '<body style="font-family:sans-serif;max-width:70em;margin:2em auto;padding:0 1em">'
        f"<h1>mmpid check, {size} size</h1>{html_table(HEADER, rows)}"
        f"<h2>Executed notebooks and published values</h2><ul>{links}</ul></body></html>"
    )
    path = out / "report.html"
    path.write_text(page)
    return path


def _links(outcome: Outcome) -> str:
    """Return a list entry that links what a notebook left behind, and says what went wrong."""
    files = [path.name for path in (outcome.executed, outcome.published) if path.is_file()]
    links = " ".join(f'<a href="{html.escape(name)}">{html.escape(name)}</a>' for name in files)
    return f"<li>{links or html.escape(outcome.path.name)} {html.escape(outcome.problem)}</li>"
