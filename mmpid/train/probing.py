"""One probe: what do the encoders know now? Embeddings of held-out samples, decomposed, as a row of the record."""

import time

import torch
from torch import Tensor

from mmpid.datasets import MultimodalData, Split
from mmpid.ecs import ProxyEvidence, measure
from mmpid.errors import InputError
from mmpid.estimate import KMeansDiscretizer, estimate_pid
from mmpid.estimate.kmeans import auto_clusters
from mmpid.models import LateFusion
from mmpid.train.config import TrainConfig
from mmpid.train.engine import Evaluation, evaluate


class Prober:
    """Measures information and competitive strength on one fixed set of samples.

    It keeps the k-means codebooks of the last probe, so that the next one starts from them and traces do not jump.
    """

    def __init__(self, data: MultimodalData, config: TrainConfig, seed: int):
        if len(data.modalities) != 2:
            raise InputError(
                f"a Trainer decomposes two modalities; the data have {len(data.modalities)}: "
                f"{', '.join(data.modalities)}. Choose two of them, or use mmpid.estimate_pid_multi on embeddings."
            )
        self.config, self.seed = config, seed
        self.split = _probe_split(data, config, seed)
        self.n_classes = data.n_classes
        self.codebooks = self._codebooks() if config.observable == "kmeans" else ()

    def _codebooks(self) -> tuple[KMeansDiscretizer, KMeansDiscretizer]:
        """Return one k-means codebook a modality; refuse a split that is smaller than its clusters."""
        n = self.config.n_clusters
        n = auto_clusters(len(self.split), self.n_classes) if n == "auto" else n
        if len(self.split) < n:
            raise InputError(
                f"the {self.config.probe_split!r} split must have at least `n_clusters` = {n} samples; it has "
                f"{len(self.split)}. Use fewer clusters, a larger split, or observable='prediction'."
            )
        return tuple(KMeansDiscretizer(n, n_components=self.config.n_components, seed=self.seed + i) for i in range(2))

    def measure(self, model: LateFusion) -> dict:
        """Return the fields of a probe row: atoms with their uncertainty, and proxies, all on held-out samples."""
        start = time.perf_counter()
        seen = evaluate(model, self.split)
        config = self.config
        estimate = estimate_pid(
            *self._sources(seen),
            seen.target,
            discretizer=self.codebooks or config.observable,
            n_clusters=config.n_clusters,
            correction=config.correction,
            n_boot=config.n_boot,
            n_null=config.n_null,
            n_classes=self.n_classes,
            method=config.pid_method,
            seed=self.seed,
            warn=False,
        )
        row = {"split": config.probe_split, **estimate.to_row(), **self._proxies(model, seen)}
        return row | {"seconds": round(time.perf_counter() - start, 4)}

    def _sources(self, seen: Evaluation) -> list[Tensor]:
        """Return what is decomposed: embeddings for k-means, otherwise logits."""
        table = seen.embeddings if self.config.observable == "kmeans" else seen.logits
        return [table[name] for name in list(seen.embeddings)]

    def _proxies(self, model: LateFusion, seen: Evaluation) -> dict:
        """Return ecs.<proxy>.<modality> and ecs.<proxy>.<modality>.<class>."""
        names = list(seen.embeddings)
        evidence = ProxyEvidence(
            target=seen.target,
            unimodal_logits={name: seen.logits[name] for name in names},
            embeddings=seen.embeddings,
            model=model,
            inputs=self.split.inputs,
            n_classes=self.n_classes,
        )
        row = {}
        for result in measure(self.config.ecs, evidence):
            for name in names:
                row[f"ecs.{result.name}.{name}"] = _plain(result.by_modality[name])
                if result.by_class:
                    for k, value in enumerate(result.by_class[name].tolist()):
                        row[f"ecs.{result.name}.{name}.{k}"] = _plain(value)
        return row

    def state_tensors(self) -> dict[str, Tensor]:
        """Return the codebooks as tensors `index.name`."""
        return {f"{i}.{k}": t for i, book in enumerate(self.codebooks) for k, t in book.state_dict().items()}

    def load_state_tensors(self, tensors: dict[str, Tensor]) -> None:
        """Load what :meth:`state_tensors` returned; without any, forget the codebooks."""
        if self.codebooks and not tensors:
            self.codebooks = self._codebooks()
        for i, book in enumerate(self.codebooks):
            own = {key.split(".", 1)[1]: t for key, t in tensors.items() if key.startswith(f"{i}.")}
            if own:
                book.load_state_dict(own)


def _probe_split(data: MultimodalData, config: TrainConfig, seed: int) -> Split:
    """Return the samples of the probe: the whole split, or a fixed random part of it."""
    split = data.split(config.probe_split)
    limit = config.probe_samples
    if not limit or limit >= len(split):
        return split
    keep = torch.randperm(len(split), generator=torch.Generator().manual_seed(seed))[:limit].sort().values
    keep = keep.to(split.target.device)
    inputs = {name: x[keep] for name, x in split.inputs.items()}
    return Split(name=split.name, inputs=inputs, target=split.target[keep])


def _plain(value: float) -> float | None:
    """Return a JSON number; a class without samples has none."""
    value = float(value)
    return value if value == value else None
