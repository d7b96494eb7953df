"""One probe: what do the encoders know now? Embeddings of held-out samples, decomposed, as a row of the record."""

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from math import prod
from typing import Any

import torch
from torch import Tensor

from mmpid.datasets import MultimodalData, Split
from mmpid.ecs import ProxyEvidence, measure
from mmpid.errors import InputError, SmallSampleWarning, warn
from mmpid.estimate import estimate_row
from mmpid.estimate.inputs import MIN_SAMPLES
from mmpid.estimate.kmeans import auto_clusters
from mmpid.estimate.multi import MAX_MODALITIES
from mmpid.estimate.pipeline import HELD_OUT
from mmpid.models import LateFusion
from mmpid.train.config import TrainConfig
from mmpid.train.evaluation import Evaluation, evaluate
from mmpid.train.observable import Codebook, make_codebooks
from mmpid.train.probe_time import LONG, ProbeProgress, announcement, expected_seconds, shown
from mmpid.train.released import released_atoms

CLUSTERED = ("kmeans", "posterior")  # observables whose number of codes is `n_clusters`
ONE_GROUP = (
    "the {split!r} split holds one group, so there are no groups to resample: intervals and null bands take its {n} "
    "samples as independent of each other, are too narrow, and hold for that group alone. Put 20 groups or more into "
    "the split, or name finer ones: recordings instead of subjects."
)
ONE_GROUP_A_CLASS = (
    "in the {split!r} split most classes lie in one group each, and a class cannot be predicted while its only group "
    "is held out. So probes hold out samples instead of groups: intervals take the {n} samples as independent of each "
    "other, are too narrow, and hold for these groups alone. Put several groups of each class into the split, or name "
    "finer ones."
)


