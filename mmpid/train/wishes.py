"""What a user froze or put into evaluation mode, told apart from what a trainer did for a while."""

from typing import Any, NamedTuple

from torch import nn

from mmpid.models import LateFusion

LEFT = "_left_by_trainer"  # attribute of a model: by name, what was wanted and what a trainer left


class Wishes(NamedTuple):
    """What stays as the user left it: ids of frozen parameters, and of modules in evaluation mode."""

    frozen: frozenset[int]
    still: frozenset[int]


def read_wishes(model: LateFusion) -> Wishes:
    """Return what the user wants: flags as they are, except where a trainer set them and nobody has since.

    A part in evaluation mode beside others in training mode was put there by its owner. A whole encoder in evaluation
    mode was not, since loaders of pretrained models return them so, unless all its weights are frozen, too.
    """
    left: dict[str, Any] = getattr(model, LEFT, {"weights": {}, "modes": {}})
    wanted, given = left["weights"], dict(model.named_parameters())
    frozen = {id(p) for name, p in given.items() if not _wanted(wanted, name, p.requires_grad)}
    still: set[int] = set()
    for prefix, part in (*((f"encoders.{n}", e) for n, e in model.encoders.items()), ("fusion", model.fusion)):
        still |= _still_parts(prefix, part, left["modes"], frozen)
    return Wishes(frozenset(frozen), frozenset(still))


def _still_parts(prefix: str, part: nn.Module, left: dict[str, Any], frozen: set[int]) -> set[int]:
    """Return the ids of the modules of an encoder or a fusion that stay in evaluation mode."""
    modules = {f"{prefix}.{name}".rstrip("."): module for name, module in part.named_modules()}
    whole = not any(module.training for module in modules.values())
    weights = list(part.parameters())
    if whole and weights and all(id(p) in frozen for p in weights):
        return {id(module) for module in modules.values()}
    if whole:  # perhaps by `eval()` of everything, which takes no part out of it
        return {id(module) for name, module in modules.items() if not left.get(name, (True, False))[0]}
    return {id(module) for name, module in modules.items() if not _wanted(left, name, module.training)}


def _wanted(left: dict[str, Any], name: str, now: bool) -> bool:
    """Return what was wanted of a flag: as it is now, unless it still is what a trainer made of it."""
    wanted, made = left.get(name, (now, now))
    return wanted if now == made else now


def fulfill(model: LateFusion) -> Wishes:
    """Give a model the flags that its user wants, undoing what a trainer left, and return them."""
    wishes = read_wishes(model)
    for parameter in model.parameters():
        if parameter.requires_grad == (id(parameter) in wishes.frozen):  # lazy weights take no call
            parameter.requires_grad_(id(parameter) not in wishes.frozen)
    set_modes(model, wishes)
    note(model, wishes)
    return wishes


def set_modes(model: LateFusion, wishes: Wishes) -> None:
    """Put a model into training mode, but for what is to stay in evaluation mode."""
    model.train()
    for module in model.modules():
        if id(module) in wishes.still:
            module.training = False


def note(model: LateFusion, wishes: Wishes) -> None:
    """Note in the model what was wanted of every flag and what it is now, for the next trainer that gets it."""
    weights = {name: (id(p) not in wishes.frozen, p.requires_grad) for name, p in model.named_parameters()}
    modes = {name: (id(module) not in wishes.still, module.training) for name, module in model.named_modules()}
    setattr(model, LEFT, {"weights": weights, "modes": modes})
