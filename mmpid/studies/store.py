"""The folder of a study: what belongs to it, one folder per run, and how far each run is."""

import hashlib
import json
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mmpid import _validate
from mmpid.errors import CheckpointError, ConfigError
from mmpid.runs.files import write_atomically
from mmpid.runs.metadata import versions
from mmpid.studies.cell import ERROR, PREDICTIONS, RESULT, RUNNING

STUDY, CELLS, FORMAT = "study.json", "cells", 1
SILENT_SECONDS = 120.0  # a run that has said nothing for so long is taken to have been killed
DIFFERENT = "Use another `out_dir`, or the settings that the study began with."


@dataclass(frozen=True)
class Study:
    """A study on disk.

    Attributes
    ----------
    folder : Path
        Its folder.
    about : dict
        What its runs have in common: settings, methods, fingerprints of the data, and the runs that are planned.
    """

    folder: Path
    about: dict[str, Any]

    @classmethod
    def open(cls, path: Any, settings: Mapping[str, Any], methods: Mapping[str, Any]) -> "Study":
        """Begin a study in an empty folder or go on with one; refuse a folder that holds something else."""
        folder = _validate.path(path, "out_dir")
        if folder.exists() and not folder.is_dir():
            raise ConfigError(f"`out_dir` must be a folder; {folder} is a file. Choose a new name.")
        wanted = {"settings": _json(settings), "methods": _json(methods)}
        if not (folder / STUDY).exists():
            if folder.exists() and any(not path.name.startswith(".") for path in folder.iterdir()):
                raise ConfigError(
                    f"`out_dir` must be empty or hold a study; {folder} holds other files. Choose another."
                )
            about = {"format": FORMAT, **wanted, "data": {}, "plan": [], "versions": versions()}
            study = cls(folder, about)
            study.write()
            return study
        study = cls(folder, read_about(folder))
        study._refuse_another(wanted)
        study.about["methods"] |= wanted["methods"]
        return study

    def _refuse_another(self, wanted: Mapping[str, Any]) -> None:
        """Refuse settings or methods that are not those of the runs that are there."""
        old, new = self.about["settings"], wanted["settings"]
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) != new.get(name):
                raise ConfigError(
                    f"`out_dir` must hold runs with the same settings; in {self.folder} `{name}` was "
                    f"{old.get(name)!r}, and now it is {new.get(name)!r}. {DIFFERENT}"
                )
        for name, own in wanted["methods"].items():
            before = self.about["methods"].get(name, own)
            if before != own:
                changed = sorted(key for key in before.keys() | own.keys() if before.get(key) != own.get(key))
                raise ConfigError(
                    f"`methods` must be the same as when {self.folder} began; {name!r} differs in "
                    f"{', '.join(changed)}: {_some(before, changed)} before, {_some(own, changed)} now. Give it "
                    "another name, or use another `out_dir`."
                )

    def know(self, name: str, seed: int, fingerprint: str) -> None:
        """Note the fingerprint of data, or refuse data that have changed."""
        known = self.about["data"].setdefault(name, {})
        before = known.setdefault(str(seed), fingerprint)
        if before != fingerprint:
            raise ConfigError(
                f"`data` must be those of the study; {name!r} with seed {seed} had fingerprint {before} and now has "
                f"{fingerprint}: samples, labels, groups or splits have changed. Give the changed data another name, "
                "or use another `out_dir`."
            )

    def place(self, data: str, training: str, setting: Mapping[str, Any], seed: int) -> Path:
        """Return the folder of a run."""
        parts = [_slug(data), _slug(training)]
        if setting:
            parts.append(_slug(",".join(f"{name}={value}" for name, value in setting.items())))
        return self.folder.joinpath(CELLS, *parts, f"seed-{seed}")

    def plan(self, entries: list[dict[str, Any]], to_come: int = 0) -> None:
        """Note which runs there will be, beside those of earlier calls, and how many a search has not named yet."""
        known = {entry["folder"]: entry for entry in self.about["plan"]}
        self.about["plan"] = list((known | {entry["folder"]: entry for entry in entries}).values())
        self.about["to_come"] = to_come
        self.write()

    def write(self) -> None:
        """Replace the file that says what the study is."""
        write_atomically(self.folder / STUDY, json.dumps(self.about).encode())


def read_about(folder: Path) -> dict[str, Any]:
    """Return what the file of a study says."""
    try:
        about = json.loads((folder / STUDY).read_text())
        version = about["format"]
    except OSError as problem:
        raise ConfigError(
            f"`out_dir` must hold a study; there is no {folder / STUDY}. Make one with compare()."
        ) from problem
    except (ValueError, TypeError, KeyError) as problem:
        raise CheckpointError(f"{folder / STUDY} cannot be read: {problem}. Restore it from a copy.") from problem
    if version != FORMAT:
        raise CheckpointError(f"{folder} has format {version}; this version reads format {FORMAT}. Update mmpid.")
    return about


def _slug(name: str) -> str:
    """Return a name as one folder: readable, and different for different names."""
    plain = re.sub(r"[^\w.+=,-]+", "-", name)[:60].strip(".-")
    return plain if plain == name else f"{plain or 'x'}-{hashlib.sha256(name.encode()).hexdigest()[:6]}"


def _json(values: Mapping[str, Any]) -> dict[str, Any]:
    return json.loads(json.dumps(values, default=str))


def _some(values: Mapping[str, Any], names: list[str]) -> dict[str, Any]:
    return {name: values.get(name) for name in names}


# ---- one run -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Finished:
    """What a finished run left behind."""

    folder: Path

    @cached_property
    def told(self) -> dict[str, Any]:
        """The result, as the run wrote it."""
        return json.loads((self.folder / RESULT).read_text())

    @cached_property
    def arrays(self) -> dict[str, np.ndarray]:
        """Logits, labels, indices and groups of the validation and the test split."""
        with np.load(self.folder / PREDICTIONS, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files}


def status(folder: Path) -> dict[str, Any]:
    """Return how far a run is: `state` ("waiting", "running", "finished", "failed") and what there is to say."""
    if (folder / RESULT).exists():
        told = json.loads((folder / RESULT).read_text())
        return {"state": "finished", "seconds": told["seconds"], "rows": told["rows"]}
    with suppress(OSError, ValueError):
        beat = json.loads((folder / RUNNING).read_text())
        if time.time() - beat["time"] <= SILENT_SECONDS:
            return {"state": "running", "epoch": beat["epoch"], "of": beat["of"]}
    with suppress(OSError):
        told = json.loads((folder / ERROR).read_text())
        return {"state": "failed", "error": f"{told['type']}: {told['message']}"}
    return {"state": "waiting"}
