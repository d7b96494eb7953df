"""One sentence that says what a run shows: which modality leads or lags, how sure that is, and what happens next.

A pure function of the rows; the board, the report and the static picture say the same.
"""

from dataclasses import replace

from mmpid.plots.story import stage_one, stage_two
from mmpid.plots.story.view import Headline, View
from mmpid.runs.record import as_record

# the first that holds
SITUATIONS = (
    stage_one.no_probe,
    stage_two.switched,
    stage_two.joint,
    stage_one.early,
    stage_one.unreadable,
    stage_one.nothing,
    stage_one.paused,
    stage_one.many,
)


def headline(run, *, failure: str = "", auto: bool = True) -> Headline:
    """Return the sentence for a run, with its evidence and what comes next.

    Parameters
    ----------
    run
        A `mmpid.RunRecord`, a trainer, or the folder of a run; only the rows on the current path count.
    failure : str
        What stopped the training, if anything did, as "ErrorType: message".
    auto : bool
        Whether the controller decides; otherwise the user does.

    Returns
    -------
    Headline

    Notes
    -----
    The sentence never says more than `mmpid.diagnose` does, and it never names a cause: a single run cannot prove one.
    A lead counts if the difference between two unique informations is above its noise, treating their errors as
    independent.

    Examples
    --------
    >>> from mmpid import RunRecord
    >>> headline(RunRecord({"modalities": ["audio", "image"]})).sentence
    'Which encoder will lead, audio or image?'
    """
    record = as_record(run)
    return headline_of(record.lineage(), record.metadata, failure=failure, auto=auto)


def headline_of(path, metadata, *, failure: str = "", auto: bool = True) -> Headline:
    """Return the headline of the rows on a path, for example of those up to an epoch."""
    view = View(path, metadata, auto)
    if failure:
        return stage_two.failed(view, failure)
    if view.result is not None:
        return stage_two.finished(view)
    found = next(filter(None, (situation(view) for situation in SITUATIONS)), None) or stage_one.lead(view)
    return replace(found, epoch=view.epoch, samples=view.probe.get("n_samples"))