class Prober:
    """Measures information and competitive strength on one fixed set of samples.

    It keeps the codebooks of the last probe, so that the next one starts from them and traces do not jump, unless
    `codebooks` is "fresh".
    """

    def __init__(self, data: MultimodalData, config: TrainConfig, seed: int, device: torch.device):
        self.modalities = data.modalities
        if len(self.modalities) > MAX_MODALITIES:
            raise InputError(
                f"a Trainer decomposes two to {MAX_MODALITIES} modalities; the data have {len(self.modalities)}: "
                f"{', '.join(self.modalities)}. Leave some out, or combine those that belong together."
            )
        self.config, self.seed = config, seed
        if config.pid_method == "released" and (len(self.modalities) > 2 or config.observable != "kmeans"):
            raise InputError(
                f"`pid_method` 'released' takes two modalities and observable='kmeans', as the paper's script does; it "
                f"had {len(self.modalities)} and {config.observable!r}. Use pid_method='exact'."
            )
        self.split = _probe_split(data, config, seed, device)
        self.n_classes, self.n_groups = data.n_classes, _count_groups(self.split)
        _check_split(self.split, config, data)
        self.groups = self._usable_groups()
        self.samples = ProxyEvidence(target=self.split.target, inputs=self.split.inputs, n_classes=data.n_classes)
        self.codebooks = self._codebooks()
        self.progress: ProbeProgress | None = None
        self.expected: float | None = None

    def _usable_groups(self) -> Tensor | None:
        """Return the groups of the samples; None, with a warning, where they allow no estimate."""
        config, problem, groups = self.config, "", self.split.groups
        if self.n_groups == 1 and (config.n_boot or config.n_null or config.estimator == HELD_OUT):
            problem = ONE_GROUP
        elif groups is not None and self.n_groups > 1 and config.estimator == HELD_OUT:
            problem = ONE_GROUP_A_CLASS if _share_alone(self.split.target, groups) > 0.5 else ""
        if problem:
            warn(problem.format(split=config.probe_split, n=len(self.split)), SmallSampleWarning)
        return None if problem or self.n_groups < 2 else groups

    def _codebooks(self) -> dict[str, Codebook]:
        """Return codebooks that nothing was fitted to yet."""
        return make_codebooks(self.config, self.modalities, len(self.split), self.n_classes, self.seed)

    def measure(self, model: LateFusion) -> dict:
        """Return the fields of a probe row: atoms with their uncertainty, and proxies, all on held-out samples."""
        start = time.perf_counter()
        seen = evaluate(model, self.split, precision=self.config.precision)
        with self._announced():
            atoms = self._decompose(seen)
        row = {"split": self.config.probe_split, **atoms, **self._proxies(model, seen)}
        row |= {"n_groups": self.n_groups} if self.n_groups else {}
        return row | {"seconds": round(time.perf_counter() - start, 4)}

    @contextmanager
    def _announced(self) -> Iterator[None]:
        """Say before a long decomposition how long it takes, by the last one if there was one; show its progress."""
        size = len(self.split), self.n_classes
        if self.expected is None:
            self.expected = expected_seconds(self.config, *size, len(self.modalities))
        if self.expected < LONG:
            yield
            return
        self.progress = progress = ProbeProgress(self.expected)
        try:
            with shown(progress, announcement(self.config, self.expected, *size)):
                yield
            self.expected = progress.elapsed
        finally:
            self.progress = None

    def _decompose(self, seen: Evaluation) -> dict:
        """Return the atoms: of the pair, or of each modality against the rest and of each pair."""
        config = self.config
        if config.codebooks == "fresh":
            self.codebooks = self._codebooks()
        table = seen.embeddings if config.observable == "kmeans" else seen.logits
        sources = {name: table[name] for name in self.modalities}
        released = config.pid_method == "released"
        row = estimate_row(
            sources, seen.target, discretizer=self.codebooks or config.observable, n_clusters=config.n_clusters,
            n_components=config.n_components, correction=config.correction, n_boot=config.n_boot, n_null=config.n_null,
            n_classes=self.n_classes, method="exact" if released else config.pid_method, seed=self.seed,
            groups=self.groups, estimator=config.estimator,
        )  # fmt: skip
        return self._as_released(row, sources, seen.target) if released else row

    def _as_released(self, row: dict[str, Any], sources: Mapping[str, Tensor], target: Tensor) -> dict[str, Any]:
        """Return a row with the atoms of the paper's script; "gap" is their largest distance to the exact ones."""
        codes = [self.codebooks[name].transform(x) for name, x in sources.items()]
        shape = (*(self.codebooks[name].n_codes for name in sources), self.n_classes)
        flat = (codes[0] * shape[1] + codes[1]) * shape[2] + target
        joint = torch.bincount(flat, minlength=prod(shape)).view(shape).double() / len(flat)
        atoms = released_atoms(joint.cpu())
        gap = row["gap"] + max(abs(atoms[name] - row[f"{name}_plugin"]) for name in atoms)
        return {**row, **atoms, **{f"{name}_plugin": x for name, x in atoms.items()}, "gap": gap}

    def _proxies(self, model: LateFusion, seen: Evaluation) -> dict:
        """Return ecs.<proxy>.<modality> and ecs.<proxy>.<modality>.<class>."""
        names = self.modalities
        logits = {name: seen.logits[name] for name in names}
        evidence = self.samples.seen(unimodal_logits=logits, embeddings=seen.embeddings, model=model)
        row = {}
        for result in measure(self.config.ecs, evidence):
            for name in names:
                row[f"ecs.{result.name}.{name}"] = _plain(result.by_modality[name])
                if result.by_class:
                    for k, value in enumerate(result.by_class[name].tolist()):
                        row[f"ecs.{result.name}.{name}.{k}"] = _plain(value)
        return row

    def state_dict(self) -> dict[str, Any]:
        """Return the codebooks by number, those that have been fitted."""
        states = {str(i): book.state_dict() for i, book in enumerate(self.codebooks.values())}
        return {number: state for number, state in states.items() if state}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Load :meth:`state_dict`; without any codebook, forget those there are."""
        if self.codebooks and not state:
            self.codebooks = self._codebooks()
        for number, book in enumerate(self.codebooks.values()):
            if str(number) in state:
                book.load_state_dict(state[str(number)])


def _probe_split(data: MultimodalData, config: TrainConfig, seed: int, device: torch.device) -> Split:
    """Return the samples of the probe, in memory on the device: the whole split, or a fixed random part of it."""
    split = data.split(config.probe_split)
    limit = config.probe_samples
    if limit and limit < len(split):
        order = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))
        keep = order[:limit].sort().values if config.probe_order == "random" else torch.arange(limit)
        split = split.subset(keep)
    split = split.in_memory()
    inputs = {name: x.to(device) for name, x in split.inputs.items()}
    return Split(name=split.name, inputs=inputs, target=split.target.to(device), groups=split.groups)


def _count_codes(config: TrainConfig, n_samples: int, n_classes: int) -> int:
    """Return how many codes an embedding can have: clusters, or predicted classes."""
    if config.observable not in CLUSTERED:
        return n_classes
    return auto_clusters(n_samples, n_classes) if isinstance(config.n_clusters, str) else config.n_clusters


def _check_split(split: Split, config: TrainConfig, data: MultimodalData) -> None:
    """Refuse samples on which no information can be measured: of one class, or fewer than codes."""
    name = "the probe split" if config.probe_split == "probe" else f"the probe split (probe_split={split.name!r})"
    n, whole = len(split), len(data.splits[config.probe_split])
    taken = f", of which probe_samples={config.probe_samples} leaves {n}" if n < whole else ""
    classes = split.target.unique().tolist()
    if len(classes) < 2:
        raise InputError(
            f"{name} must hold samples of two classes or more, because a probe measures information about the class; "
            f"its {whole} samples{taken} are all of class {data.class_names[classes[0]]!r}. Cut the splits class "
            f"by class, as split=None does, or try "
            f"probe_split={'validation' if config.probe_split == 'probe' else 'probe'!r}."
        )
    codes = _count_codes(config, n, data.n_classes)
    if n < max(codes, MIN_SAMPLES):
        kind = "cluster (`n_clusters`)" if config.observable in CLUSTERED else "class"
        reason = f", one for each {kind}" if codes >= MIN_SAMPLES else ""
        fewer = ", fewer clusters (n_clusters=), observable='prediction'" if config.observable in CLUSTERED else ""
        raise InputError(
            f"{name} must have at least {max(codes, MIN_SAMPLES)} samples{reason}; it has {whole}{taken}. Use a larger "
            f"probe split{fewer}, or "
            f"all its samples (probe_samples=0)."
        )


def _count_groups(split: Split) -> int:
    """Return how many groups the samples form; 0 where they have none."""
    return 0 if split.groups is None else len(split.groups.unique())


def _share_alone(target: Tensor, groups: Tensor) -> float:
    """Return the share of the samples whose class lies in one group."""
    labels = target.cpu()
    pairs = torch.stack([labels, groups.cpu()]).unique(dim=1)
    return float((torch.bincount(pairs[0])[labels] == 1).double().mean())


def _plain(value: float) -> float | None:
    """Return a JSON number; a class without samples has none."""
    value = float(value)
    return value if value == value else None
