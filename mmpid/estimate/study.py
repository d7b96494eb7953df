"""Known joints and simulation loops behind the study of what a PID estimate is worth.

Everything in bits; the truth of a joint is its exact decomposition.
"""

import numpy as np
import torch
from torch import Tensor

from mmpid.estimate.estimate import estimate_pid
from mmpid.estimate.kmeans import KMeansDiscretizer
from mmpid.estimate.terms import ATOMS, stack_atoms
from mmpid.estimate.threads import SMALL_JOINT, one_thread
from mmpid.pid import decompose
from mmpid.pid.joints import random as dirichlet


def known_joints(n: int = 20, k: int = 6) -> dict[str, Tensor]:
    """Joints (n, n, k) that span what probes meet, from no synergy to 0.8 bit of it.

    All mix two ways to make a class: *shared evidence*, where each source tells of the class on its own, and
    *pairing*, where the class is the sum of two codes modulo k and no source tells anything alone.
    """
    return {
        "independent given class": _evidence(n, k, 0.9, 0.7, seed=1),
        "weak, some synergy": _mix(_evidence(n, k, 1.0, 0.8, seed=2), _pairing(n, k, seed=2), 0.12),
        "one source copies": _copy(n, k, seed=3),
        "strong and redundant": _mix(_evidence(n, k, 1.8, 1.6, seed=4), _pairing(n, k, seed=4), 0.1),
        "high synergy": _mix(_evidence(n, k, 1.6, 0.6, seed=5), _pairing(n, k, seed=5), 0.45),
    }


def other_joints() -> dict[str, tuple[Tensor, int]]:
    """Joints of families that had no part in choosing the rules, each with a number of samples to draw from it.

    Dirichlet cells; two correlated normal sources in equal steps, and classes that are ranges of a noisy score of both.
    """
    return {
        "Dirichlet 0.3, 20x20x6": (dirichlet(20, 20, 6, concentration=0.3, seed=1), 5000),
        "Dirichlet 0.1, 8x12x10": (dirichlet(8, 12, 10, concentration=0.1, seed=2), 2000),
        "Gaussian, additive, 20x20x6": (_gaussian(20, 6, (1.0, 0.5), noise=0.5), 5000),
        "Gaussian, product term, 15x15x4": (_gaussian(15, 4, (1.0, 0.9), product=1.0, noise=0.4), 2000),
        "Gaussian, weak, 20x20x6": (_gaussian(20, 6, (0.3, 0.15), noise=1.0), 5000),
    }


def head_joints() -> dict[str, Tensor]:
    """Classes predicted by two heads, as a trainer probes them: some right, some wrong, some wrong together."""
    return {
        "6 classes, 80 and 60 % right": _heads(6, (0.8, 0.6), 0.0),
        "6 classes, 90 and 50 %, 30 % together": _heads(6, (0.9, 0.5), 0.3),
        "10 classes, 70 and 50 %": _heads(10, (0.7, 0.5), 0.0),
        "10 classes, 85 and 80 %, 30 % together": _heads(10, (0.85, 0.8), 0.3),
    }


def like_heads() -> dict[str, Tensor]:
    """Heads that know nearly the same, or most classes both and one or two each alone, predicting classes."""
    equal = {
        f"{k} classes, {a:.0%} and {b:.0%}, {t:.0%} together": _heads(k, (a, b), t)
        for k in (4, 6, 10)
        for a, b, t in ((0.7, 0.7, 0.0), (0.9, 0.9, 0.0), (0.95, 0.95, 0.5), (0.85, 0.8, 0.3))
        if (k, a) != (10, 0.85)  # that one is in `head_joints`
    }
    shared = {
        f"{k} classes, {n} known to each, {a:.0%}": _sharing(k, n, a)
        for k, n, a in ((6, 4, 0.85), (6, 4, 0.95), (10, 7, 0.95), (10, 8, 0.95))
    }
    return equal | shared


