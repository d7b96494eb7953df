"""Parts of a controller by name: which ones are built in, and how parts are saved and loaded.

A part that is defined in a module of this folder is built in; there is no list to keep.
"""

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from inspect import isabstract
from pathlib import Path
from typing import Any

from mmpid.errors import ConfigError
from mmpid.rules.base import GiveUpRule, Part, PausePolicy, SwitchRule, qualified_name

KINDS: dict[str, type[Part]] = {"rule": SwitchRule, "pause": PausePolicy, "give_up": GiveUpRule}
WORDS = {"rule": "switch rule", "pause": "pause policy", "give_up": "give-up rule"}


@cache
def built_in() -> dict[str, type[Part]]:
    """Return the built-in parts by module-qualified name."""
    package, found = __name__.rpartition(".")[0], {}
    for each in pkgutil.iter_modules([str(Path(__file__).parent)]):
        module = importlib.import_module(f"{package}.{each.name}")
        for value in vars(module).values():
            concrete = isinstance(value, type) and issubclass(value, Part) and not isabstract(value)
            if concrete and value.__module__ == module.__name__ and value not in (Part, SwitchRule):
                found[qualified_name(value)] = value
    return found


def refuse_clash(part: Part, argument: str) -> None:
    """Refuse a part of the user's that has the short name of a built-in one: rows of a record could not tell them."""
    kind = type(part)
    taken = {each.__name__ for each in built_in().values()}
    for name in (kind.__name__, kind.name):
        if name in taken and built_in().get(qualified_name(kind)) is not kind:
            raise ConfigError(
                f"`{argument}` must not have the name of a built-in part; {qualified_name(kind)} is called {name!r}. "
                f"Rename the class, for example to My{name}."
            )


def load_part(saved: Mapping[str, Any] | None, argument: str) -> Part | None:
    """Return a built-in part from :meth:`Part.to_dict`; refuse one of the user's own."""
    if saved is None:
        return None
    settings = dict(saved)
    name = settings.pop("class", None)
    kind = built_in().get(str(name))
    if kind is None or not issubclass(kind, KINDS[argument]):
        refuse_own(name, WORDS[argument])
        raise ConfigError(f"the saved {WORDS[argument]} {name!r} is unknown to this version. Update mmpid.")
    try:
        return kind(**{**kind.once, **settings})
    except TypeError as problem:
        raise ConfigError(
            f"the saved {WORDS[argument]} {kind.__name__} has fields unknown to this version: {problem}. Update mmpid."
        ) from problem


def built_in_part(saved: Mapping[str, Any], argument: str) -> Part | None:
    """Return one part of a saved controller, or None if there is none or it is the user's own."""
    part = upgrade(saved).get(argument)
    return load_part(part, argument) if part is not None and part.get("class") in built_in() else None


def refuse_own(name: object, what: str) -> None:
    """Raise if a saved class is the user's own: only the user can make it again."""
    if not str(name).startswith(f"{__name__.rpartition('.')[0]}."):
        raise ConfigError(f"the run used a custom {what}, {name!r}; pass `controller=` made the same way.")


def upgrade(saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return a saved controller in today's form; the older form kept all settings in one dict, parts by short name.

    One that was saved before stage 1 could be given up never gives it up.
    """
    if "class" in saved:
        return dict(saved)
    by_name = {kind.__name__: name for name, kind in built_in().items()}
    old = dict(saved)
    renamed: dict[str, Any] = {"class": old.pop("kind", None)}
    if "rule" in old:
        rule = dict(old.pop("rule"))
        name = rule.pop("name", None)
        renamed["rule"] = {"class": by_name.get(name, name), **rule}
    pause = {"ratio": "uniqueness_ratio", "max_pauses": "max_reversals"}
    pause |= {name: name for name in ("floor", "hysteresis", "warmup", "dwell", "max_pause", "measure")}
    settings = {new: old.pop(name) for new, name in pause.items() if name in old}
    renamed["pause"] = {"class": by_name["LeadPause"], **settings}
    probes = old.pop("give_up_after", None)
    renamed["give_up"] = None if probes is None else {"class": by_name["NothingLearned"], "probes": probes}
    return renamed | old
