import json

import nbformat
import pytest

from mmpid.check.notebook import flaws, inspect_parameters, run_notebook
from mmpid.check.references import judge, store_references
from mmpid.check.suite import check
from mmpid.cli import main
from mmpid.errors import ConfigError, InputError

PUBLISH = (
    "import json, os, pathlib\n"
    'pathlib.Path(os.environ["MMPID_OUT_DIR"], "{name}.json").write_text(json.dumps({values}))'
)


def write_notebook(path, *cells, parameters="smoke = False\nseed = 0"):
    notebook = nbformat.v4.new_notebook()
    if parameters is not None:
        cell = nbformat.v4.new_code_cell(parameters)
        cell.metadata["tags"] = ["parameters"]
        notebook.cells.append(cell)
    notebook.cells += [nbformat.v4.new_code_cell(source) for source in cells]
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    return path


def references(root, name, **values):
    folder = root / "notebooks" / "references"
    folder.mkdir(parents=True, exist_ok=True)
    entries = {key: {"value": value, "atol": 0.01} for key, value in values.items()}
    (folder / f"{name}.json").write_text(json.dumps({"smoke": {"values": entries}}))


# --- values against references --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "reference", "ok"),
    [
        (0.51, {"value": 0.5, "atol": 0.02}, True),
        (0.53, {"value": 0.5, "atol": 0.02}, False),
        (104.0, {"value": 100.0, "rtol": 0.05}, True),
        (94.0, {"value": 100.0, "rtol": 0.05}, False),
        (-94.0, {"value": -100.0, "rtol": 0.05}, False),
        (0.03, {"value": 0.04, "interval": [0.01, 0.07]}, True),
        (0.08, {"value": 0.04, "interval": [0.01, 0.07]}, False),
        (0.06, {"value": 0.04, "half_width": 0.026}, True),
        (0.07, {"value": 0.04, "half_width": 0.026}, False),
    ],
)
def test_each_tolerance_is_applied(value, reference, ok):
    assert judge("n", {"x": value}, {"x": reference})[0].ok is ok


def test_a_value_or_a_reference_that_is_missing_is_a_miss():
    verdicts = judge("n", {"new": 1.0}, {"old": {"value": 2.0, "atol": 1}})
    assert [(v.name, v.ok, v.tolerance) for v in verdicts] == [
        ("new", False, "no reference"),
        ("old", False, "not published"),
    ]


def test_updating_keeps_tolerances_that_were_set_by_hand(tmp_path):
    store_references(tmp_path, "n", "smoke", {"x": 1.0}, {}, "c0")
    path = tmp_path / "n.json"
    stored = json.loads(path.read_text())
    stored["smoke"]["values"]["x"] = {"value": 1.0, "rtol": 0.3}
    path.write_text(json.dumps(stored))
    store_references(tmp_path, "n", "smoke", {"x": 2.0, "y": 3.0}, {"torch": "1"}, "c1")
    now = json.loads(path.read_text())["smoke"]
    assert now["values"] == {"x": {"value": 2.0, "rtol": 0.3}, "y": {"value": 3.0, "atol": 0.02}}
    assert (now["commit"], now["versions"]) == ("c1", {"torch": "1"})


def test_an_interval_over_seeds_moves_with_its_mean_and_says_what_it_is(tmp_path):
    store_references(tmp_path, "n", "full", {"gain": 0.04}, {}, "c0")
    path = tmp_path / "n.json"
    stored = json.loads(path.read_text())
    stored["full"]["values"]["gain"] = {"value": 0.04, "half_width": 0.02}
    path.write_text(json.dumps(stored))
    store_references(tmp_path, "n", "full", {"gain": 0.05}, {}, "c1")
    entry = json.loads(path.read_text())["full"]["values"]["gain"]
    assert entry == {"value": 0.05, "half_width": 0.02}
    verdict = judge("n", {"gain": 0.065}, {"gain": entry})[0]
    assert verdict.ok and verdict.tolerance == "its 95 % interval, ± 0.02"


def test_a_reference_without_tolerance_is_refused():
    with pytest.raises(InputError, match="n: x must have a tolerance"):
        judge("n", {"x": 1.0}, {"x": {"value": 1.0}})


# --- running notebooks ----------------------------------------------------------------------------------------


