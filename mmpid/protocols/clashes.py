"""What contradicts a protocol: settings, model or data that differ raise an error that names them."""

from collections.abc import Iterable, Mapping
from typing import Any

from mmpid.errors import ConfigError
from mmpid.protocols.protocol import RunProtocol, get

OF_READING = ("frames", "size", "front_end", "split")  # what a reader says of the data that it opened
AS_STORED = "as stored"  # a front end that others computed; which one it was, nobody can tell


def apply_settings(protocol: str | RunProtocol, chosen: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with those of a protocol; refuse one that is set to something else.

    Raises
    ------
    ConfigError
        A setting that the protocol fixes was chosen otherwise, or no protocol has this name.
    """
    found = get(protocol)
    for name, value in found.settings.items():
        if name in chosen and chosen[name] != value:
            raise ConfigError(
                f"`{name}` must be {value!r} under protocol {found.name!r}; it was {chosen[name]!r}. Leave `{name}` "
                f"out, or leave the protocol: Trainer(model, data, "
                f"**{{**mmpid.protocols.get({found.name!r}).settings, {name!r}: {chosen[name]!r}}}). "
                f"mmpid.diff(trainer, {found.name!r}) then says what differs."
            )
    return {**chosen, **found.settings}


def check_parts(
    protocol: str | RunProtocol, n_classes: int, options: Mapping[str, Any], fusion: str, spec: Any
) -> None:
    """Refuse data or a model that say of themselves that they are not those of a protocol.

    Parameters
    ----------
    protocol : str or RunProtocol
        What a run is to follow.
    n_classes : int
        Classes of the data.
    options : mapping
        What the reader says of the data.
    fusion : str
        Name of the model's fusion.
    spec : dict or None
        How the model was built; None for encoders of the user's own, which are not judged.
    """
    found = get(protocol)
    wanted = found.data
    if wanted.get("classes", n_classes) != n_classes:
        raise ConfigError(
            f"`data` must have {wanted['classes']} classes under protocol {found.name!r}; they have {n_classes}. Read "
            f"the folder of {wanted.get('name', 'that data set')}, or pass the settings alone: "
            f"Trainer(model, data, **mmpid.protocols.get({found.name!r}).settings)."
        )
    told = {key: options[key] for key in OF_READING if options.get(key) and AS_STORED not in str(options[key])}
    for key, given in told.items():
        if wanted.get(key, given) != given:
            raise ConfigError(
                f"`data` must be read with {key}={wanted[key]!r} under protocol {found.name!r}; it was {given!r}. Try "
                f"mmpid.datasets.read(folder, {reading(found, told)})."
            )
    kinds = set((spec or {}).get("encoder", {}).values())
    encoder = found.model.get("encoder")
    if found.model.get("fusion", fusion) != fusion or (encoder and kinds - {encoder}):
        built = ", ".join(f"{key}={value!r}" for key, value in found.model.items())
        was = ", ".join([*sorted(kinds), f"fusion {fusion!r}"])
        raise ConfigError(
            f"`model` must be built with {built} under protocol {found.name!r}; it was {was}. Try "
            f"LateFusion.from_data(data, {built})."
        )


def reading(protocol: RunProtocol, options: Iterable[str] = OF_READING) -> str:
    """Return those of some options with which a folder is read as a protocol has it, as they are typed."""
    return ", ".join(f"{key}={protocol.data[key]!r}" for key in OF_READING if key in protocol.data and key in options)
