"""The source archive is complete; its wheel carries notebooks and lessons, and works in an empty folder."""

import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.slow
def test_the_wheel_carries_the_notebooks_and_finds_them_in_an_empty_folder(tmp_path):
    build = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-q", "-w", str(tmp_path), "."]
    copy = tmp_path / "source"
    subprocess.run(["git", "-C", str(ROOT), "checkout-index", "-a", f"--prefix={copy}/"], check=True)
    archive = f"from setuptools import build_meta; build_meta.build_sdist({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", archive], cwd=copy, check=True, timeout=500, stdout=subprocess.DEVNULL)
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as packed:
        packed.extractall(tmp_path / "unpacked", filter="data")
    (unpacked,) = (tmp_path / "unpacked").iterdir()
    tracked = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True, check=True)
    own = {name for name in tracked.stdout.split("\n") if name and not name.startswith(".")}
    assert not {name for name in own if not (unpacked / name).exists()} - {"MANIFEST.in"}
    subprocess.run(build, cwd=unpacked, check=True, timeout=500)
    (wheel,) = tmp_path.glob("*.whl")
    held = zipfile.ZipFile(wheel).namelist()
    for folder in ("notebooks", "notebooks/how-to", "tutorials", "tutorials/solutions"):
        expected = {path.name for path in (ROOT / folder).iterdir() if path.suffix in {".ipynb", ".md"}}
        assert expected <= {Path(n).name for n in held if f"share/mmpid/{folder}/" in n}

    assert {name for name in own if name.startswith("mmpid/")} <= set(held)

    place = tmp_path / "installed"
    install = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--ignore-installed",
        "--prefix",
        str(place),
        str(wheel),
    ]
    subprocess.run(install, check=True, timeout=500)
    (packages,) = place.rglob("site-packages")
    empty = tmp_path / "empty"
    empty.mkdir()
    ask = f"""
import sysconfig, pathlib
sysconfig.get_path = lambda name, *a, **k: {str(place)!r}
import mmpid
from mmpid.check import find_root
from mmpid.cli import copy_notebooks
assert pathlib.Path(mmpid.__file__).is_relative_to({str(place)!r})
print(copy_notebooks(find_root(), pathlib.Path("mmpid-lab")))
"""
    environment = {**os.environ, "PYTHONPATH": str(packages)}
    subprocess.run([sys.executable, "-c", ask], cwd=empty, env=environment, check=True, timeout=300)
    assert (empty / "mmpid-lab" / "notebooks" / "01_quickstart.ipynb").exists()