def fresh_heads() -> dict[str, Tensor]:
    """Heads that had no part in choosing anything, with other numbers of classes, and with rare classes."""
    heads = {
        f"{k} classes, {a:.0%} and {b:.0%}, {t:.0%} together": _heads(k, (a, b), t)
        for k, a, b, t in ((5, 0.8, 0.8, 0.0), (8, 0.75, 0.75, 0.0), (12, 0.85, 0.85, 0.0), (7, 0.6, 0.55, 0.2))
    }
    shared = {f"{k} classes, {n} known to each, {a:.0%}": _sharing(k, n, a) for k, n, a in ((8, 6, 0.9), (12, 8, 0.9))}
    rare = {
        f"{k} classes, {a:.0%} and {b:.0%}, rare ones": _rare(k, (a, b)) for k, a, b in ((6, 0.9, 0.8), (8, 0.85, 0.85))
    }
    return heads | shared | rare


def _rare(k: int, accuracies: tuple[float, float]) -> Tensor:
    """Heads that are independent given the class; each class is 0.6 times as frequent as the one before."""
    joint = _heads(k, accuracies, 0.0) * torch.as_tensor(0.6 ** np.arange(k))
    return joint / joint.sum()


def synergy_free() -> dict[str, Tensor]:
    """Joints without synergy whose marginals are hard to smooth: a false proof of synergy would show here."""
    joints = {"one source copies": _copy(20, 6, seed=3)}
    for k, ratio, n, m, concentration in (
        (6, 0.45, 20, 6, 0.1),
        (6, 0.45, 40, 10, 0.4),
        (4, 0.2, 40, 10, 0.1),
        (6, 1.0, 20, 20, 0.4),
    ):
        name = f"copy, {n}x{m}x{k}, classes by {ratio}, Dirichlet {concentration}"
        joints[name] = _degraded(n, m, ratio ** np.arange(k), concentration, seed=k * n + m)
    joints["frequent and rare codes, 60x30x8"] = _zipf(60, 8, seed=60)
    for k, accuracy in ((10, 0.7), (20, 0.5)):
        one = _heads(k, (accuracy, accuracy), 1.0)
        joints[f"the same head twice, {k} classes, {accuracy:.0%}"] = one
    return joints


