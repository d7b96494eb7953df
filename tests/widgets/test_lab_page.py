"""The competition lab as one HTML file, without a browser: what it is made of."""

import json
from pathlib import Path

from mmpid.cli import main
from mmpid.theory.settings import ModelSettings
from mmpid.widgets.lab.page import page

DOCS = Path(__file__).parents[2] / "docs" / "competition_lab.html"


def test_the_page_computes_with_the_settings_of_the_package():
    assert ModelSettings().q == 3, "the page writes the third power out"
    found = json.loads(page().split("const MODEL = ", 1)[1].split(";\n", 1)[0])
    assert {name: value for name, value in vars(ModelSettings()).items() if name in found} == {
        name: found[name] for name in vars(ModelSettings()) if name in found
    }


def test_the_command_writes_the_page_and_opens_nothing(tmp_path, capsys):
    assert main(["lab", "--page", str(tmp_path / "new" / "lab.html")]) == 0
    text = (tmp_path / "new" / "lab.html").read_text(encoding="utf-8")
    assert text == page() and "lab.html" in capsys.readouterr().out
    addresses = text.count("http") - text.count('"http://www.w3.org/2000/svg"')  # the name of SVG, which nobody loads
    assert addresses == 0 and not any(word in text for word in ("<script src", "<link", "@import", "url("))


def test_the_page_of_the_docs_is_the_present_one():
    assert DOCS.read_text(encoding="utf-8") == page(), "run: mmpid lab --page docs/competition_lab.html"
