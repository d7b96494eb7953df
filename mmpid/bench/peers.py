"""Other solvers of the same problem, each as a function from a joint to min f in nats; imported when called."""

import importlib.util
from typing import Any, cast

import numpy as np


def _support(joint: np.ndarray):
    """Cells (i, j, y) that can hold mass, and the row of each marginal constraint."""
    p1, p2 = joint.sum(1), joint.sum(0)
    i, j, y = np.nonzero((p1[:, None, :] > 0) & (p2[None, :, :] > 0))
    row1, row2 = np.cumsum(p1 > 0).reshape(p1.shape) - 1, np.cumsum(p2 > 0).reshape(p2.shape) - 1
    values = np.concatenate([p1[p1 > 0], p2[p2 > 0]])
    return (i, j, y), (row1[i, y], row2[j, y] + int((p1 > 0).sum())), values


def sparse_program(joint: np.ndarray, tol: float = 1e-9) -> float:
    """Return min f by Clarabel, called directly on one exponential cone per cell (i, j, y) and one row per cell (i, j).

    Variables are q and t over the cells (i, j, y) and m over the cells (i, j), with m = sum_y q and
    t >= q log(q / m), that is (-t, q, m) in the exponential cone; the number of nonzeros is linear in the cells.
    """
    import clarabel as compiled
    from scipy import sparse

    clarabel = cast(Any, compiled)  # it has no stubs
    (i, j, _), (row1, row2), values = _support(joint)
    n, scale = len(i), float(len(i))
    cells, cell = np.unique(i * joint.shape[1] + j, return_inverse=True)
    c, n_cells, n_rows = np.arange(n), len(cells), len(values)
    first, total = n_rows + n_cells, 2 * n + n_cells
    blocks = [  # row, column, value of the nonzeros
        (row1, c, 1.0), (row2, c, 1.0), (n_rows + cell, c, 1.0),
        (n_rows + np.arange(n_cells), 2 * n + np.arange(n_cells), -1.0),
        (first + 3 * c, n + c, 1.0), (first + 3 * c + 1, c, -1.0), (first + 3 * c + 2, 2 * n + cell, -1.0),
    ]  # fmt: skip
    rows, columns = (np.concatenate([block[k] for block in blocks]) for k in (0, 1))
    entries = np.concatenate([np.full(len(block[0]), block[2]) for block in blocks])
    matrix = sparse.csc_matrix((entries, (rows, columns)), shape=(first + 3 * n, total))
    right = np.concatenate([values * scale, np.zeros(n_cells + 3 * n)])
    cost = np.concatenate([np.zeros(n), np.ones(n), np.zeros(n_cells)])
    settings = clarabel.DefaultSettings()
    settings.verbose, settings.max_threads = False, 1
    settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = tol
    cones = [clarabel.ZeroConeT(first), *[clarabel.ExponentialConeT()] * n]
    solver = clarabel.DefaultSolver(sparse.csc_matrix((total, total)), cost, matrix, right, cones, settings)
    return solver.solve().obj_val / scale


def ecos_program(joint: np.ndarray, tol: float = 1e-8) -> float:
    """Return min f by ECOS, called directly on the program of `sparse_program`, at its default tolerances."""
    import ecos
    from scipy import sparse

    (i, j, _), (row1, row2), values = _support(joint)
    n, scale = len(i), float(len(i))
    _, cell = np.unique(i * joint.shape[1] + j, return_inverse=True)
    c, n_cells = np.arange(n), int(cell.max()) + 1
    total = 2 * n + n_cells
    rows = np.concatenate([row1, row2, len(values) + cell, len(values) + np.arange(n_cells)])
    columns = np.concatenate([c, c, c, 2 * n + np.arange(n_cells)])
    entries = np.concatenate([np.ones(3 * n), -np.ones(n_cells)])
    equal = sparse.csc_matrix((entries, (rows, columns)), shape=(len(values) + n_cells, total))
    # (-t, m, q) in the closure of {(x, y, z): exp(x / z) <= y / z, z > 0}
    rows, columns = np.concatenate([3 * c, 3 * c + 1, 3 * c + 2]), np.concatenate([n + c, 2 * n + cell, c])
    cone = sparse.csc_matrix((np.concatenate([np.ones(n), -np.ones(2 * n)]), (rows, columns)), shape=(3 * n, total))
    cost = np.concatenate([np.zeros(n), np.ones(n), np.zeros(n_cells)])
    right = np.concatenate([values * scale, np.zeros(n_cells)])
    dims = {"l": 0, "q": [], "e": n}
    found = ecos.solve(
        cost,
        cone,
        np.zeros(3 * n),
        dims,
        equal,
        right,
        verbose=False,
        abstol=tol,
        reltol=tol,
        feastol=tol,
        max_iters=200,
    )
    return found["info"]["pcost"] / scale


def cvxpy_model(joint: np.ndarray) -> float:
    """Return min f by a cvxpy model with relative entropies, forced to use CLARABEL."""
    import cvxpy

    (i, j, _), (row1, row2), values = _support(joint)
    n, scale = len(i), float(len(i))
    from scipy import sparse

    _, cell = np.unique(i * joint.shape[1] + j, return_inverse=True)
    member = sparse.csr_matrix((np.ones(n), (cell, np.arange(n))))
    rows = np.concatenate([row1, row2])
    marginal = sparse.csr_matrix((np.ones(2 * n), (rows, np.tile(np.arange(n), 2))), shape=(len(values), n))
    q = cvxpy.Variable(n)
    goal = cvxpy.Minimize(cvxpy.sum(cvxpy.rel_entr(q, member.T @ (member @ q))))
    problem = cvxpy.Problem(goal, [cast(Any, marginal @ q == values * scale)])
    return cast(float, problem.solve(solver=cvxpy.CLARABEL, max_threads=1)) / scale


def dit_cone(joint: np.ndarray) -> float:
    """Return min f by dit's PID_BROJA with method='cone', recovered from its redundancy."""
    import dit
    from dit.pid import PID_BROJA

    outcomes = list(zip(*np.nonzero(joint), strict=True))
    distribution = dit.Distribution([tuple(map(int, o)) for o in outcomes], joint[joint > 0])
    atoms = PID_BROJA(distribution, [[0], [1]], [2], method="cone")
    redundancy = float(atoms.get_pi(((0,), (1,))))
    p_y = joint.sum((0, 1))
    own = [_mutual_information(joint.sum(1)), _mutual_information(joint.sum(0))]
    entropy = -np.sum(p_y[p_y > 0] * np.log(p_y[p_y > 0]))
    return own[0] + own[1] - redundancy * np.log(2) - entropy


def _mutual_information(p: np.ndarray) -> float:
    outer = p.sum(1, keepdims=True) * p.sum(0, keepdims=True)
    return float(np.sum(p[p > 0] * np.log(p[p > 0] / outer[p > 0])))


PEERS = {
    "clarabel sparse program": (sparse_program, ("clarabel", "scipy")),
    "ecos sparse program": (ecos_program, ("ecos", "scipy")),
    "cvxpy + CLARABEL": (cvxpy_model, ("cvxpy", "clarabel", "scipy")),
    "dit method='cone'": (dit_cone, ("dit", "ecos")),
}


def missing(name: str) -> list[str]:
    """Return the missing packages that a peer needs."""
    return [package for package in PEERS[name][1] if importlib.util.find_spec(package) is None]
