"""The built-in give-up rule: where no modality learns anything alone, stage 1 has nothing to hand over."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import inf, isfinite

from mmpid import _validate
from mmpid.rules.base import GiveUpRule
from mmpid.rules.decision import Decision
from mmpid.runs.probe import Probe, one_per_epoch
from mmpid.runs.record import RunRecord

BELOW = 0.01  # share of the loss of class frequencies by which a loss must be lower to count as knowledge
FALLING = 0.001  # the same for the fall of a loss over the probes that are looked at


@dataclass(frozen=True, kw_only=True)
class NothingLearned(GiveUpRule):
    """Give up stage 1 after several probes in a row in which no modality knows the label alone.

    Joint training then starts from the untrained encoders, from scratch.

    Parameters
    ----------
    probes : int
        Number of probes in a row; that of the untrained network does not count.

    Notes
    -----
    Where the target needs several modalities at once, stage 1 has nothing to teach, and its encoders are a worse start
    than untrained ones. In each of the probes every modality must train, and neither redundancy nor
    any unique information may be proven (with ``estimator="counted"``: all must lie within what shuffled labels give,
    which must have been measured, see `n_null`). In addition, no unimodal validation loss may ever have been below
    that of the class frequencies (``metadata["data"]["prior_loss"]``), or still be falling.
    """

    probes: int = 5

    def __post_init__(self):
        super().__post_init__()
        _validate.number(self.probes, "probes", low=1, integer=True)

    def decide(self, record: RunRecord) -> Decision | None:
        """Start joint training from scratch where stage 1 has nothing to teach, or return None."""
        last = nothing_to_teach(record, self.probes)
        if last is None:
            return None
        shared = last.redundancy.value or 0.0
        own = ", ".join(f"{name} {atom.value or 0.0:z.2f}" for name, atom in last.unique.items())
        bar = "none of it proven" if last.is_held_out else "within what shuffled labels give"
        return Decision(
            action="switch",
            reason=(
                f"no modality knows the label alone: redundancy {shared:z.2f} bit and unique information {own}, "
                f"{bar} for {self.probes} probes in a row, and no validation loss is below that of "
                "the class frequencies, so joint training starts from scratch: a random joint head, the full learning "
                "rate"
            ),
            epoch=last.epoch,
            rule="give_up_after",
            rewind_to=0,
            from_scratch=True,
            values={"probes": self.probes, "redundancy": last.redundancy.value},
        )


def nothing_to_teach(record: RunRecord, n_probes: int) -> Probe | None:
    """Return the latest probe if the last ones of stage 1 and all its epochs found nothing that a modality knows alone.

    Parameters
    ----------
    record : RunRecord
        A run in stage 1.
    n_probes : int
        How many probes in a row must have found nothing; that of the untrained network does not count.

    Returns
    -------
    Probe or None
        None also where something of the evidence was not measured.
    """
    names = record.metadata.get("modalities", ())
    probes = [probe for probe in one_per_epoch(record.probes("unimodal")) if probe.epoch][-n_probes:]
    if not names or len(probes) < n_probes or not all(map(_finds_nothing, probes)):
        return None
    prior, epochs = record.metadata.get("data", {}).get("prior_loss"), record.lineage("epoch", stage="unimodal")
    if prior is None or any(_learns(_losses(epochs, name), probes[0].epoch, prior) for name in names):
        return None
    return probes[-1]


def a_loss_tells(record: RunRecord) -> bool:
    """Return whether the validation loss of a modality was once below that of the class frequencies in stage 1.

    Where the probe has few samples, its loss shows what a modality knows long before information is proven.
    """
    prior, epochs = record.metadata.get("data", {}).get("prior_loss"), record.lineage("epoch", stage="unimodal")
    lowest = [min(_losses(epochs, name).values(), default=inf) for name in record.metadata.get("modalities", ())]
    return prior is not None and any(loss < (1 - BELOW) * prior for loss in lowest)


def _finds_nothing(probe: Probe) -> bool:
    """Whether a probe could tell, while every modality trained, that nothing is known."""
    could_tell = probe.is_held_out or probe.redundancy.null_high is not None
    return could_tell and all(probe.active.values()) and probe.knows_nothing


def _losses(epochs: Iterable[Mapping], name: str) -> dict[int, float]:
    """Return the validation loss of a modality by epoch, in nats, where it is a finite number."""
    found = {row["epoch"]: row.get(f"validation_loss.{name}") for row in epochs}
    return {epoch: loss for epoch, loss in found.items() if loss is not None and isfinite(loss)}


def _learns(losses: Mapping[int, float], since: int, prior: float) -> bool:
    """Whether a loss says that something is known, or still being learned; a loss that is not there might."""
    recent = [loss for epoch, loss in losses.items() if epoch >= since]
    if not recent:
        return True
    return min(losses.values()) < (1 - BELOW) * prior or recent[0] - recent[-1] > FALLING * prior
