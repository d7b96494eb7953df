"""What the PID explorer shows for one joint: plain values, computed without a widget."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import torch
from torch import Tensor

from mmpid.pid import PIDResult, decompose, joints

# two binary sources and a binary target: eight cells, small enough to edit by hand
PRESETS: dict[str, Callable[[], Tensor]] = {
    "XOR: only together": joints.xor,
    "AND": joints.and_,
    "OR": joints.or_,
    "RDN: both know the same": joints.rdn,
    "UNQ1: only source 1 knows": joints.unq1,
    "UNQ2: only source 2 knows": lambda: joints.unq1().transpose(0, 1).contiguous(),
    "independent: nobody knows": lambda: torch.full((2, 2, 2), 0.125, dtype=torch.float64),
}
_SAYS = {
    "redundancy": "{0:.2f} bit of the target can be read from either source: losing one source loses nothing of it.",
    "unique1": "{0:.2f} bit is known to source 1 alone.",
    "unique2": "{0:.2f} bit is known to source 2 alone.",
    "synergy": "{0:.2f} bit appears only when both sources are seen together.",
}
NAMES = {"redundancy": "R, redundant", "unique1": "U1, unique", "unique2": "U2, unique", "synergy": "S, synergistic"}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A joint of shape (2, 2, 2), target last, with its decomposition."""

    joint: Tensor
    result: PIDResult

    @property
    def atoms(self) -> dict[str, float]:
        """The four atoms in bits; what lies within the certified gap of zero is zero."""
        values = {name: float(getattr(self.result, name)) for name in _SAYS}
        return {name: value if abs(value) > 1e-5 else 0.0 for name, value in values.items()}


def make_joint(first: str, second: str, mix: float, noise: float) -> Tensor:
    """Return (1 - mix) * first + mix * second, then mixed with the uniform joint by `noise`."""
    blend = (1 - mix) * PRESETS[first]() + mix * PRESETS[second]()
    return joints.noisy(blend, noise)


def make_scene(weights) -> Scene:
    """Return the scene of eight weights, which need not sum to one; all zero counts as uniform."""
    joint = torch.as_tensor(weights, dtype=torch.float64).reshape(2, 2, 2)
    joint = joint / joint.sum() if joint.sum() > 0 else torch.full((2, 2, 2), 0.125, dtype=torch.float64)
    return Scene(joint=joint, result=decompose(joint))


def sentences(scene: Scene) -> str:
    """Explain each atom in a sentence, and what they add up to."""
    items = "".join(
        f"<li><b>{NAMES[name]}:</b> {_SAYS[name].format(value)}</li>" for name, value in scene.atoms.items()
    )
    total = f"Together {sum(scene.atoms.values()):.2f} bit: all that both sources know about the target."
    return f'<ul class="mmpid-says" role="status" aria-live="polite">{items}<li>{total}</li></ul>'


def tables(scene: Scene) -> str:
    """Show both pairwise marginals, the joint, and the joint that shares the marginals and has no synergy."""
    joint, optimum = scene.joint, scene.result.optimum
    parts = [
        _table("p(x1, y)", joint.sum(1), "x1"),
        _table("p(x2, y)", joint.sum(0), "x2"),
        _table("p: the joint", joint.reshape(4, 2), "x1 x2"),
        _table("q: same marginals, no synergy", optimum.reshape(4, 2), "x1 x2"),
    ]
    return f'<div class="mmpid-tables-row">{"".join(parts)}</div>'


def _table(caption: str, values: Tensor, rows: str) -> str:
    names = [f"{i}" if len(values) == 2 else f"{i // 2} {i % 2}" for i in range(len(values))]
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{float(v):.3f}</td>" for v in row)}</tr>'
        for name, row in zip(names, values, strict=True)
    )
    head = f'<tr><th scope="col">{rows}</th><th scope="col">y = 0</th><th scope="col">y = 1</th></tr>'
    return f'<table class="mmpid-table"><caption>{escape(caption)}</caption>{head}{body}</table>'
