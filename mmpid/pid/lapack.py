"""The routines of LAPACK that small systems need, with types: called directly, they cost a tenth of their wrappers."""

from typing import cast

from scipy.linalg import lapack  # pyright: ignore[reportMissingTypeStubs]

from mmpid.pid.pattern import Floats

_dpotrf, _dpotrs, _dtrtri = lapack.dpotrf, lapack.dpotrs, lapack.dtrtri  # pyright: ignore[reportAttributeAccessIssue, reportUnknownMemberType, reportUnknownVariableType]


def factor(matrix: Floats) -> tuple[Floats, int]:
    """Return the lower Cholesky factor, garbage above the diagonal, and 0 where that worked."""
    return cast("tuple[Floats, int]", _dpotrf(matrix, lower=1, clean=0))


def solve_factored(lower: Floats, right: Floats) -> Floats:
    """Solve a system given its factor."""
    return cast("Floats", _dpotrs(lower, right, lower=1)[0])


def inverse_of_lower(lower: Floats) -> Floats:
    """Invert a lower triangle."""
    return cast("Floats", _dtrtri(lower, lower=1)[0])
