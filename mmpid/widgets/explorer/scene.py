"""What the PID explorer shows for one joint: plain values, computed without a widget."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from itertools import product
from typing import cast

import torch
from torch import Tensor

from mmpid.pid import PIDResult, decompose, joints
from mmpid.pid.names import ATOMS


def _unq2() -> Tensor:
    return joints.unq1().transpose(0, 1).contiguous()


# two binary sources and a target of two to four classes: at most sixteen cells, small enough to edit by hand
PRESETS: dict[str, Callable[[], Tensor]] = {
    "XOR: only together": joints.xor,
    "AND": joints.and_,
    "OR": joints.or_,
    "RDN: both know the same": joints.rdn,
    "UNQ1: only source 1 knows": joints.unq1,
    "UNQ2: only source 2 knows": _unq2,
    "COPY: each knows its own bit": joints.copy,
    "SUM: y = x1 + x2": joints.sum_,
    "independent: nobody knows": lambda: torch.full((2, 2, 2), 0.125, dtype=torch.float64),
}
# One bit of each atom alone, with a target of two bits, so that each source can know a bit of its own. Over a target of
# a single bit a mix never has U1 and U2 at once: one source would always be a noisy copy of the other.
_RULES: tuple[Callable[[int, int, int, int], bool], ...] = (
    lambda x1, x2, y1, y2: x1 == x2 == y1,
    lambda x1, x2, y1, y2: x1 == y1,
    lambda x1, x2, y1, y2: x2 == y2,
    lambda x1, x2, y1, y2: x1 ^ x2 == y1,
)
COMPONENTS = dict(zip(ATOMS, _RULES, strict=True))
_SENTENCES = (
    "{0:.2f} bit of the target can be read from either source: losing one source loses nothing of it.",
    "{0:.2f} bit is known to source 1 alone.",
    "{0:.2f} bit is known to source 2 alone.",
    "{0:.2f} bit appears only when both sources are seen together.",
)
_SAYS = dict(zip(ATOMS, _SENTENCES, strict=True))
NAMES = dict(zip(ATOMS, ("R, redundant", "U1, unique", "U2, unique", "S, synergistic"), strict=True))


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """How a joint is made: from gates or from components, then correlated, then noisy.

    `shares` are the weights of the four `COMPONENTS`, which need not sum to one; `correlation` lies between -1 and 1,
    `mix` and `noise` between 0 and 1.
    """

    gate: str = "XOR: only together"
    other: str = "RDN: both know the same"
    mix: float = 0.0
    shares: tuple[float, float, float, float] | None = None
    correlation: float = 0.0
    noise: float = 0.0

    def joint(self) -> Tensor:
        """Return the joint, shape (2, 2, k), target last."""
        pure = blend(self.gate, self.other, self.mix) if self.shares is None else mixture(self.shares)
        return joints.noisy(correlated(pure, self.correlation), self.noise)


def blend(first: str, second: str, mix: float) -> Tensor:
    """Return (1 - mix) * first + mix * second, with as many classes as the larger target has."""
    one, two = PRESETS[first](), PRESETS[second]()
    classes = max(one.shape[2], two.shape[2]) if 0 < mix < 1 else (one if mix == 0 else two).shape[2]
    one, two = (_with_classes(joint, classes) for joint in (one, two))
    return (1 - mix) * one + mix * two


def _with_classes(joint: Tensor, classes: int) -> Tensor:
    missing = classes - joint.shape[2]
    return torch.nn.functional.pad(joint, (0, missing)) if missing > 0 else joint[..., :classes]


def mixture(shares) -> Tensor:
    """Return the mixture of the four `COMPONENTS` with weights `shares`; all zero is the uniform joint."""
    total = float(sum(shares))
    if total <= 0:
        return torch.full((2, 2, 4), 1 / 16, dtype=torch.float64)
    return cast(Tensor, sum(share / total * component(name) for share, name in zip(shares, COMPONENTS, strict=True)))


def component(name: str) -> Tensor:
    """Return the joint with one bit of this atom and nothing else, shape (2, 2, 4); the target is y = 2 y1 + y2."""
    holds = COMPONENTS[name]
    states = [(x1, x2, y1, y2) for x1, x2, y1, y2 in product((0, 1), repeat=4) if holds(x1, x2, y1, y2)]
    return _with_classes(joints.from_outcomes((x1, x2, 2 * y1 + y2) for x1, x2, y1, y2 in states), 4)


def correlated(joint: Tensor, correlation: float) -> Tensor:
    """Weight the cells with equal sources by 1 + correlation and the others by 1 - correlation, and normalize.

    With uniform, independent sources the result has exactly this correlation; p(y | x1, x2) stays as it is.
    """
    same = torch.eye(2, dtype=joint.dtype).unsqueeze(-1)
    weighed = joint * (1 + correlation * (2 * same - 1))
    return weighed / weighed.sum() if weighed.sum() > 0 else joint


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A joint of shape (2, 2, k), target last, with its decomposition."""

    joint: Tensor
    result: PIDResult

    @property
    def atoms(self) -> dict[str, float]:
        """The four atoms in bits; values within the certified gap of zero count as zero."""
        values = {name: float(getattr(self.result, name)) for name in _SAYS}
        return {name: value if abs(value) > 1e-5 else 0.0 for name, value in values.items()}

    @property
    def source_correlation(self) -> float:
        """Correlation of the two sources, -1 to 1; 0 where one of them never changes."""
        both = self.joint.sum(2)
        one, two = both.sum(1)[1], both.sum(0)[1]
        spread = float((one * (1 - one) * two * (1 - two)).sqrt())
        return float(both[1, 1] - one * two) / spread if spread > 1e-12 else 0.0