def _degraded(n: int, m: int, prior: np.ndarray, concentration: float, seed: int) -> Tensor:
    """Source 2 is a function of source 1, or a noisy copy where it has as many codes."""
    given = np.random.default_rng(seed).dirichlet(np.full(n, concentration), size=len(prior))
    channel = 0.8 * np.eye(n) + 0.2 / n if m == n else np.eye(m)[np.arange(n) * m // n]
    joint = np.einsum("y,yi,ij->ijy", prior / prior.sum(), given, channel)
    return torch.as_tensor(joint / joint.sum())


def _zipf(n: int, k: int, seed: int) -> Tensor:
    """Codes of source 1 fall in frequency as 1, 1/2, 1/3, ...; source 2 merges them in pairs."""
    share = 1 / np.arange(1, n + 1)
    given = np.random.default_rng(seed).dirichlet(np.full(k, 0.3), size=n)
    joint = np.zeros((n, n // 2, k))
    joint[np.arange(n), np.arange(n) // 2] = (share / share.sum())[:, None] * given
    return torch.as_tensor(joint)


def _sharing(k: int, n: int, accuracy: float) -> Tensor:
    """Head 1 knows the first n of k classes and head 2 the last n; the other classes each takes for one another."""
    one = (1 - accuracy) / (k - 1) * np.ones((k, k)) + (accuracy - (1 - accuracy) / (k - 1)) * np.eye(k)
    one[n:] = (1 - accuracy) / k
    one[n:, n:] += accuracy / (k - n)
    return torch.as_tensor(np.einsum("yi,yj->ijy", one, one[::-1, ::-1]) / k)


def truth(joint: Tensor) -> dict[str, float]:
    """Exact atoms of a joint, in bits."""
    with one_thread(joint.numel() <= SMALL_JOINT):
        atoms = stack_atoms(decompose(joint))
    return {name: float(value) for name, value in zip(ATOMS, atoms, strict=True)}


def draw(joint: Tensor, n_samples: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw codes of both sources and classes, each int64 (n_samples,)."""
    cells = rng.choice(joint.numel(), size=n_samples, p=joint.numpy().ravel())
    return np.unravel_index(cells, tuple(joint.shape))


def _evidence(n: int, k: int, strength1: float, strength2: float, seed: int) -> Tensor:
    """p(y) p(x1|y) p(x2|y) with log-normal conditionals: sources independent given a slightly unbalanced class."""
    rng = np.random.default_rng(seed)
    prior = rng.dirichlet(np.full(k, 20.0))
    one, two = (np.exp(s * rng.normal(size=(k, n))) for s in (strength1, strength2))
    one, two = one / one.sum(1, keepdims=True), two / two.sum(1, keepdims=True)
    return torch.as_tensor(np.einsum("y,yi,yj->ijy", prior, one, two))


def _pairing(n: int, k: int, seed: int) -> Tensor:
    """Y = (code 1 + code 2) mod k of shuffled uniform codes; for n a multiple of k all of it is synergy."""
    rng = np.random.default_rng(seed)
    one, two = rng.permutation(n), rng.permutation(n)
    classes = (one[:, None] + two[None, :]) % k
    return torch.as_tensor(np.eye(k)[classes] / n**2)


def _copy(n: int, k: int, seed: int, strength: float = 1.2) -> Tensor:
    """Source 2 is a noisy copy of source 1: it has nothing of its own, so U2 and S lie on the boundary 0."""
    evidence = _evidence(n, k, strength, 0.0, seed).sum(1)
    channel = 0.6 * np.eye(n) + 0.4 / n
    return torch.as_tensor(np.einsum("iy,ij->ijy", evidence.numpy(), channel))


def _gaussian(
    n: int, k: int, slopes: tuple[float, float], *, noise: float, product: float = 0.0, correlation: float = 0.6
) -> Tensor:
    """Y is the range, of k equally likely ones or nearly so, of a x1 + b x2 + c x1 x2 + noise; sources in n steps."""
    fine = np.linspace(-3, 3, 20 * n)
    one, two = fine[:, None], fine[None, :]
    density = np.exp(-(one**2 - 2 * correlation * one * two + two**2) / (2 * (1 - correlation**2)))
    density /= density.sum()
    score = slopes[0] * one + slopes[1] * two + product * one * two
    mean = (density * score).sum()
    spread = np.sqrt((density * (score - mean) ** 2).sum() + noise**2)
    limits = mean + spread * np.sqrt(2) * torch.erfinv(torch.linspace(-1, 1, k + 1, dtype=torch.float64))
    below = torch.special.ndtr((limits - torch.as_tensor(score)[..., None]) / noise)
    cells = torch.as_tensor(density)[..., None] * below.diff(dim=-1)
    return cells.view(n, 20, n, 20, k).sum((1, 3))


def _heads(k: int, accuracies: tuple[float, float], together: float) -> Tensor:
    """Two predictions that are independent given the class, or, with probability `together`, the same."""
    one, two = (a * np.eye(k) + (1 - a) / (k - 1) * (1 - np.eye(k)) for a in accuracies)
    apart = torch.as_tensor(np.einsum("yi,yj->ijy", one, two) / k)
    same = torch.as_tensor(np.einsum("yi,ij->ijy", one, np.eye(k)) / k)
    return _mix(apart, same, together)


def _mix(first: Tensor, second: Tensor, weight: float) -> Tensor:
    """Convex combination, ``weight`` on the second."""
    return (1 - weight) * first + weight * second


def simulate(joints: dict[str, Tensor], sizes: list[int], n_draws: int, *, seed: int = 0, **options) -> list[dict]:
    """Draw samples of each joint and size and estimate each; one row per draw and atom.

    Rows hold joint, n_samples, draw, atom, truth, estimate, plugin, low, high (NaN without bootstrap), null_high (NaN
    without shuffled labels), identified.
    ``options`` go to `estimate_pid`.
    """
    rows = []
    for name, joint in joints.items():
        true = truth(joint)
        for n_samples in sizes:
            rng = np.random.default_rng([seed, n_samples])
            for index in range(n_draws):
                sample = draw(joint, n_samples, rng)
                estimate = estimate_pid(*sample, discretizer="codes", seed=seed + index, warn=False, **options)
                rows += [_row(name, index, atom, true[atom], estimate) for atom in ATOMS]
    return rows


def _row(name: str, index: int, atom: str, true: float, estimate) -> dict:
    """One atom of one draw."""
    nothing = (float("nan"), float("nan"))
    low, high = estimate.interval.get(atom, nothing)
    return {
        "joint": name,
        "n_samples": estimate.n_samples,
        "draw": index,
        "atom": atom,
        "truth": true,
        "estimate": float(getattr(estimate.pid, atom)),
        "plugin": float(getattr(estimate.plugin, atom)),
        "low": low,
        "high": high,
        "null_high": estimate.null.get(atom, nothing)[1],
        "identified": estimate.identified[atom],
    }


def summarize(rows: list[dict]) -> list[dict]:
    """Bias, root-mean-square error, coverage and width by joint, sample size and atom, over the draws.

    ``above_null`` is the share of draws in which the estimate lies above its null band. For an atom that is zero in
    truth it would be 0.025 if the band of sources that know nothing were that of sources that lack this atom only.
    """
    groups: dict[tuple, list[dict]] = {}
    for row in rows:
        groups.setdefault((row["joint"], row["n_samples"], row["atom"]), []).append(row)
    return [_summary(key, members) for key, members in groups.items()]


def _summary(key: tuple[str, int, str], members: list[dict]) -> dict:
    """Figures of one joint, size and atom."""
    columns = ("truth", "estimate", "plugin", "low", "high", "null_high")
    true, estimate, plugin, low, high, null = (np.array([row[column] for row in members]) for column in columns)
    error, plugin_error = estimate - true, plugin - true
    return {
        **dict(zip(("joint", "n_samples", "atom"), key, strict=True)),
        "truth": true[0],
        "bias": error.mean(),
        "rmse": np.sqrt((error**2).mean()),
        "plugin_bias": plugin_error.mean(),
        "plugin_rmse": np.sqrt((plugin_error**2).mean()),
        "coverage": ((low <= true) & (true <= high)).mean() if not np.isnan(low).any() else float("nan"),
        "width": (high - low).mean(),
        "above_null": (estimate > null).mean() if not np.isnan(null).any() else float("nan"),
        "identified": np.mean([row["identified"] for row in members]),
        "n_draws": len(members),
    }


def training_path(n_steps: int, *, synergy: bool = True, n: int = 20, k: int = 6) -> list[Tensor]:
    """Joints as a training run might pass through: redundancy and unique parts grow from nothing.

    With ``synergy``, pairing comes and goes, so that the true synergy peaks about half-way; without, source 2 stays
    a noisy copy of source 1 and the true synergy is 0 at every step.
    """
    times = np.linspace(0.0, 1.0, n_steps)
    if not synergy:
        return [_copy(n, k, seed=6, strength=1.8 * t) for t in times]
    pairing = _pairing(n, k, seed=6)
    return [
        _mix(_evidence(n, k, 1.8 * t, 1.5 * t, seed=6), pairing, 0.35 * float(np.exp(-(((t - 0.5) / 0.2) ** 2))))
        for t in times
    ]


def frozen_embeddings(n_samples: int = 12_000, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Embeddings (N, 64) of two frozen encoders and 6 classes: class directions, 6 directions of style, noise."""
    rng = np.random.default_rng(seed)
    target = rng.integers(6, size=n_samples)
    sources = []
    for strength in (2.0, 1.5):
        classes, styles = rng.normal(size=(6, 64)), rng.normal(size=(6, 64))
        style = rng.normal(size=(n_samples, 6)) @ styles
        sources.append(strength * classes[target] + 0.7 * style + 0.5 * rng.normal(size=(n_samples, 64)))
    return sources[0], sources[1], target


def probe_trace(warm_start: bool, *, n_probes: int = 20, n_samples: int = 1280, n_clusters: int = 10, seed: int = 0):
    """Corrected atoms (n_probes, 4) of probes of one frozen model, each on a fresh probe batch.

    With a warm start the codebooks continue from probe to probe; without, they are found anew every time.
    """
    source1, source2, target = frozen_embeddings(seed=seed)
    rng = np.random.default_rng([seed, 1])
    pair = tuple(KMeansDiscretizer(n_clusters, warm_start=warm_start, seed=seed) for _ in range(2))
    rows = []
    for _ in range(n_probes):
        batch = rng.choice(len(target), size=n_samples, replace=False)
        estimate = estimate_pid(source1[batch], source2[batch], target[batch], discretizer=pair, warn=False)
        rows.append([float(getattr(estimate.pid, atom)) for atom in ATOMS])
    return np.array(rows)
