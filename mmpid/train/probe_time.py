"""How long a probe is going to take: said before a long one, and shown while it runs."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from mmpid._progress import listening, progress_bar
from mmpid.estimate.held_out.folds import N_FOLDS
from mmpid.estimate.held_out.multipliers import alternations_are_cheaper
from mmpid.estimate.held_out.predictors import FINALISTS
from mmpid.estimate.kmeans import auto_clusters
from mmpid.estimate.pipeline import COUNTED
from mmpid.pid import estimate_cost
from mmpid.train.config import TrainConfig

LONG = 5.0  # seconds from which a probe is announced
QUICK_CELLS = 10_000  # tables up to this size never take that long, and are not worth a look at the clock
LINE = (
    "mmpid: this probe takes about {seconds}: {n:,} samples, tables of {codes} x {codes} codes and {k} classes. Probes "
    "are quicker with fewer codes (observable='posterior' or 'kmeans', n_clusters=8){replicates}, and rarer with "
    "probe_every=5."
)
# Measured as shares of what `estimate_cost` says: predictors need fewer steps than a decomposition to 1e-6 bit.
_PREDICTOR = 0.45
_REPLICATE = 5e-7  # seconds per cell
_ALTERNATED = 1.2e-7  # seconds per cell of a predictor that alternations find


def expected_seconds(config: TrainConfig, n: int, n_classes: int, n_modalities: int) -> float:
    """Predict the seconds that the decomposition of a probe takes, on one thread; 0 where it is sure to be quick.

    Fitted to measured probes of 20 to 101 classes, good to a factor of two or so: the machine, the number of codes
    that really occur and what else runs are not known before.
    """
    codes, k = codes_of(config, n, n_classes), n_classes
    if codes * codes * k <= QUICK_CELLS:
        return 0.0
    pairs = 1 if n_modalities == 2 else n_modalities + n_modalities * (n_modalities - 1) // 2
    replicates = (config.n_boot or 0) + (config.n_null or 0)
    fits = (N_FOLDS + 1) * (FINALISTS + (config.n_null or 0))
    counted = config.estimator == COUNTED
    if counted or alternations_are_cheaper(codes, codes, k):
        one = estimate_cost(n1=codes, n2=codes, k=k, n_samples=n).seconds
        rest = _REPLICATE * replicates if counted else _ALTERNATED * fits
        return pairs * (one + rest * codes * codes * k)
    return pairs * _PREDICTOR * estimate_cost(n1=codes, n2=codes, k=k, batch=fits).seconds


def codes_of(config: TrainConfig, n: int, n_classes: int) -> int:
    """Return how many codes of a modality a probe counts."""
    if config.observable in ("prediction", "soft"):
        return n_classes
    return auto_clusters(n, n_classes) if isinstance(config.n_clusters, str) else config.n_clusters


@dataclass
class ProbeProgress:
    """A long probe under way.

    Attributes
    ----------
    expected : float
        Seconds that it was expected to take.
    solved : float
        Share of the decompositions that are done, from 0 to 1.
    """

    expected: float
    solved: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    @property
    def elapsed(self) -> float:
        """Seconds since it began."""
        return time.perf_counter() - self.started

    @property
    def share(self) -> float:
        """What is done, from 0 to 0.99: by the clock, or by the decompositions that are done where these are ahead."""
        return min(0.99, max(self.solved, self.elapsed / self.expected))


@contextmanager
def shown(progress: ProbeProgress, line: str) -> Iterator[None]:
    """Say the expected time in a line on stderr, and move a bar while the probe runs."""
    print(line, file=sys.stderr, flush=True)
    with progress_bar(total=100, unit="%") as bar:

        def moved(solved: float) -> None:
            progress.solved = max(progress.solved, solved)
            bar.update(round(100 * progress.share) - bar.n)

        with listening(moved):
            yield


def announcement(config: TrainConfig, seconds: float, n: int, n_classes: int) -> str:
    """Return the line before a long probe."""
    text = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
    replicates = " or without replicates (n_boot=0, n_null=0)" if config.n_boot or config.n_null else ""
    codes = codes_of(config, n, n_classes)
    return LINE.format(seconds=text, n=n, codes=codes, k=n_classes, replicates=replicates)
