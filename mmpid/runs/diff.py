"""What differs between two runs? Their metadata, entry by entry."""

from mmpid.runs.record import WALL_CLOCK, RunRecord, as_record, flatten


def diff(run_a: RunRecord, run_b: RunRecord):
    """Return what went into two runs differently: a pandas table with one row per entry of the metadata.

    Parameters
    ----------
    run_a, run_b : RunRecord
        Two records; Their metadata hold data, model, settings, controller, seed, device and versions.

    Returns
    -------
    pandas.DataFrame
        Index: dotted names of entries; columns "a" and "b". Empty when the runs had the same input.

    Notes
    -----
    Times of day are left out. Two runs with the same metadata on the same CPU have the same rows.

    Examples
    --------
    >>> a = RunRecord({"seed": 0, "settings": {"lr": 0.02, "epochs": 30}})
    >>> b = RunRecord({"seed": 0, "settings": {"lr": 0.01, "epochs": 30}})
    >>> diff(a, b).loc["settings.lr"].tolist()
    [0.02, 0.01]
    """
    import pandas as pd

    runs = as_record(run_a, "run_a"), as_record(run_b, "run_b")
    one, two = (dict(flatten(run.metadata, skip=WALL_CLOCK)) for run in runs)
    missing = "(absent)"
    rows = {
        key: (one.get(key, missing), two.get(key, missing))
        for key in sorted(one.keys() | two.keys())
        if one.get(key, missing) != two.get(key, missing)
    }
    frame = pd.DataFrame.from_dict(rows, orient="index", columns=["a", "b"])
    frame.index.name = "entry"
    return frame
