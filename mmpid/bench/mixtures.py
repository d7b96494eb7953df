"""Gaussian mixtures with a known decomposition: how much of it each discretizer loses.

Bits are seen through Gaussian noise, and each view is turned into 16 dimensions by a rotation, the rest of them noise.
The truth follows from one-dimensional integrals: a bit of +-1 in noise of standard deviation s has

    I(s) = 1 - E log2(1 + exp(-2 (1 + s g) / s^2)),   g standard normal,

two views of one bit in noise s1 and s2 tell as much of it as one in noise (s1^-2 + s2^-2)^(-1/2), and the noisier view
of one bit is a degraded copy of the other, so that it has nothing unique.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mmpid._tables import text_table
from mmpid.estimate import compare_discretizers
from mmpid.estimate.terms import ATOMS

DIMENSIONS = 16
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(80)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()


@dataclass(frozen=True, kw_only=True)
class Mixture:
    """A known mixture: ``draw(n, rng)`` gives two embeddings (n, 16) and classes (n,); ``truth`` has atoms in bits."""

    draw: Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray, np.ndarray]]
    truth: dict[str, float]


def bit_information(noise: float) -> float:
    """Information in bits that a fair +-1 bit in Gaussian noise has about the bit."""
    return 1 - float(_WEIGHTS @ np.logaddexp(0, -2 * (1 + noise * _NODES) / noise**2)) / np.log(2)


def both(one: float, two: float) -> float:
    """Noise of a single view that tells as much as two views of the same bit."""
    return (one**-2 + two**-2) ** -0.5


def xor_information(one: float, two: float) -> float:
    """Information in bits that two bits, each in noise, have about their exclusive-or."""
    beliefs = [np.tanh((1 + s * _NODES) / s**2) for s in (one, two)]
    agree = np.outer(*beliefs).ravel()  # E[b1 b2 | views], for b1 = b2 = 1; other signs follow by symmetry
    weights = np.outer(_WEIGHTS, _WEIGHTS).ravel()
    p = np.clip((1 + agree) / 2, 1e-300, 1)
    return 1 + float(weights @ np.log2(p))


def mixtures() -> dict[str, Mixture]:
    """Return mixtures with a shared bit, unique bits, two equal shared bits, and an exclusive-or."""
    i = bit_information
    return {
        "shared bit, noise 0.6 and 1.0": Mixture(
            draw=_drawer(1, ((0,), (0,)), (0.6, 1.0)),
            truth=_atoms(i(1.0), i(0.6) - i(1.0), 0.0, i(both(0.6, 1.0)) - i(0.6)),
        ),
        "a bit each, noise 0.5 and 0.8": Mixture(
            draw=_drawer(2, ((0,), (1,)), (0.5, 0.8)), truth=_atoms(0.0, i(0.5), i(0.8), 0.0)
        ),
        "two equal shared bits, noise 0.8": Mixture(
            draw=_drawer(2, ((0, 1), (0, 1)), (0.8, 0.8)),
            truth=_atoms(2 * i(0.8), 0.0, 0.0, 2 * (i(both(0.8, 0.8)) - i(0.8))),
        ),
        "exclusive-or, noise 0.5": Mixture(
            draw=_drawer(2, ((0,), (1,)), (0.5, 0.5), parity=True),
            truth=_atoms(0.0, 0.0, 0.0, xor_information(0.5, 0.5)),
        ),
    }


def _atoms(*values: float) -> dict[str, float]:
    return dict(zip(ATOMS, values, strict=True))


def _drawer(
    n_bits: int, seen: tuple[tuple[int, ...], tuple[int, ...]], noises: tuple[float, float], parity: bool = False
) -> Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Build a function that draws bits, the views that see some of them, and the class: all bits, or their parity."""
    rotations = [np.linalg.qr(np.random.default_rng(i).normal(size=(DIMENSIONS, DIMENSIONS)))[0] for i in range(2)]

    def draw(n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        bits = rng.integers(2, size=(n, n_bits))
        views: list[np.ndarray] = []
        for own, noise, rotation in zip(seen, noises, rotations, strict=True):
            view = 0.3 * rng.normal(size=(n, DIMENSIONS))
            view[:, : len(own)] = 2 * bits[:, own] - 1 + noise * rng.normal(size=(n, len(own)))
            views.append(view @ rotation)
        target = bits.sum(1) % 2 if parity else bits @ (2 ** np.arange(n_bits))
        return views[0], views[1], target

    return draw


def discretizer_errors(
    n_samples: int = 1280, n_draws: int = 10, show: Callable[[str], None] = print, seed: int = 0
) -> list[dict[str, object]]:
    """Estimate each mixture under each discretizer; show and return mean errors and how often synergy is proven."""
    rows: list[dict[str, object]] = []
    for name, mixture in mixtures().items():
        rng = np.random.default_rng([seed, n_samples])
        frames = [
            compare_discretizers(*mixture.draw(n_samples, rng), seed=index, warn=False) for index in range(n_draws)
        ]
        for kind in frames[0].index:
            row: dict[str, object] = {"mixture": name, "discretizer": kind, "codes": frames[0].loc[kind, "codes"]}
            for atom in ATOMS:
                row[atom] = mixture.truth[atom]
                row[f"{atom}_error"] = float(np.mean([frame.loc[kind, atom] for frame in frames])) - mixture.truth[atom]
            row["synergy_proven"] = float(np.mean([frame.loc[kind, "synergy_proven"] for frame in frames]))
            rows.append(row)
    show(f"Mean error of each atom against that of the mixture, bits; {n_samples} samples, {n_draws} draws")
    header = ["mixture", "codes", *(f"{short} (error)" for short in ("R", "U1", "U2", "S")), "S proven"]
    show(text_table(header, [_line(row) for row in rows]))
    return rows


def _line(row: dict[str, object]) -> list[str]:
    atoms = [f"{row[atom]:.2f} ({row[f'{atom}_error']:+.3f})" for atom in ATOMS]
    return [f"{row['mixture']}: {row['discretizer']}", str(row["codes"]), *atoms, f"{row['synergy_proven']:.2f}"]