def make_scene(weights) -> Scene:
    """Return the scene of 4 k weights in the order of x1, x2, y, which need not sum to one; all zero is uniform."""
    joint = torch.as_tensor(weights, dtype=torch.float64).reshape(2, 2, -1)
    joint = joint / joint.sum() if joint.sum() > 0 else torch.full_like(joint, 1 / joint.numel())
    return Scene(joint=joint, result=decompose(joint))


def sentences(scene: Scene) -> str:
    """Explain each atom in a sentence, then their sum and how the sources depend on each other."""
    items = "".join(
        f"<li><b>{NAMES[name]}:</b> {_SAYS[name].format(value)}</li>" for name, value in scene.atoms.items()
    )
    total = f"Together {sum(scene.atoms.values()):.2f} bit: all that both sources know about the target."
    sources = f"The sources correlate by {scene.source_correlation:.2f} ({_dependence(scene.source_correlation)})."
    extra = f"<li>{total} {sources}</li>"
    return f'<ul class="mmpid-says" role="status" aria-live="polite">{items}{extra}</ul>'


def _dependence(correlation: float) -> str:
    if abs(correlation) < 0.005:
        return "independent"
    return "they tend to agree" if correlation > 0 else "they tend to disagree"


def tables(scene: Scene) -> str:
    """Show both pairwise marginals, the joint, and the joint that shares the marginals and has no synergy."""
    joint, optimum = scene.joint, scene.result.optimum
    parts = [
        _table("p(x1, y)", joint.sum(1), "x1"),
        _table("p(x2, y)", joint.sum(0), "x2"),
        _table("p: the joint", joint.flatten(0, 1), "x1 x2"),
        _table("q: same marginals, no synergy", optimum.flatten(0, 1), "x1 x2"),
    ]
    return f'<div class="mmpid-tables-row">{"".join(parts)}</div>'


def _table(caption: str, values: Tensor, rows: str) -> str:
    names = [f"{i}" if len(values) == 2 else f"{i // 2} {i % 2}" for i in range(len(values))]
    body = "".join(
        f'<tr><th scope="row">{name}</th>{"".join(f"<td>{float(v):.3f}</td>" for v in row)}</tr>'
        for name, row in zip(names, values, strict=True)
    )
    classes = "".join(f'<th scope="col">y = {y}</th>' for y in range(values.shape[1]))
    head = f'<tr><th scope="col">{rows}</th>{classes}</tr>'
    return f'<table class="mmpid-table"><caption>{escape(caption)}</caption>{head}{body}</table>'
