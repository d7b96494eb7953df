"""What differs between a run and a published setting: the run's metadata against a protocol's facts."""

from collections.abc import Mapping
from typing import Any

from mmpid.protocols import RunProtocol

UNKNOWN, ABSENT = "(not recorded)", "(absent)"


def differences(metadata: Mapping[str, Any], protocol: RunProtocol) -> dict[str, tuple[Any, Any]]:
    """Return (what the run had, what was published) by dotted name, where they are not known to be equal."""
    rows: dict[str, tuple[Any, Any]] = {}
    for table, had in {
        "settings": dict(metadata.get("settings", {})), "model": _of_model(metadata), "data": _of_data(metadata),
        "method": _of_method(metadata, protocol), "stated": {},
    }.items():  # fmt: skip
        for key, published in getattr(protocol, table).items():
            value = had.get(key, UNKNOWN)
            if value != published:
                rows[f"{table}.{key}"] = (value, published)
    if protocol.data.get("held_out") is None and protocol.data:
        sizes = metadata.get("data", {}).get("sizes", {})
        kept = ", ".join(f"{name} {sizes[name]:,}" for name in ("probe", "validation") if sizes.get(name))
        if kept:
            rows["data.held_out"] = (f"{kept}, cut out of training", "none")
    return rows


def _of_model(metadata: Mapping[str, Any]) -> dict[str, Any]:
    model = metadata.get("model", {})
    kinds = sorted(set(((model.get("spec") or {}).get("encoder") or {}).values()))
    return {"fusion": model.get("fusion", UNKNOWN)} | ({"encoder": ", ".join(kinds)} if kinds else {})


def _of_data(metadata: Mapping[str, Any]) -> dict[str, Any]:
    data = metadata.get("data", {})
    sizes, names = data.get("sizes", {}), metadata.get("class_names", [])
    test = sizes.get("test", 0)
    validation = {"validation": sizes["validation"]} if "validation" in sizes else {}
    known = {"name": data.get("name", UNKNOWN), "classes": len(names), "test": test, **validation}
    return known | {"train": sum(sizes.values()) - test} | dict(data.get("options") or {})


def _of_method(metadata: Mapping[str, Any], protocol: RunProtocol) -> dict[str, Any]:
    """Return the arguments of the published method, if a callback of its class ran."""
    settings = metadata.get("settings", {})
    specs = metadata.get("callbacks", {}).values()
    wanted = protocol.method.get("callback")
    spec = next((dict(s) for s in specs if s.get("class", "").rpartition(".")[2] == wanted), None)
    had = {key: settings.get(key, UNKNOWN) for key in protocol.method}
    if wanted:
        had |= {"callback": wanted, **spec} if spec else dict.fromkeys(protocol.method.keys() - settings.keys(), ABSENT)
    return had
