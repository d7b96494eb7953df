"""What differs between two runs? Their metadata, entry by entry."""

from typing import Any

from mmpid import protocols
from mmpid.protocols import RunProtocol
from mmpid.runs.against_protocol import differences
from mmpid.runs.record import WALL_CLOCK, as_record, flatten


def diff(run_a: Any, run_b: Any):
    """Return what went into two runs differently: a pandas table with one row per entry of the metadata.

    With a protocol in the place of the second run: what a run does otherwise than a published setting.

    Parameters
    ----------
    run_a : RunRecord, Trainer or path
        A run. Its metadata hold data, model, settings, controller, seed, device and versions.
    run_b : RunRecord, Trainer, path, RunProtocol or name of one
        Another run, or a published setting; see `mmpid.protocols.available()`.

    Returns
    -------
    pandas.DataFrame
        Index: dotted names of entries; columns "a" and "b", or "run" and "protocol". Empty when the runs had the same
        input.

    Notes
    -----
    Times of day are left out. Two runs with the same metadata on the same CPU have the same rows. A protocol's entry
    that a run does not record, such as augmentation, is listed with "(not recorded)": it may differ or not.

    Examples
    --------
    >>> from mmpid import RunRecord
    >>> a = RunRecord({"seed": 0, "settings": {"lr": 0.02, "epochs": 30}})
    >>> b = RunRecord({"seed": 0, "settings": {"lr": 0.01, "epochs": 30}})
    >>> diff(a, b).loc["settings.lr"].tolist()
    [0.02, 0.01]
    >>> diff(a, "ogm-ge/cremad").loc["settings.lr"].tolist()
    [0.02, 0.001]
    """
    if isinstance(run_b, RunProtocol) or (isinstance(run_b, str) and run_b in protocols.available()):
        rows = differences(as_record(run_a, "run_a").metadata, protocols.get(run_b))
        return _frame(rows, ["run", "protocol"])
    runs = as_record(run_a, "run_a"), as_record(run_b, "run_b")
    one, two = (dict(flatten(run.metadata, skip=WALL_CLOCK)) for run in runs)
    missing = "(absent)"
    rows = {
        key: (one.get(key, missing), two.get(key, missing))
        for key in sorted(one.keys() | two.keys())
        if one.get(key, missing) != two.get(key, missing)
    }
    return _frame(rows, ["a", "b"])


def _frame(rows: dict[str, tuple[Any, Any]], columns: list[str]):
    import pandas as pd

    frame = pd.DataFrame.from_dict(rows, orient="index", columns=columns)
    frame.index.name = "entry"
    return frame
