"""Several seeds of a small network at once: the same runs as one after another, several times faster."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields

import torch

from mmpid import _validate
from mmpid.datasets import MultimodalData
from mmpid.errors import ConfigError
from mmpid.models import LateFusion
from mmpid.studies.budget import share_budget
from mmpid.studies.inputs import build, draw
from mmpid.studies.stacked_run import StackedRun, Stage
from mmpid.train.config import TrainConfig
from mmpid.train.validation import pick_device
from mmpid.train.wishes import read_wishes

SCHEDULES = ("unimodal", "joint", "joint+aux", "frozen", "fixed")
# Settings that a stacked run obeys, and those that only say what is probed or logged beside the training.
OBEYED = (
    "epochs", "unimodal_epochs", "batch_size", "optimizer", "lr", "momentum", "weight_decay", "joint_lr_scale",
    "lr_step", "lr_gamma", "aux_weight", "fusion_init", "selection",
)  # fmt: skip
BESIDE = (
    "rewind", "probe_every", "probe_split", "probe_samples", "probe_order", "observable", "n_clusters",
    "n_components", "correction", "n_boot", "n_null", "pid_method", "codebooks", "codebook_seed", "estimator",
    "ecs", "stage2", "log_every", "threads",
)  # fmt: skip


def train_seeds(
    data: str | MultimodalData | Callable[[int], MultimodalData],
    seeds: Iterable[int] = range(10),
    *,
    method: str = "fixed",
    model: Callable[[MultimodalData, int], LateFusion] | None = None,
    data_options: Mapping | None = None,
    device: str = "auto",
    **settings,
) -> "SeedRuns":
    """Train one late-fusion network per seed, all at once, with stacked weights.

    Each seed has the initial weights, the order of samples, the optimizer, the selection of epochs and the test that
    `compare` gives it with the same settings; results agree within rounding, since sums are taken in another order.

    Parameters
    ----------
    data : str, MultimodalData or callable
        A built-in name, loaded with each seed; one data set that all seeds share; or a function from a seed to data.
    seeds : iterable of int
        Seeds of data, weights and order.
    method : {"unimodal", "joint", "joint+aux", "frozen", "fixed"}
        What is trained, as in :func:`mmpid.baselines`.
    model : callable, optional
        From data and seed to a model whose encoders are Flatten, Linear and ReLU layers and whose fusion is "concat";
        by default `LateFusion.from_data(data, seed=seed)`.
    data_options : mapping, optional
        Options of :func:`mmpid.datasets.load`.
    device : str
        "auto" takes CUDA where there is one.
    **settings
        Fields of :class:`~mmpid.train.TrainConfig`, but `joint_epochs`. Those of probes are ignored: nothing is probed.

    Returns
    -------
    SeedRuns
        Test accuracies, curves, and the trained models.

    Raises
    ------
    ConfigError
        For what cannot be stacked: a controller that pauses or switches each seed at its own time, other layers or
        fusions, class weights, mixed precision, parameters that are frozen.
    InputError
        Data whose sizes differ between seeds.
    TrainingError
        A loss that is not finite.

    Notes
    -----
    The gain is in the overhead that a small network pays for each operation; a network of millions of parameters gains
    nothing. Rounding can flip a test sample that lies on a decision boundary, and with it the epoch that is selected
    among equals.

    Examples
    --------
    >>> from mmpid.studies.seeds import train_seeds
    >>> runs = train_seeds("av-digits", seeds=[0, 1], method="joint", epochs=2, device="cpu")
    >>> runs.to_frame().columns.tolist()
    ['seed', 'method', 'test_accuracy', 'selected_epoch']
    """
    seeds = _validate.seeds(seeds)
    config = _check_settings(TrainConfig.make(**share_budget(settings)))
    stages = _schedule(_check_method(method), config)
    drawn = [draw(data, seed, data_options, shared=True) for seed in seeds]
    models = [_check_model(build(model, each, seed)) for each, seed in zip(drawn, seeds, strict=True)]
    with _threads(config.threads or 1):
        rows, epochs, models = StackedRun(models, drawn, seeds, config, pick_device(device)).train(stages)
    return SeedRuns(tuple(_named(row, method) for row in rows), tuple(epochs), tuple(models))


@dataclass(frozen=True, repr=False)
class SeedRuns:
    """What :func:`train_seeds` returns.

    Attributes
    ----------
    rows : tuple of dict
        One row per seed and classifier: `seed`, `method`, `test_accuracy`, `selected_epoch`, as in `compare`.
    epochs : tuple of dict
        One row per seed and epoch, with the names of a record: `loss.<m>` (mean over batches, nats) and
        `validation_accuracy.<m>`.
    models : tuple of LateFusion
        The models with the weights of the last epoch, in the order of the seeds.
    """

    rows: tuple[dict, ...]
    epochs: tuple[dict, ...]
    models: tuple[LateFusion, ...]

    def to_frame(self, kind: str = "result"):
        """Return a pandas table of the rows, or with "epoch" of the curves."""
        import pandas as pd

        return pd.DataFrame(
            self.rows if _validate.choice(kind, "kind", ("result", "epoch")) == "result" else self.epochs
        )

    def __repr__(self) -> str:
        means: dict[str, list[float]] = {}
        for row in self.rows:
            means.setdefault(row["method"], []).append(row["test_accuracy"])
        shown = ", ".join(f"{name} {100 * sum(x) / len(x):.1f} %" for name, x in means.items())
        return f"SeedRuns({len(self.models)} seeds; mean test accuracy: {shown})"


# ---- what is trained -------------------------------------------------------------------------------------------------


def _check_method(method: str) -> str:
    if method == "two-stage":
        raise ConfigError(
            "method 'two-stage' cannot be stacked: its controller pauses and switches each seed at its own time. "
            "Use mmpid.compare(..., methods=['two-stage']), which trains one seed after another."
        )
    return _validate.choice(method, "method", SCHEDULES)


def _check_settings(config: TrainConfig) -> TrainConfig:
    """Refuse settings that change the training in a way that is not stacked."""
    plain = TrainConfig()
    for each in fields(TrainConfig):
        value = getattr(config, each.name)
        known = each.name in (*OBEYED, *BESIDE) and not callable(value)  # such as an optimizer of the user's own
        if not known and value != getattr(plain, each.name):
            raise ConfigError(
                f"`{each.name}` = {value!r} cannot be stacked over seeds. Leave it at {getattr(plain, each.name)!r}, "
                f"or use mmpid.compare, which trains one seed after another."
            )
    return config


def _check_model(model: LateFusion) -> LateFusion:
    """Refuse frozen parameters, which a Trainer leaves as they are: a stacked update moves every weight of a part."""
    fixed = read_wishes(model).frozen
    frozen = [name for name, parameter in model.named_parameters() if id(parameter) in fixed]
    if frozen:
        shown = ", ".join(frozen[:4]) + (", ..." if len(frozen) > 4 else "")
        raise ConfigError(
            f"a model with frozen parameters (requires_grad=False) cannot be stacked over seeds: {shown}. Unfreeze "
            f"them, or train such models one seed after another with Trainer or compare(), which keep them frozen. "
            f"method='frozen' freezes all encoders in the second stage."
        )
    return model


def _schedule(method: str, config: TrainConfig) -> list[Stage]:
    """Return the stages by which a method trains; those of `mmpid.studies.compare`."""
    if method == "unimodal":
        return [Stage("unimodal", config.epochs, config.lr, heads=True, encoders=True)]
    if method in ("joint", "joint+aux"):
        aux = config.aux_weight if method == "joint+aux" else 0.0
        return [Stage("joint", config.epochs, config.lr, heads=aux > 0, encoders=True, aux=aux)]
    first = config.unimodal_epochs or 0
    if not 0 < first < config.epochs:
        raise ConfigError(
            f"`unimodal_epochs` must lie between 1 and `epochs` - 1 = {config.epochs - 1} for {method!r}; "
            f"it was {first}."
        )
    move, aux = method == "fixed", config.aux_weight
    second = Stage(
        "joint", config.epochs - first, config.lr * (config.joint_lr_scale if move else 1.0),
        heads=move and aux > 0, encoders=move, aux=aux if move else 0.0, from_heads=config.fusion_init == "heads",
    )  # fmt: skip
    return [Stage("unimodal", first, config.lr, heads=True, encoders=True), second]


def _named(row: dict, method: str) -> dict:
    """Name the method of a row as `compare` does: a classifier in the unimodal schedule, else the schedule."""
    head = row["head"]
    chosen = {key: row[key] for key in ("test_accuracy", "selected_epoch")}
    return {"seed": row["seed"], "method": head if method == "unimodal" else method, **chosen}


@contextmanager
def _threads(threads: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
