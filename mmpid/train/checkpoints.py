"""The checkpoints of a run on its present path: kept at probes, found by epoch."""

from mmpid.errors import CheckpointError
from mmpid.rules.controller import BalanceController
from mmpid.runs.checkpoint import CheckpointStore
from mmpid.runs.record import RunRecord
from mmpid.runs.state import State

Key = tuple[int, int]  # segment and epoch


class Checkpoints:
    """Finds the states of the present path among all that are stored."""

    def __init__(self, store: CheckpointStore):
        self.store = store

    def keep(self, key: Key, state: State, record: RunRecord, controller: BalanceController) -> None:
        """Keep a state as the checkpoint of its epoch; never drop the one that a rewind would want."""
        best = controller.best(record)
        wanted = [key for epoch, key in self.on_path(record) if best and epoch == best.epoch]
        self.store.add(key, state, keep=wanted)

    def on_path(self, record: RunRecord) -> list[tuple[int, Key]]:
        """Return (epoch, key) of the checkpoints on the present path."""
        keys = [(row["segment"], row["epoch"]) for row in record.lineage("probe")]
        return [(key[1], key) for key in dict.fromkeys(keys) if key in self.store]

    def epochs(self, record: RunRecord) -> list[int]:
        """Return the epochs of the present path that have a checkpoint."""
        return sorted({epoch for epoch, _ in self.on_path(record)})

    def find(self, epoch: int, record: RunRecord) -> State:
        """Return the state at the probe of an epoch on the present path."""
        found = dict(self.on_path(record))
        if epoch not in found:
            raise CheckpointError(
                f"there is no checkpoint of epoch {epoch} on the present path; there are checkpoints of epochs "
                f"{', '.join(map(str, sorted(found))) or 'none'}. Each probe makes one."
            )
        return self.store.get(found[epoch])

    def nearest(self, wanted: int, record: RunRecord) -> int | None:
        """Return the epoch nearest to the wanted one whose state can be read, the later of two; None without any."""
        for epoch in sorted(self.epochs(record), key=lambda epoch: (abs(epoch - wanted), -epoch)):
            try:
                self.find(epoch, record)
            except CheckpointError:
                continue
            return epoch
        return None

    def copy_from(self, other: "Checkpoints", record: RunRecord) -> None:
        """Hold what another run keeps of the common path, so that a switch can go back there."""
        for _, key in other.on_path(record):
            try:
                self.store.add(key, other.store.get(key))
            except CheckpointError:
                continue
