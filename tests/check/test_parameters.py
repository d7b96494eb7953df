"""Values on the command line get the type of the notebook's own default, or are refused."""

import nbformat
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmpid.check.notebook import inspect_parameters
from mmpid.check.parameters import parse_value, read_parameters, typed_value
from mmpid.cli import main
from mmpid.errors import ConfigError


@pytest.mark.parametrize(
    ("default", "text", "value"),
    [
        ("False", "no", False), ("False", "yes", True), ("True", "0", False), ("True", "Off", False),
        ("False", "1", True), ("False", "TRUE", True), ("True", "false", False), ("False", " on ", True),
        ("0", "3", 3), ("0", "1e3", 1000), ("0", "-2", -2), ("5", "2.0", 2), ("0", "1_000", 1000),
        ("0.01", "1e-3", 1e-3), ("0.01", "1", 1.0), ("0.5", "inf", float("inf")), ("1e-3", "5E-4", 5e-4),
        ('""', "runs/a b", "runs/a b"), ("'cpu'", "cuda:1", "cuda:1"), ('""', "1e-3", "1e-3"), ('""', "yes", "yes"),
        ('"a"', "", ""), ('"a"', '"None"', "None"), ('"a"', "'x'", "x"), ('"a"', "[1]", "[1]"),
        ("[0]", "[1, 2]", [1, 2]), ("[0]", "1,2", [1, 2]), ("[0]", "3", [3]), ("(0.1,)", "1e-3, 1", (1e-3, 1.0)),
        ("['a']", "x,y", ["x", "y"]), ('["a"]', '["x", "1"]', ["x", "1"]), ("[True]", "yes,no", [True, False]),
        ("[]", "1,a", [1, "a"]), ("[0]", "[]", []), ("{'a': 1}", '{"a": null}', {"a": None}),
        ("None", "None", None), ("None", "null", None), ("None", "3", 3), ("None", "1e-3", 1e-3),
        ("None", "cpu", "cpu"), ("None", "[1, 2]", [1, 2]), ("None", "true", True), ("Path('x')", "y", "y"),
    ],
)  # fmt: skip
def test_a_value_is_read_as_the_default_says(default, text, value):
    found = typed_value("it", text, default)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    ("default", "text"),
    [
        ("False", "maybe"), ("False", "2"), ("False", "None"), ("True", ""), ("0", "yes"), ("0", "True"), ("0", "1.5"),
        ("0", "None"), ("0", "[1]"), ("0", "nan"), ("0", "inf"), ("0.5", "no"), ("0.5", "nan"), ("0.5", "None"),
        ("0.5", "1,2"), ('""', "None"), ("'a'", "null"), ("[0]", "a,b"), ("[0]", "[1, 2"), ("[0]", "None"),
        ("[True]", "2"), ("{}", "a"), ("[0]", "[1.5]"), ("0", "1e999"),
    ],
)  # fmt: skip
def test_what_does_not_fit_the_default_is_refused_by_name(default, text):
    with pytest.raises(ConfigError, match="the parameter it is .*it was given"):
        typed_value("it", text, default)


@given(
    st.one_of(st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.lists(st.integers()))
)
def test_what_python_writes_is_read_back(value):
    assert typed_value("it", repr(value), repr(value)) == value == parse_value(repr(value))


def write(path, source):
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
    show = nbformat.v4.new_code_cell("print(repr((smoke, rate, seeds)))")
    notebook = nbformat.v4.new_notebook(cells=[cell, show])
    notebook.metadata["kernelspec"] = {"name": "python3", "language": "python", "display_name": "Python 3"}
    nbformat.write(notebook, path)
    return path


def test_parameters_are_read_from_the_notebook(tmp_path):
    path = write(tmp_path / "n.ipynb", "smoke = True  # small\nrate: float = 0.1\nseeds = [0, 1]  # several")
    defaults = inspect_parameters(path).defaults
    given = [("smoke", "no"), ("rate", "1e-3"), ("seeds", "3,4")]
    assert read_parameters(given, defaults, path.name) == {"smoke": False, "rate": 1e-3, "seeds": [3, 4]}
    with pytest.raises(ConfigError, match="n.ipynb has the parameters smoke, rate, seeds; it was given sedes"):
        read_parameters([("sedes", "3")], defaults, path.name)
    with pytest.raises(ConfigError, match="given twice"):
        read_parameters([("rate", "1"), ("rate", "2")], defaults, path.name)


def test_the_command_refuses_what_does_not_fit_before_it_runs(tmp_path, capsys):
    path = write(tmp_path / "n.ipynb", "smoke = True\nrate = 0.1\nseeds = [0, 1]")
    assert main(["run", str(path), "-p", "smoke", "perhaps", "-o", str(tmp_path / "o.ipynb")]) == 2
    said = capsys.readouterr().err
    assert "smoke is True or False" in said and "'perhaps'" in said and not (tmp_path / "o.ipynb").exists()


@pytest.mark.notebook
def test_the_notebook_gets_the_typed_values(tmp_path):
    path = write(tmp_path / "n.ipynb", "smoke = True\nrate = 0.1\nseeds = [0, 1]")
    words = ["-p", "smoke", "no", "-p", "rate", "1e-3", "-p", "seeds", "3"]
    assert main(["run", str(path), *words, "-o", str(tmp_path / "o.ipynb"), "--quiet"]) == 0
    assert "(False, 0.001, [3])" in (tmp_path / "o.ipynb").read_text()
