"""Which runs a study has: one cell for each seed, data set, method and setting."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from mmpid.studies.cell import Cell
from mmpid.studies.recipes import Recipe
from mmpid.studies.sources import Source, fingerprint
from mmpid.studies.store import Study

Pair = tuple[str, str]  # the names of a data set and of a training


@dataclass(frozen=True)
class Layout:
    """What the runs of a study are made of, except for what is tuned.

    Attributes
    ----------
    study : Study
        Where they are kept.
    trainings : mapping of str to Recipe
        The methods, one per training.
    sources : mapping of str to Source
        The data sets.
    seeds : list of int
        Seeds of data, weights and order.
    shared : dict
        Settings of all runs.
    model, device, keep
        As in :class:`~mmpid.studies.cell.Cell`.
    """

    study: Study
    trainings: Mapping[str, Recipe]
    sources: Mapping[str, Source]
    seeds: list[int]
    shared: dict[str, Any]
    model: Any
    device: str
    keep: bool

    @property
    def pairs(self) -> list[Pair]:
        """Every method on every data set."""
        return [(data, training) for data in self.sources for training in self.trainings]

    @cached_property
    def fingerprints(self) -> dict[tuple[str, int], str]:
        """Fingerprint of the data of each seed, as the study knows them."""
        found = {}
        for seed in self.seeds:
            for name, source in self.sources.items():
                found[name, seed] = fingerprint(source, seed)
                self.study.know(name, seed, found[name, seed])
        return found

    def cells(self, settings: Callable[[Pair], list[dict[str, Any]]]) -> list[Cell]:
        """Return a run for each seed and setting of each pair: seeds first, so that a stopped study has whole seeds."""
        return [
            self._cell(pair, setting, seed) for seed in self.seeds for pair in self.pairs for setting in settings(pair)
        ]

    def _cell(self, pair: Pair, setting: dict[str, Any], seed: int) -> Cell:
        data, training = pair
        place = self.study.place(data, training, setting, seed).absolute()
        return Cell(
            place, self.trainings[training], self.sources[data], seed, setting, self.shared, self.model, self.device,
            self.fingerprints[data, seed], self.keep,
        )  # fmt: skip

    def entry(self, cell: Cell) -> dict[str, Any]:
        """Return what the study notes of a run before it is trained."""
        return {
            "folder": str(cell.folder.relative_to(self.study.folder.absolute())), "data": cell.source.name,
            "method": cell.recipe.training, "setting": cell.setting, "seed": cell.seed,
        }  # fmt: skip
