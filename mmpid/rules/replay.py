"""What would another rule have decided? Asked of a record, without training."""

from mmpid.errors import ConfigError
from mmpid.rules.base import SwitchRule
from mmpid.rules.controller import BalanceController
from mmpid.rules.decision import Decision
from mmpid.runs.record import RunRecord, as_record


def replay(record, rule: SwitchRule | BalanceController) -> list[Decision]:
    """Return what `rule` would have decided after each probe of stage 1, up to and including its switch.

    Parameters
    ----------
    record : RunRecord, Trainer or path
        A recorded run: its record, its trainer, or its folder or file on disk.
    rule : SwitchRule or BalanceController
        The rule to ask; a bare rule gives one decision per probe, a controller also its pauses and resumes.

    Returns
    -------
    list of Decision
        In order; the last one is the "switch" if the rule would have switched within the recorded stage 1.

    Notes
    -----
    The probes are those of the run as it happened. Another rule that pauses a different modality, or switches later,
    would have seen other probes from there on. A replay cannot know them.

    Examples
    --------
    >>> from mmpid import FixedEpoch
    >>> record = RunRecord({"modalities": ["audio", "image"]})
    >>> for epoch in range(4):
    ...     _ = record.append("probe", segment=0, stage="unimodal", epoch=epoch, step=epoch, synergy=0.1)
    >>> [d.action for d in replay(record, FixedEpoch(epoch=2))]
    ['hold', 'hold', 'switch']
    """
    if not isinstance(rule, SwitchRule | BalanceController):
        raise ConfigError(f"`rule` must be a SwitchRule or a BalanceController; it was {rule!r}.")
    path = stage_one(as_record(record))
    decisions: list[Decision] = []
    for n, row in enumerate(path.rows, start=1):
        if row["kind"] != "probe":
            continue
        answer = rule.decide(path.prefix(n))
        decisions += answer if isinstance(answer, list) else [answer]
        if decisions and decisions[-1].action == "switch":
            break
    return decisions


def stage_one(record: RunRecord) -> RunRecord:
    """Return epochs, probes and decisions of the path through stage 1, to its last probe, however the run went on."""
    ends = [i for i, row in enumerate(record.rows) if row["kind"] == "probe" and row["stage"] == "unimodal"]
    path = record.prefix(ends[-1] + 1 if ends else 0).lineage(stage="unimodal")
    rows = [
        {key: x for key, x in row.items() if key not in ("parent", "from_row")} | {"segment": 0}
        for row in path
        if row["kind"] in ("epoch", "probe", "decision")
    ]
    return RunRecord(record.metadata, rows)
