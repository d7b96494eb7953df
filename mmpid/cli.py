"""The command line: `mmpid lab`, `run`, `check`, `bench`, `data`. One line on stderr when something is wrong."""

import argparse
import importlib
import os
import shutil
import sys
import warnings
from pathlib import Path

from mmpid import __version__
from mmpid.check.notebook import NotebookError, existing_notebook, inspect_parameters, run_notebook
from mmpid.check.parameters import read_parameters
from mmpid.check.suite import check, find_root
from mmpid.datasets import inspect_folder, read
from mmpid.datasets.convert import convert_folder
from mmpid.datasets.readers.read import readable, reader_options
from mmpid.errors import InputError, MissingDependencyError, MMPIDError, MMPIDWarning
from mmpid.testing import check_data

QUICKSTART = "01_quickstart.ipynb"
OK, FAILED, WRONG_USE = 0, 1, 2
LAST_PORT = 65_535
BENCHES = {
    "pid": "the solver against its peers",
    "estimate": "a probe, and how steady its trace is",
    "engine": "the trainer against a bare loop, stacked seeds",
    "proxies": "the proxies of strength against an epoch",
    "encoders": "ResNet-18 on clips: streamed, kept on disk, in memory",
    "gpu": "all measurements that need a GPU, at most 8 minutes",
    "growth": "how time and memory grow",
    "kill": "resume after being killed at random moments",
}
# Training in a background thread gives memory back to the system and takes it again at every step, which costs it about
# five percent; with these thresholds (bytes) glibc keeps it. Other C libraries ignore them.
KERNEL_ENVIRONMENT = {"MALLOC_TRIM_THRESHOLD_": "268435456", "MALLOC_MMAP_THRESHOLD_": "268435456"}


def main(argv: list[str] | None = None) -> int:
    """Run one command; return 0 if all is well, 1 if a check failed, 2 for wrong usage or bad input."""
    arguments = _parser().parse_args(argv)
    try:
        return arguments.command(arguments)
    except NotebookError as problem:
        print(f"mmpid: {problem}", file=sys.stderr)
        return FAILED
    except (MMPIDError, OSError) as problem:
        print(f"mmpid: {problem}", file=sys.stderr)
        return WRONG_USE
    except KeyboardInterrupt:
        print("mmpid: interrupted", file=sys.stderr)
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mmpid", description="See, teach and prevent modality competition.")
    parser.add_argument("--version", action="version", version=f"mmpid {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    lab = commands.add_parser("lab", help="open JupyterLab on the quick-start notebook")
    lab.add_argument(
        "--folder", type=Path, default=Path("mmpid-lab"), help="folder for your copies (default: %(default)s)"
    )
    lab.add_argument("--port", type=int, default=8888, help="first port to try (default: %(default)s)")
    lab.add_argument("--no-browser", action="store_true", help="do not open a browser window")
    lab.add_argument(
        "--page", type=Path, metavar="FILE", help="write the competition lab as one HTML page, and open nothing"
    )
    lab.set_defaults(command=_lab)

    run = commands.add_parser("run", help="run one notebook headless through papermill")
    run.add_argument("notebook", type=Path, metavar="NOTEBOOK")
    run.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), help="a parameter")
    run.add_argument("-o", "--output", type=Path, help="executed copy (default: runs/NOTEBOOK)")
    run.add_argument("--solutions", action="store_true", help="put a lesson's solutions into its exercises")
    run.add_argument("--quiet", action="store_true", help="no progress bar")
    run.set_defaults(command=_run)

    checks = commands.add_parser("check", help="run every notebook and compare values with the stored references")
    checks.add_argument("--smoke", action="store_true", help="small size, minutes instead of tens of minutes")
    checks.add_argument("--only", default="", metavar="TEXT", help="only notebooks with TEXT in their name")
    checks.add_argument(
        "--jobs", type=int, default=min(8, os.cpu_count() or 1), help="how many at a time (default: %(default)s)"
    )
    checks.add_argument("--out", type=Path, help="folder for executed notebooks and report")
    checks.add_argument("--root", type=Path, help="folder that holds notebooks/ and tutorials/")
    checks.add_argument("--update", action="store_true", help="store the new values as references")
    checks.set_defaults(command=_check)

    _add_measuring(commands)
    return parser


def _add_measuring(commands) -> None:
    """Add `bench`, `data inspect` and `data convert`."""
    bench = commands.add_parser(
        "bench", help="measure the solver, estimates, engine, proxies, or whether runs survive kills"
    )
    bench.add_argument("what", choices=BENCHES, help="; ".join(f"{name}: {words}" for name, words in BENCHES.items()))
    bench.add_argument("--quick", action="store_true", help="a small size, seconds instead of minutes")
    bench.add_argument("--json", type=Path, help="also write the figures here")
    bench.add_argument("--rehearse", action="store_true", help="gpu only: tiny sizes on the CPU, to see that it runs")
    bench.set_defaults(command=_bench)

    data = commands.add_parser("data", help="look at data on disk")
    verbs = data.add_subparsers(required=True, metavar="VERB")
    inspect = verbs.add_parser("inspect", help="recognize a data set's layout, count its files, say what is missing")
    inspect.add_argument("folder", type=Path, metavar="FOLDER")
    inspect.set_defaults(command=_inspect)
    convert = verbs.add_parser("convert", help="open a data set and write it as arrays, one archive per split")
    convert.add_argument("folder", type=Path, metavar="FOLDER")
    convert.add_argument("out", type=Path, metavar="OUT")
    convert.add_argument("--size", type=int, help="side of images in pixels (default: the reader's)")
    convert.add_argument("--frames", type=int, help="frames per clip (default: the reader's)")
    convert.add_argument(
        "--split", choices=("official", "group", "random"), help="how to split (default: as published)"
    )
    convert.add_argument("--seed", type=int, default=0, help="seed of what is cut (default: %(default)s)")
    convert.set_defaults(command=_convert)