@pytest.mark.notebook
def test_a_value_that_moved_fails_the_check_and_is_named(tmp_path, capsys):
    write_notebook(tmp_path / "notebooks" / "one.ipynb", PUBLISH.format(name="one", values={"gain": 0.25}))
    references(tmp_path, "one", gain=0.25)
    assert main(["check", "--smoke", "--root", str(tmp_path), "--out", str(tmp_path / "out")]) == 0
    references(tmp_path, "one", gain=0.27)
    assert main(["check", "--smoke", "--root", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    said = capsys.readouterr().out
    assert "MISS one: gain is 0.25, the reference 0.27" in said
    report = (tmp_path / "out" / "report.html").read_text()
    assert "MISS" in report
    assert 'href="one.ipynb"' in report and 'href="one.json"' in report


@pytest.mark.notebook
def test_one_broken_notebook_does_not_stop_the_others(tmp_path):
    write_notebook(tmp_path / "notebooks" / "broken.ipynb", "1 / 0")
    write_notebook(tmp_path / "notebooks" / "dies.ipynb", "import os\nos._exit(3)")
    write_notebook(tmp_path / "notebooks" / "fine.ipynb", "2 + 2")
    write_notebook(tmp_path / "tutorials" / "bare.ipynb", "2 + 2", parameters=None)
    (tmp_path / "tutorials" / "text.ipynb").write_text("no notebook")
    lines = []
    assert not check(root=tmp_path, smoke=True, out=tmp_path / "out", say=lines.append)
    said = "\n".join(lines)
    assert "FAILED broken: mmpid: broken.ipynb, cell 2: ZeroDivisionError: division by zero" in said
    assert "FAILED dies: mmpid: dies.ipynb" in said
    assert "FAILED bare: bare.ipynb has no cell tagged `parameters`" in said
    assert "FAILED text: text.ipynb is not a notebook" in said
    assert "FAILED fine" not in said
    report = (tmp_path / "out" / "report.html").read_text()
    assert "ZeroDivisionError" in report and 'href="fine.ipynb"' in report


@pytest.mark.notebook
def test_what_is_wrong_with_references_is_one_line_each_and_the_rest_is_judged(tmp_path):
    for name in ("bad", "gone", "new", "fine"):
        cell = "1" if name == "gone" else PUBLISH.format(name=name, values={"x": 1.0})
        write_notebook(tmp_path / "notebooks" / f"{name}.ipynb", cell)
        if name != "new":
            references(tmp_path, name, x=1.0)
    (tmp_path / "notebooks" / "references" / "bad.json").write_text("{")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "gone.json").write_text('{"x": 1.0}')  # of an earlier check, and stale
    lines = []
    assert not check(root=tmp_path, smoke=True, out=tmp_path / "out", say=lines.append)
    said = "\n".join(lines)
    assert "FAILED bad: " in said and "bad.json is not a reference file" in said
    assert "MISS gone: x is None, the reference 1.0 (not published)" in said
    assert "MISS new: x is 1.0, the reference None (no reference)" in said
    assert "MISS fine" not in said and "FAILED fine" not in said


@pytest.mark.notebook
def test_run_passes_parameters_and_says_headless(tmp_path):
    path = write_notebook(
        tmp_path / "n.ipynb", "import os\nassert (smoke, seed) == (True, 7)\nos.environ['MMPID_HEADLESS']"
    )
    done = nbformat.read(run_notebook(path, tmp_path / "out.ipynb", {"smoke": True, "seed": 7}, quiet=True), 4)
    assert done.cells[-1].outputs[0]["data"]["text/plain"] == "'1'"
    assert flaws(tmp_path / "out.ipynb") == []


def test_a_mistyped_parameter_is_an_error(tmp_path, capsys):
    path = write_notebook(tmp_path / "n.ipynb", "1")
    with pytest.raises(ConfigError, match="has the parameters smoke, seed; it was given smok"):
        run_notebook(path, tmp_path / "out.ipynb", {"smok": True})
    assert main(["run", str(path), "-p", "smok", "True", "-o", str(tmp_path / "o.ipynb")]) == 2
    assert capsys.readouterr().err.startswith("mmpid: n.ipynb has the parameters")


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "plain text"])
def test_a_file_that_is_no_notebook_is_one_line(tmp_path, text):
    path = tmp_path / "n.ipynb"
    path.write_text(text)
    with pytest.raises(InputError, match="n.ipynb is not a notebook: ") as caught:
        inspect_parameters(path)
    assert "\n" not in str(caught.value)


def test_parameters_are_read_without_running(tmp_path):
    assert inspect_parameters(write_notebook(tmp_path / "n.ipynb", "1 / 0")).defaults == {"smoke": "False", "seed": "0"}


def spoil(notebook, how):
    if how == "error":
        notebook.cells[-1].outputs = [nbformat.v4.new_output("error", ename="E", evalue="", traceback=[])]
    elif how == "unexecuted":
        notebook.cells[-1].execution_count = None
    elif how == "widgets":
        notebook.metadata["widgets"] = {"state": {}}
    return notebook


@pytest.mark.parametrize(("how", "n"), [("fine", 0), ("error", 1), ("unexecuted", 1), ("widgets", 1)])
def test_flaws_of_an_executed_notebook_are_found(tmp_path, how, n):
    path = write_notebook(tmp_path / "n.ipynb", "1", "2")
    notebook = nbformat.read(path, 4)
    for i, cell in enumerate(notebook.cells, start=1):
        cell.execution_count = i
    nbformat.write(spoil(notebook, how), path)
    assert len(flaws(path)) == n


# --- bad input ------------------------------------------------------------------------------------------------


def test_bad_paths_and_options_are_one_line_and_code_two(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    write_notebook(tmp_path / "notebooks" / "n.ipynb", "1")
    for command in (
        ["run", str(tmp_path / "none.ipynb")],
        ["check", "--root", str(tmp_path / "nowhere")],
        ["check", "--root", str(tmp_path), "--only", "zzz"],
        ["check", "--root", str(tmp_path), "--jobs", "0"],
        ["check", "--root", str(tmp_path), "--out", str(tmp_path / "file" / "x")],
        ["check", "--root", str(tmp_path), "--update"],
    ):
        assert main(command) == 2, command
        said = capsys.readouterr().err
        assert said.startswith("mmpid: ") and said.count("\n") == 1 and "Traceback" not in said


def test_a_damaged_reference_file_is_named(tmp_path):
    from mmpid.check.references import load_references

    (tmp_path / "n.json").write_text("{")
    with pytest.raises(InputError, match="n.json is not a reference file"):
        load_references(tmp_path, "n", "smoke")
