"""What a probe counts where nobody chose it: predicted classes, or codes where the sample is too small for them."""

from dataclasses import replace

from mmpid.datasets import MultimodalData
from mmpid.estimate import KMeansDiscretizer, PosteriorDiscretizer
from mmpid.estimate.kmeans import auto_clusters
from mmpid.train.config import TrainConfig

# Up to FEW classes predicted classes are counted whatever the sample; beyond MANY their tables take too long.
FEW, MANY = 20, 32
FEWEST_CODES, MOST_CODES = 8, 16
Codebook = KMeansDiscretizer | PosteriorDiscretizer

TOO_FEW = (
    "{n:,} samples in the {split!r} split are fewer than two for each of the {k} x {k} pairs of a predicted class and "
    "a class ({needed:,})"
)
TOO_MANY = "the tables of {k} predicted classes take too long to decompose at every probe"
NOTE = (
    "{reason}, so a probe counts {codes} codes per modality: clusters of the class probabilities that each head gives "
    "(observable='posterior'). Codes this coarse tell less than predicted classes: compare probes with each other, "
    "and take no atom as all that there is. To choose yourself, pass observable='prediction' or 'kmeans', "
    "n_clusters= for another number of codes, or data with a larger {split!r} split."
)


def settle(config: TrainConfig, data: MultimodalData) -> tuple[TrainConfig, str]:
    """Replace observable="auto" by what the probe's samples allow; return why, where it is not predicted classes.

    Predicted classes need a table of k x k pairs for R, U1 and U2. It is counted with two samples per pair, or where
    k is at most 20. Otherwise, and from 33 classes on, codes are counted: N / (2k) of them, from 8 to 16.
    """
    if config.observable != "auto":
        return config, ""
    n, k = _probe_size(config, data), data.n_classes
    if k <= FEW or (k <= MANY and n >= 2 * k**2):
        return replace(config, observable="prediction"), ""
    codes = config.n_clusters
    if isinstance(codes, str):
        codes = min(n, max(FEWEST_CODES, min(MOST_CODES, n // (2 * k))))
    reason = (TOO_FEW if n < 2 * k**2 else TOO_MANY).format(n=n, split=config.probe_split, k=k, needed=2 * k**2)
    note = NOTE.format(reason=reason, codes=codes, split=config.probe_split)
    return replace(config, observable="posterior", n_clusters=codes), note[0].upper() + note[1:]


def _probe_size(config: TrainConfig, data: MultimodalData) -> int:
    """Return how many samples a probe has."""
    size = len(data.splits[config.probe_split])
    return min(size, config.probe_samples) if config.probe_samples else size


def make_codebooks(config: TrainConfig, names: tuple[str, ...], n: int, n_classes: int, seed: int) -> dict:
    """Return the codebooks of a probe of `n` samples by modality, and of k-means one for the rest of each.

    None where nothing is fitted: of predicted classes. Seeds are `seed` plus the number of the modality, unless the
    settings name one for all.
    """
    if config.observable not in ("kmeans", "posterior"):
        return {}
    size = config.n_clusters
    size = auto_clusters(n, n_classes) if isinstance(size, str) else size
    seeds = [seed + i if config.codebook_seed is None else config.codebook_seed for i in range(len(names))]
    if config.observable == "posterior":
        return {
            name: PosteriorDiscretizer("scores", n_codes=size, seed=own) for name, own in zip(names, seeds, strict=True)
        }
    warm, rest = config.codebooks == "warm", config.n_components * (len(names) - 1)
    books = {
        name: KMeansDiscretizer(size, config.n_components, warm_start=warm, seed=own)
        for name, own in zip(names, seeds, strict=True)
    }
    if len(names) > 2:
        books |= {f"not {name}": KMeansDiscretizer(size, rest, warm_start=warm, seed=seeds[0]) for name in names}
    return books