def _lab(arguments) -> int:
    """Copy the notebooks, which stay as they are in the checkout, and become JupyterLab; or write the page."""
    if arguments.page is not None:
        from mmpid.widgets.lab.page import write_page

        print(f"the competition lab is in {write_page(arguments.page)}; it opens in any browser")
        return OK
    try:
        import jupyterlab  # noqa: F401
    except ModuleNotFoundError as missing:
        raise MissingDependencyError(
            "mmpid lab needs JupyterLab, which is not installed. Try: pip install 'mmpid[notebook]'"
        ) from missing
    if not 1 <= arguments.port <= LAST_PORT:
        raise InputError(f"`--port` must be from 1 to {LAST_PORT}; it was {arguments.port}. Leave it out for 8888.")
    if arguments.folder.is_file():
        raise InputError(
            f"`--folder` must be a folder for your copies; {arguments.folder} is a file. Name another one."
        )
    folder = copy_notebooks(find_root(), arguments.folder)
    print(f"your copies of notebooks and tutorials are in {folder}")
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}", "--ServerApp.ip=127.0.0.1"]
    command += [f"--ServerApp.port={arguments.port}", f"--LabApp.default_url=/lab/tree/notebooks/{QUICKSTART}"]
    if arguments.no_browser:
        command.append("--no-browser")
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # containers; the server listens on this machine only
        command.append("--allow-root")
    for name, value in KERNEL_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    paths = [str(Path(__file__).parent), os.environ.get("JUPYTER_CONFIG_PATH", "")]  # labconfig/: no popup about news
    os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(filter(None, paths))
    sys.stdout.flush()
    os.execv(sys.executable, command)
    return OK  # only where execv returns, as in tests


def copy_notebooks(root: Path, folder: Path) -> Path:
    """Copy notebooks, tutorials and solutions that are not there yet; what the user changed stays."""
    for pattern in ("notebooks/*.ipynb", "notebooks/how-to/*.ipynb", "tutorials/*.ipynb", "tutorials/solutions/*.md"):
        for path in sorted(root.glob(pattern)):
            copy = folder / path.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            if not copy.exists():
                shutil.copyfile(path, copy)
    return folder.resolve()


def _run(arguments) -> int:
    path = existing_notebook(arguments.notebook)
    output = arguments.output or Path("runs") / path.name
    if output.resolve() == path.resolve():
        raise InputError("`-o` must be another file than the notebook, which stays as it is. Leave it out for runs/.")
    parameters = read_parameters(arguments.p, inspect_parameters(path).defaults, path.name) if arguments.p else {}
    done = run_notebook(path, output.resolve(), parameters, quiet=arguments.quiet, solutions=arguments.solutions)
    print(done)
    return OK


def _check(arguments) -> int:
    if arguments.jobs < 1:
        raise InputError(f"`--jobs` must be at least 1; it was {arguments.jobs}.")
    agreed = check(
        root=arguments.root, smoke=arguments.smoke, only=arguments.only, jobs=arguments.jobs,
        update=arguments.update, out=arguments.out,
    )  # fmt: skip
    print("all values agree" if agreed else "mmpid: some values moved or notebooks failed")
    return OK if agreed else FAILED


def _bench(arguments) -> int:
    if arguments.json is not None and (arguments.json.is_dir() or not arguments.json.parent.is_dir()):
        raise InputError(  # before the minutes that a benchmark takes, not after
            f"`--json` must be a file in a folder that exists; it was {arguments.json}. Make the folder first."
        )
    if arguments.rehearse and arguments.what != "gpu":
        raise InputError(
            f"`--rehearse` belongs to `mmpid bench gpu`; it was given with {arguments.what!r}. Try --quick."
        )
    bench = importlib.import_module(f"mmpid.bench.{arguments.what}")
    options = {"rehearse": True} if arguments.rehearse else {}
    found = bench.run(quick=arguments.quick, json_path=arguments.json, **options)
    return OK if getattr(found, "passed", True) else FAILED


def _convert(arguments) -> int:
    """Open a folder and write its data as plain arrays."""
    given = {name: getattr(arguments, name) for name in ("size", "frames", "split")}
    options = {name: value for name, value in given.items() if value is not None}
    takes = reader_options(arguments.folder)
    unknown = [name for name in options if name not in takes]
    if unknown:
        raise InputError(
            f"`--{unknown[0]}` does not apply to this layout, which takes {', '.join(takes) or 'no options'}."
        )
    data = read(arguments.folder, seed=arguments.seed, **options)
    folder = convert_folder(data, arguments.out)
    print(f"{data}\nwritten to {folder}; to open it: data = mmpid.datasets.read({str(folder)!r})")
    return OK


def _inspect(arguments) -> int:
    """Say what a folder holds; open it if it can be opened, and check the data as training would use them."""
    found = inspect_folder(arguments.folder)
    print(found)
    if not readable(found.layout):
        return OK if found.ok else FAILED
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MMPIDWarning)  # the report says the same
        try:
            streamed = {"in_memory": False} if "size" in reader_options(arguments.folder) else {}
            data = read(arguments.folder, **streamed)
            report = check_data(data)
        except MissingDependencyError as missing:
            print(f"note: the data were not opened: {missing}")
            return OK if found.ok else FAILED
        except MMPIDError as problem:
            print(f"problem: the data cannot be opened: {problem}")
            return FAILED
    print(f"\nsamples by split and class:\n{data.to_frame()}\n\n{report}")
    return OK if found.ok and report.ok else FAILED
