"""Where the files of optional packages are; a package that is not installed is an error that names the extra."""

import importlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

from mmpid.errors import MissingDependencyError


def require(package: str, name: str) -> None:
    """Refuse to go on without a package of the `data` extra."""
    if find_spec(package) is None:
        raise MissingDependencyError(
            f"the data set {name!r} is read from the package {package!r}, which is not installed. "
            f"Try: pip install 'mmpid[data]'"
        )


def package_folder(package: str, name: str) -> Path:
    """Return the folder of an installed package without importing it."""
    require(package, name)
    spec = cast(Any, find_spec(package))  # `require` has found it
    return Path(next(iter(spec.submodule_search_locations)))


def import_from(module: str, name: str):
    """Import a module of an optional package."""
    require(module.partition(".")[0], name)
    return importlib.import_module(module)
