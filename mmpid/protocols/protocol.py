"""A protocol: the data, optimizer, schedule and selection of a published setting, with where each fact stands."""

import os
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from mmpid import _validate
from mmpid.errors import InputError

TABLES = ("settings", "model", "data", "method", "stated")
WORDS = ("name", "title", "source", "evidence")


@dataclass(frozen=True, kw_only=True, repr=False)
class RunProtocol:
    """A published setting, without its method: everything that two methods must share to be comparable.

    Attributes
    ----------
    name : str
        Method and data set, such as "ogm-ge/cremad".
    version : int
        Grows when a file's facts are corrected; a run's metadata hold name and version.
    title, source, evidence : str
        Whose setting it is, where it was read, and how sure that is.
    settings : dict
        Fields of :class:`~mmpid.train.TrainConfig`. ``Trainer(..., protocol=name)`` applies them.
    data : dict
        What the data must be; ``model``, a dict, says the same of encoder and fusion. A trainer refuses data and a
        network that say otherwise of themselves.
    method : dict
        What was trained this way: the class in :mod:`mmpid.methods`, its arguments, and epochs of a unimodal stage. A
        trainer leaves it to you; `mmpid.diff` compares it.
    stated : dict
        Facts that can be neither applied nor checked, such as augmentation, in words.

    Notes
    -----
    A protocol repeats what code or a paper says, mistakes included: ``selection="test"`` where the best epoch was
    chosen on the test split. What is not known is left out, so following a protocol does not promise its numbers.
    """

    name: str
    version: int
    title: str
    source: str
    evidence: str
    settings: dict[str, Any]
    model: dict[str, Any]
    data: dict[str, Any]
    method: dict[str, Any]
    stated: dict[str, Any]

    def __repr__(self) -> str:
        facts = {f"{table}.{key}": x for table in TABLES for key, x in getattr(self, table).items()}
        width = max(map(len, facts), default=0)
        head = [f"{self.name}, version {self.version}: {self.title}", f"{self.source} ({self.evidence})"]
        return "\n".join([*head, *(f"{key:<{width}}  {value}" for key, value in facts.items())])

    @property
    def tag(self) -> dict[str, Any]:
        """Name and version, as a run's metadata hold them."""
        return {"name": self.name, "version": self.version}


def available() -> dict[str, str]:
    """Return the names of the protocols, each with its title.

    Examples
    --------
    >>> from mmpid import protocols
    >>> protocols.available()["ogm-ge/cremad"]
    'OGM-GE (Peng et al., CVPR 2022) on CREMA-D'
    """
    return {name: each.title for name, each in _shipped().items()}


def get(protocol: "str | RunProtocol") -> RunProtocol:
    """Return a protocol by name; one that is a protocol already is returned as it is.

    Raises
    ------
    ConfigError
        No protocol has this name.

    Examples
    --------
    >>> from mmpid import protocols
    >>> protocols.get("ogm-ge/cremad").settings["lr"]
    0.001
    """
    if isinstance(protocol, RunProtocol):
        return protocol
    return _shipped()[_validate.choice(protocol, "protocol", _shipped())]


def read(path: Any) -> RunProtocol:
    r"""Read a protocol of your own from a TOML file of the form of the shipped ones.

    Parameters
    ----------
    path : path
        A file with `name`, `version`, `title`, `source`, `evidence`, and the tables `settings`, `model`, `data`,
        `method` and `stated`, each of which may be missing.

    Raises
    ------
    InputError
        The file is missing, is not TOML, or has other entries.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> from mmpid import protocols
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "mine.toml"
    >>> _ = path.write_text('name = "mine"\nversion = 1\n[settings]\nlr = 0.05\n')
    >>> protocols.read(path).settings
    {'lr': 0.05}
    """
    place = Path(os.path.expanduser(_validate.path(path, "path")))
    try:
        text = place.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise InputError(f"`path` must be a readable TOML file; {str(path)!r}: {problem}.") from problem
    return _parse(text, str(path))


def _parse(text: str, place: str) -> RunProtocol:
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise InputError(f"{place} must be a TOML file: {problem}. Use a shipped protocol as a template.") from problem
    for key in found:
        _validate.choice(key, f"entry of {place}", (*WORDS, "version", *TABLES), InputError)
    words = {key: found.get(key, "") for key in WORDS}
    tables = {key: found.get(key, {}) for key in TABLES}
    version = found.get("version")
    if not words["name"] or not isinstance(version, int) or isinstance(version, bool):
        raise InputError(f'{place} must have a name and a whole number as version. Add name = "mine", version = 1.')
    if any(not isinstance(x, str) for x in words.values()) or any(not isinstance(x, dict) for x in tables.values()):
        raise InputError(f"{place}: {', '.join(WORDS)} must be text, and {', '.join(TABLES)} tables.")
    return RunProtocol(version=version, **words, **tables)


@cache
def _shipped() -> dict[str, RunProtocol]:
    places = sorted((files("mmpid.protocols") / "files").iterdir(), key=lambda place: place.name)
    found = [_parse(p.read_text(encoding="utf-8"), p.name) for p in places if p.name.endswith(".toml")]
    return {each.name: each for each in found}
