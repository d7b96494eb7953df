"""An auditor of certificates in 80-bit floats: it shares no code with the solver, and trusts none of its numbers.

By weak duality the minimum lies between f of any q moved to the marginals and the dual value of any multipliers, once
they are shifted into the constraints. Both are evaluated here anew: how the solver came by q and multipliers is
irrelevant. Joints are (b, n1, n2, k).
"""

import numpy as np

LN2 = np.log(np.longdouble(2))
_LEAST = np.longdouble("1e-4900")
_NEVER = np.longdouble("-1e4000")


def _entropy(p, axes):
    logs = np.log(np.where(p > 0, p, 1))
    return -(p * logs).sum(axes)


def _cost(q):
    """f(q) = -H(Y | X1, X2) in nats."""
    return _entropy(q.sum(3), (1, 2)) - _entropy(q, (1, 2, 3))


def _moved(q, p1, p2):
    """q moved to the marginals p1 (b, i, y) and p2 (b, j, y)."""
    q = q * np.minimum(1, p1 / np.maximum(q.sum(2), _LEAST))[:, :, None]
    q = q * np.minimum(1, p2 / np.maximum(q.sum(1), _LEAST))[:, None]
    rest1, rest2 = np.maximum(p1 - q.sum(2), 0), np.maximum(p2 - q.sum(1), 0)
    return q + rest1[:, :, None] * (rest2 / np.maximum(rest1.sum(1), _LEAST)[:, None])[:, None]


def _dual(lam, mu, p1, p2):
    """Dual value after rows are shifted by their largest log sum_y exp(lam_iy + mu_jy)."""
    theta = np.where(p1 > 0, lam, _NEVER)[:, :, None] + np.where(p2 > 0, mu, _NEVER)[:, None]
    top = theta.max(3)
    some = top > _NEVER / 2
    logs = np.where(some, top + np.log(np.exp(theta - top[..., None]).sum(3)), _NEVER)
    shift = np.where(some.any(2), logs.max(2), 0)
    return (p1 * lam).sum((1, 2)) + (p2 * mu).sum((1, 2)) - (p1.sum(2) * shift).sum(1)


def _exact(*tensors):
    return (x.detach().numpy().astype(np.longdouble) for x in tensors)


def enclosure(joint, q, lam, mu):
    """Upper and lower bound on min f in nats, (b,) each."""
    p, q, lam, mu = _exact(joint, q, lam, mu)
    p = p / p.sum((1, 2, 3), keepdims=True)
    p1, p2 = p.sum(2), p.sum(1)
    return _cost(_moved(q, p1, p2)), _dual(lam, mu, p1, p2)


def atoms(joint, f):
    """R, U1, U2 and S (b, 4) for a value of min f, and I1, I2 and I12 (b, 3), in bits."""
    (p,) = _exact(joint)
    p = p / p.sum((1, 2, 3), keepdims=True)
    p1, p2 = p.sum(2), p.sum(1)
    label, own = _entropy(p1.sum(1), 1), _cost(p)
    first = _entropy(p1.sum(2), 1) + label - _entropy(p1, (1, 2))
    second = _entropy(p2.sum(2), 1) + label - _entropy(p2, (1, 2))
    f = np.minimum(f, own)  # p itself is a q
    parts = np.stack([first + second - label - f, label + f - second, label + f - first, own - f], -1)
    return parts / LN2, np.stack([first, second, own + label], -1) / LN2
