"""The guard of stage 1: where no modality learns anything alone, nothing can be handed over to joint training."""

from collections.abc import Iterable, Mapping, Sequence

from mmpid.rules.decision import knows_nothing, one_per_epoch, unique_values

BELOW = 0.01  # share of the loss of class frequencies by which a loss must be lower to count as knowledge
FALLING = 0.001  # the same for the fall of a loss over the probes that are looked at


def nothing_to_teach(record, n_probes: int) -> str | None:
    """Say in words that the last probes of stage 1 and all its epochs found nothing that a modality knows alone.

    Parameters
    ----------
    record : RunRecord
        A run in stage 1.
    n_probes : int
        How many probes in a row must have found nothing; that of the untrained network does not count.

    Returns
    -------
    str or None
        The evidence, if in each of these probes every modality trained, and redundancy and all unique information lay
        within what shuffled labels gave, and the validation loss of no modality was ever lower than that of class
        frequencies, nor fell over these probes. None otherwise, and where one of this was not measured.
    """
    names = record.metadata.get("modalities", ())
    probes = [row for row in one_per_epoch(record.lineage("probe", stage="unimodal")) if row["epoch"]][-n_probes:]
    if not names or len(probes) < n_probes or not all(_finds_nothing(probe, names) for probe in probes):
        return None
    prior, epochs = record.metadata.get("data", {}).get("prior_loss"), record.lineage("epoch", stage="unimodal")
    if prior is None or any(_learns(_losses(epochs, name), probes[0]["epoch"], prior) for name in names):
        return None
    last = probes[-1]
    own = ", ".join(f"{name} {x:z.2f}" for name, x in zip(names, unique_values(last), strict=True))
    return (
        f"no modality knows the label alone: redundancy {last['redundancy']:z.2f} bit and unique information {own}, "
        f"within what shuffled labels give for {n_probes} probes in a row, and no validation loss is below that of "
        "the class frequencies"
    )


def was_overruled(record) -> bool:
    """Whether the user went back after a controller had given stage 1 up; this is often in a discarded future."""
    given_up = False
    for row in record.rows:
        if row["kind"] == "decision":
            given_up = given_up or (row["source"] == "controller" and row.get("from_scratch", False))
            if given_up and row["source"] == "user" and row["action"] == "rewind":
                return True
    return False


def _finds_nothing(probe: Mapping, names: Sequence[str]) -> bool:
    """Whether a probe compared with shuffled labels, while everyone trained, and found nothing."""
    trained = all(probe.get(f"active.{name}", True) for name in names)
    return trained and "redundancy_null_high" in probe and knows_nothing(probe, len(names))


def _losses(epochs: Iterable[Mapping], name: str) -> dict[int, float]:
    """Return the validation loss of a modality by epoch, in nats."""
    return {row["epoch"]: row[f"validation_loss.{name}"] for row in epochs if f"validation_loss.{name}" in row}


def _learns(losses: Mapping[int, float], since: int, prior: float) -> bool:
    """Whether a loss says that something is known, or still being learned; a loss that is not there might."""
    recent = [loss for epoch, loss in losses.items() if epoch >= since]
    if not recent:
        return True
    return min(losses.values()) < (1 - BELOW) * prior or recent[0] - recent[-1] > FALLING * prior
