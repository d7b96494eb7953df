"""The same samples under several discretizers, side by side."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike
from torch import Tensor

from mmpid.errors import ConfigError
from mmpid.estimate.estimate import estimate_pid
from mmpid.estimate.results import PIDEstimate
from mmpid.estimate.terms import ATOMS

if TYPE_CHECKING:
    from mmpid.estimate.frames import DataFrame

COMPARED = ("kmeans", "prediction", "soft", "posterior")


def compare_discretizers(
    source1: ArrayLike | Tensor,
    source2: ArrayLike | Tensor,
    target: ArrayLike | Tensor,
    discretizers: Sequence[str] | Mapping[str, Any] = COMPARED,
    **settings: Any,
) -> "DataFrame":
    """Estimate the same samples under several discretizers: atoms are those of the codes, and codes lose information.

    Parameters
    ----------
    source1, source2, target
        As in `estimate_pid`.
    discretizers : sequence of str, or mapping of str to str or Discretizer
        Names, or one of your own by the name of its row.
    **settings
        Passed on to `estimate_pid`.

    Returns
    -------
    pandas.DataFrame
        One row per discretizer, indexed by its name: ``codes`` ("10 x 10"), ``total`` (I(Y; X1, X2), bits), and for
        each atom the value, ``_low``, ``_high`` and ``_proven``.

    Raises
    ------
    ConfigError
        If no discretizer is named.
    InputError, ShapeError
        As `estimate_pid`.

    Notes
    -----
    No row is the truth of the embeddings. The redundancy and unique parts of a row with more total are mostly nearer,
    because codes can only lose; synergy needs codes that are not predictions of one source ("kmeans").

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> y = rng.integers(3, size=300)
    >>> z1, z2 = (np.eye(3)[y] + 0.5 * rng.normal(size=(300, 3)) for _ in range(2))
    >>> frame = compare_discretizers(z1, z2, y, ["prediction", "posterior"], warn=False)
    >>> list(frame.index), bool(frame.redundancy_proven.all())
    (['prediction', 'posterior'], True)
    """
    from mmpid.estimate.frames import frame_by_name

    given = discretizers if isinstance(discretizers, Mapping) else {name: name for name in discretizers}
    if not given:
        raise ConfigError(f"`discretizers` must name at least one, such as {COMPARED[0]!r}; it was empty.")
    rows = {
        name: _row(estimate_pid(source1, source2, target, discretizer=discretizer, **settings))
        for name, discretizer in given.items()
    }
    return frame_by_name(rows, "discretizer")


def _row(estimate: PIDEstimate) -> dict[str, object]:
    """Return one estimate as a flat row."""
    n1, n2 = estimate.n_codes
    row: dict[str, object] = {"codes": f"{n1} x {n2}", "total": float(estimate.pid.total)}
    for atom in ATOMS:
        row[atom] = float(getattr(estimate.pid, atom))
        if estimate.interval:
            row[f"{atom}_low"], row[f"{atom}_high"] = estimate.interval[atom]
            row[f"{atom}_proven"] = estimate.proven[atom]
    return row
