"""README, conda environment, constraints and pyproject must say the same."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import mmpid

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
CONDA = yaml.safe_load((ROOT / "environment.yml").read_text())
PINS = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
PINS = {name.lower().replace("_", "-"): version for name, version in PINS.items()}
README = (ROOT / "README.md").read_text()
GUIDES = sorted(p for p in (ROOT / "docs").rglob("*.md") if "gathered" not in p.parts)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *GUIDES]


def requirements():
    extras = PROJECT["optional-dependencies"]
    lines = [*PROJECT["dependencies"], *(line for extra in extras.values() for line in extra)]
    return [Requirement(line) for line in lines if not line.startswith("mmpid[")]


@pytest.mark.parametrize("requirement", requirements(), ids=lambda r: r.name)
def test_every_dependency_is_pinned_within_its_range(requirement):
    assert PINS[requirement.name.lower()] in requirement.specifier


def test_torch_is_pinned_here_and_open_from_2_6_for_users():
    assert PINS["torch"] == "2.13.0"
    (torch,) = [r for r in requirements() if r.name == "torch"]
    assert torch.specifier.contains("2.6.0") and torch.specifier.contains("2.11.0")
    assert not torch.specifier.contains("2.5.1")


def test_conda_gives_the_same_environment():
    python, pip, pips = CONDA["dependencies"]
    assert python.removeprefix("python=") in SpecifierSet(PROJECT["requires-python"]) and pip == "pip"
    constraints, package = pips["pip"]
    assert (ROOT / constraints.removeprefix("-c ")).is_file()
    (extra,) = re.fullmatch(r"-e \.\[(\w+)\]", package).groups()
    assert extra in PROJECT["optional-dependencies"]


def test_the_version_is_said_once():
    assert PROJECT["version"] == mmpid.__version__


def test_readme_commands_use_the_constraints_and_extras_that_exist():
    commands = re.findall(r"^python3\.11 -m venv .*$", README, flags=re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        assert "-c constraints.txt" in command
        (extra,) = re.findall(r'-e "\.\[(\w+)\]"', command)
        assert extra in PROJECT["optional-dependencies"]


def prose(page: Path) -> str:
    """The text of a page without its code, where `heads[name](x)` is no link."""
    return re.sub(r"^```.*?^```|`[^`\n]*`", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_and_picture_of_a_page_exists(page):
    assert anchors(page)
    for file, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)", prose(page)):
        made_from = ROOT / file.partition("gathered/")[2]  # the site copies notebooks and lessons to docs/gathered
        target = made_from if "gathered/" in file else page.parent / file if file else page
        assert target.exists(), file
        assert not anchor or anchor in anchors(target), f"{file}#{anchor}"


def test_every_module_that_the_map_of_the_house_names_exists():
    for cell in re.findall(r"^\|.*\|$", (ROOT / "docs" / "architecture.md").read_text(), flags=re.MULTILINE):
        folder = Path()
        for path in map(Path, re.findall(r"`([\w/]+\.py)`", cell)):
            folder = path.parent if len(path.parts) > 1 else folder  # a bare name lies beside the path before it
            assert (ROOT / "mmpid" / folder / path.name).is_file(), f"{path} in {cell}"
