"""The documentation site: builds without a warning, loads nothing from elsewhere, leads to each task in two clicks."""

import functools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
GUIDES = sorted([*DOCS.glob("how-to/*.md"), *DOCS.glob("ideas/*.md"), *DOCS.glob("start/*.md")])
TASKS = {  # what a visitor looks for, and a page that answers it
    "decompose a table": "how-to/decompose-a-table.html",
    "watch a run": "how-to/watch-a-run.html",
    "bring own arrays": "how-to/own-data.html",
    "write a rule": "how-to/own-rule.html",
    "find why an atom is not proven": "how-to/why-not-proven.html",
}


@functools.cache
def links(page: Path) -> set[Path]:
    """Pages of the site that a page links to."""
    found = re.findall(r'href="([^"#:]+\.html)', page.read_text(encoding="utf-8"))
    return {(page.parent / link).resolve() for link in found}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(DOCS), str(out)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=570, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return out


@pytest.mark.slow
def test_the_site_loads_nothing_from_elsewhere(site):
    loads = re.compile(r'(?:<script[^>]*\ssrc|<link[^>]*"stylesheet"[^>]*href|<img[^>]*\ssrc)="(?:https?:)?//[^"]+"')
    found = {page.name: loads.findall(page.read_text(encoding="utf-8")) for page in site.rglob("*.html")}
    assert not {name: hits for name, hits in found.items() if hits}


@pytest.mark.slow
def test_links_inside_the_site_lead_somewhere(site):
    pages = [p for p in site.rglob("*.html") if "_modules" not in p.parts]
    assert not {str(link) for page in pages for link in links(page) if not link.exists()}


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_two_clicks_from_the_first_page(site, task):
    first = links(site / "index.html")
    second = set().union(*(links(page) for page in first if page.exists()))
    assert (site / TASKS[task]).resolve() in first | second


@pytest.mark.slow
def test_every_public_name_has_a_page_with_its_description(site):
    import gather

    for module in gather.MODULES:
        for name in gather.public(module):
            top = name in gather.public("mmpid") and module != "mmpid.joints"
            path = "mmpid" if top else "mmpid.pid.joints" if module == "mmpid.joints" else module
            page = site / "reference" / "generated" / f"{path}.{name}.html"
            assert page.exists(), page.name
            assert '<dl class="py' in page.read_text(encoding="utf-8"), page.name


@pytest.fixture(autouse=True)
def _gather_is_importable(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS / "_ext"))


def blocks(path: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("path", [p for p in GUIDES if blocks(p)], ids=lambda p: p.stem)
def test_the_code_of_a_guide_runs(path, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    for block in blocks(path):
        exec(compile(block, str(path), "exec"), names)


def test_prose_has_no_phrase_that_a_native_reader_stumbles_over():
    done = subprocess.run([sys.executable, str(ROOT / ".ci" / "prose.py")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:]
