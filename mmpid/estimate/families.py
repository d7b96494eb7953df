"""Families of joints whose decomposition is known, for studies and benchmarks of estimates."""

import numpy as np
import torch
from torch import Tensor

from mmpid.estimate.typed import normal_cdf
from mmpid.pid.joints import random as dirichlet


def known_joints(n: int = 20, k: int = 6) -> dict[str, Tensor]:
    """Joints (n, n, k) that span what probes meet, from no synergy to 0.8 bit of it.

    All mix two ways to make a class: *shared evidence*, where each source tells of the class on its own, and
    *pairing*, where the class is the sum of two codes modulo k and no source tells anything alone.
    """
    return {
        "independent given class": evidence(n, k, 0.9, 0.7, seed=1),
        "weak, some synergy": mix(evidence(n, k, 1.0, 0.8, seed=2), pairing(n, k, seed=2), 0.12),
        "one source copies": noisy_copy(n, k, seed=3),
        "strong and redundant": mix(evidence(n, k, 1.8, 1.6, seed=4), pairing(n, k, seed=4), 0.1),
        "high synergy": mix(evidence(n, k, 1.6, 0.6, seed=5), pairing(n, k, seed=5), 0.45),
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
        "6 classes, 80 and 60 % right": two_heads(6, (0.8, 0.6), 0.0),
        "6 classes, 90 and 50 %, 30 % together": two_heads(6, (0.9, 0.5), 0.3),
        "10 classes, 70 and 50 %": two_heads(10, (0.7, 0.5), 0.0),
        "10 classes, 85 and 80 %, 30 % together": two_heads(10, (0.85, 0.8), 0.3),
    }


def like_heads() -> dict[str, Tensor]:
    """Heads that know nearly the same, or most classes both and one or two each alone, predicting classes."""
    equal = {
        f"{k} classes, {a:.0%} and {b:.0%}, {t:.0%} together": two_heads(k, (a, b), t)
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
        f"{k} classes, {a:.0%} and {b:.0%}, {t:.0%} together": two_heads(k, (a, b), t)
        for k, a, b, t in ((5, 0.8, 0.8, 0.0), (8, 0.75, 0.75, 0.0), (12, 0.85, 0.85, 0.0), (7, 0.6, 0.55, 0.2))
    }
    shared = {f"{k} classes, {n} known to each, {a:.0%}": _sharing(k, n, a) for k, n, a in ((8, 6, 0.9), (12, 8, 0.9))}
    rare = {
        f"{k} classes, {a:.0%} and {b:.0%}, rare ones": _rare(k, (a, b)) for k, a, b in ((6, 0.9, 0.8), (8, 0.85, 0.85))
    }
    return heads | shared | rare


def _rare(k: int, accuracies: tuple[float, float]) -> Tensor:
    """Heads that are independent given the class; each class is 0.6 times as frequent as the one before."""
    joint = two_heads(k, accuracies, 0.0) * torch.as_tensor(0.6 ** np.arange(k))
    return joint / joint.sum()


def synergy_free() -> dict[str, Tensor]:
    """Joints without synergy whose marginals are hard to smooth: a false proof of synergy would show here."""
    joints = {"one source copies": noisy_copy(20, 6, seed=3)}
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
        one = two_heads(k, (accuracy, accuracy), 1.0)
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


def evidence(n: int, k: int, strength1: float, strength2: float, seed: int) -> Tensor:
    """p(y) p(x1|y) p(x2|y) with log-normal conditionals: sources independent given a slightly unbalanced class."""
    rng = np.random.default_rng(seed)
    prior = rng.dirichlet(np.full(k, 20.0))
    one, two = (np.exp(s * rng.normal(size=(k, n))) for s in (strength1, strength2))
    one, two = one / one.sum(1, keepdims=True), two / two.sum(1, keepdims=True)
    return torch.as_tensor(np.einsum("y,yi,yj->ijy", prior, one, two))


def pairing(n: int, k: int, seed: int) -> Tensor:
    """Y = (code 1 + code 2) mod k of shuffled uniform codes; for n a multiple of k all of it is synergy."""
    rng = np.random.default_rng(seed)
    one, two = rng.permutation(n), rng.permutation(n)
    classes = (one[:, None] + two[None, :]) % k
    return torch.as_tensor(np.eye(k)[classes] / n**2)


def noisy_copy(n: int, k: int, seed: int, strength: float = 1.2) -> Tensor:
    """Source 2 is a noisy copy of source 1: it has nothing of its own, so U2 and S lie on the boundary 0."""
    given = evidence(n, k, strength, 0.0, seed).sum(1)
    channel = 0.6 * np.eye(n) + 0.4 / n
    return torch.as_tensor(np.einsum("iy,ij->ijy", given.numpy(), channel))


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
    below = normal_cdf((limits - torch.as_tensor(score)[..., None]) / noise)
    cells = torch.as_tensor(density)[..., None] * below.diff(dim=-1)
    return cells.view(n, 20, n, 20, k).sum((1, 3))


def two_heads(k: int, accuracies: tuple[float, float], together: float) -> Tensor:
    """Two predictions that are independent given the class, or, with probability `together`, the same."""
    one, two = (a * np.eye(k) + (1 - a) / (k - 1) * (1 - np.eye(k)) for a in accuracies)
    apart = torch.as_tensor(np.einsum("yi,yj->ijy", one, two) / k)
    same = torch.as_tensor(np.einsum("yi,ij->ijy", one, np.eye(k)) / k)
    return mix(apart, same, together)


def mix(first: Tensor, second: Tensor, weight: float) -> Tensor:
    """Convex combination, ``weight`` on the second."""
    return (1 - weight) * first + weight * second
