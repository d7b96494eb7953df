"""Parameters of a notebook on the command line: text becomes a value of the type of the notebook's own default."""

import ast
import json
import math
from collections.abc import Iterable, Mapping

from mmpid.errors import ConfigError

TRUE, FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")
NONE = ("None", "none", "null")


def read_parameters(given: Iterable[tuple[str, str]], defaults: Mapping[str, str], notebook: str) -> dict:
    """Return typed values of parameters given as (name, text); `defaults` holds the notebook's, as source text."""
    values = {}
    for name, text in given:
        if name not in defaults:
            raise ConfigError(f"{notebook} has the parameters {', '.join(defaults)}; it was given {name}.")
        if name in values:
            raise ConfigError(f"the parameter {name} was given twice. Leave one of them out.")
        values[name] = typed_value(name, text, defaults[name])
    return values


def typed_value(name: str, text: str, default: str):
    """Return `text` as a value of the type that `default`, a piece of Python source, has.

    Truth: true, yes, on, 1, or false, no, off, 0. Numbers: as Python writes them, and 1e3 for an integer. Lists: a
    literal of Python or JSON, or entries with commas between them. Where the default is None or no literal, a Python or
    JSON literal is read as one, and anything else is text.

    Raises
    ------
    ConfigError
        The text does not read as a value of that type.

    Examples
    --------
    >>> typed_value("smoke", "no", "False"), typed_value("rate", "1e-3", "0.01"), typed_value("seeds", "0,1", "[0]")
    (False, 0.001, [0, 1])
    """
    try:
        example = ast.literal_eval(default)
    except (ValueError, SyntaxError):
        example = None  # an expression, whose type is not known before it runs
    if example is None:
        return parse_value(text)
    value = _as(text, example)
    if value is None:
        raise ConfigError(
            f"the parameter {name} is {_kind(example)}; it was given {text!r}. For example -p {name} {default}."
        )
    return value


def _as(text: str, example):
    """Return `text` as a value like `example`, or None if it is not one."""
    word = text.strip()
    if isinstance(example, bool):
        return True if word.lower() in TRUE else False if word.lower() in FALSE else None
    if isinstance(example, int):
        return _integer(word)
    if isinstance(example, float):
        return _real(word)
    if isinstance(example, str):
        return None if word in NONE else _unquoted(text)
    if isinstance(example, list | tuple | set):
        return _entries(word, example)
    if isinstance(example, dict):
        value = _literal(word)
        return value if isinstance(value, dict) else None
    value = _literal(word)
    return value if type(value) is type(example) else None


def _integer(word: str) -> int | None:
    try:
        return int(word)
    except ValueError:
        value = _real(word)
        return int(value) if value is not None and value.is_integer() else None


def _real(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return None if math.isnan(value) or (math.isinf(value) and "inf" not in word.lower()) else value


def _unquoted(text: str) -> str:
    """Return text as it is; in quotes of its own, the text in them."""
    value = _literal(text.strip()) if text.strip()[:1] in ("'", '"') else None
    return value if isinstance(value, str) else text


def _entries(word: str, example):
    """Return a list like `example`, its entries like the entries of `example`."""
    value = _literal(word)
    if value is None or isinstance(value, str | int | float | dict):
        if word[:1] in ("[", "(", "{"):  # a list that does not close
            return None
        value = [part.strip() for part in word.split(",") if part.strip()]
    first = next(iter(example), None)
    if first is not None:
        value = [_as(entry if isinstance(entry, str) else repr(entry), first) for entry in value]
        if any(entry is None for entry in value):
            return None
    else:
        value = [parse_value(entry) if isinstance(entry, str) else entry for entry in value]
    return type(example)(value)


def _literal(word: str):
    """Return a literal of Python or JSON; None for anything else."""
    for read in (ast.literal_eval, json.loads):
        try:
            return read(word)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            continue
    return None


def parse_value(text: str):
    """Read a value without a default to go by: a literal of Python or JSON (also true and null), or else text."""
    word = text.strip()
    if word in NONE:
        return None
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    value = _literal(word)
    return text if value is None else value


def _kind(example) -> str:
    kinds = {
        bool: "True or False (also yes, no, on, off, 1, 0)", int: "an integer", float: "a number",
        str: "text, which None is not: for the word itself write '\"None\"', in two sorts of quotes",
        list: "a list", tuple: "a tuple", set: "a set", dict: "a mapping",
    }  # fmt: skip
    kind = kinds.get(type(example), f"a {type(example).__name__}")
    first = next(iter(example), None) if isinstance(example, list | tuple | set) else None
    return (
        f"{kind} of {'truth values' if isinstance(first, bool) else type(first).__name__}"
        if first is not None
        else kind
    )
