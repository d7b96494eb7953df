"""Settings of a run: one frozen object, checked when it is made, saved with the record."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from typing import Any

import torch

from mmpid import _validate
from mmpid.ecs import available as available_proxies
from mmpid.errors import ConfigError
from mmpid.protocols.clashes import apply_settings
from mmpid.train import choices
from mmpid.train.losses import LOSSES, make_loss
from mmpid.train.presets import PRESETS, VARIANTS
from mmpid.train.scores import METRICS, metric_name


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a two-stage run is trained, probed and judged.

    Attributes
    ----------
    epochs : int
        Budget of the whole run, in epochs. Epochs that a rewind discarded count, so all compared methods spend the
        same.
    unimodal_epochs : int, optional
        Stage 1 ends here at the latest; 0 trains jointly from scratch, `epochs` never starts stage 2. By default four
        fifths of `epochs`, or what `joint_epochs` leaves of them if that is less. Below a rule's own `min_share` it
        decides alone, because the rule cannot act before.
    joint_epochs : int, optional
        Epochs of stage 2, whenever it starts: the run ends after them, with some of `epochs` unspent if it started
        early. `epochs` stays the upper limit, so a late start, or epochs that a rewind discarded, can leave fewer. By
        default stage 2 has the rest of `epochs`.
    loss : {"cross_entropy", "label_smoothing", "focal"} or callable
        Loss of every classifier, by name (see :mod:`mmpid.train.losses`), or a function of logits (B, k) and labels
        (B,) that returns one number.
    optimizer : {"sgd", "adamw"} or callable
        By name, or a function from parameter groups (dicts with "name", "params" and "lr") to a torch optimizer.
    scheduler : {"none", "cosine"} or callable
        Schedule of the learning rate, stepped once per epoch and restarted with each stage: by name, or a function
        from an optimizer to a torch scheduler.
    clip_norm : float, optional
        Largest norm of the whole gradient; larger ones are scaled down.
    batch_size, lr, momentum, weight_decay
        For both stages; only SGD uses `momentum`. If the samples do not divide evenly, the last batch of an epoch is
        smaller and counts like any other. A last batch of one sample joins the batch before it if the model cannot
        train on one sample, as with batch normalization. :meth:`Trainer.set_batch_size` and
        :meth:`Trainer.set_learning_rate` change them during a run.
    joint_lr_scale : float
        Stage-2 learning rate as a multiple of `lr`, after a stage 1. Joint training from scratch uses `lr` itself,
        with no stage 1 or after the controller gave it up.
    lr_step, lr_gamma
        After every `lr_step` epochs of stage 2 its learning rate is multiplied by `lr_gamma`; 0 keeps it.
    class_weight : {"none", "balanced"}
        Weights of the classes in every cross-entropy, in training and evaluation: none, or n / (k n_c) of the training
        split. Rare classes then count as much as frequent ones. Accuracies are never weighted.
    precision : {"float32", "bfloat16", "float16"}
        Arithmetic of forward passes in training and evaluation, by autocast. Weights stay float32. Losses are always
        computed in float32 and the PID in float64. "float16" needs CUDA and scales the loss.
    aux_weight : float
        Weight of each unimodal cross-entropy beside the joint one in stage 2; it keeps the unimodal heads, and so the
        probe, meaningful.
    fusion_init : {"heads", "random"}
        How the joint head starts stage 2: as the average of the unimodal heads, or from its initial weights. Joint
        training from scratch always uses the initial weights.
    freeze_encoders : bool
        Train only the joint head in stage 2 (a control).
    paused_encoders : {"still", "forward"}
        What a paused encoder does in stage 1: nothing, or run on every batch, which moves its batch-norm statistics.
    start : {"shaped", "best"}
        Where joint training starts: from the encoders of stage 1 ("shaped"), or from the better of those and untrained
        ones ("best"), after a trial with the same number of epochs for both. `unimodal_epochs` is then 35 % of
        `epochs` by default, or less if the trial needs the rest. The epochs of the start that loses are spent.
    trial_epochs : int
        Joint epochs of the shaped start in that trial.
    rewind : bool
        Let an automatic switch start from the state that the rule considers best, instead of the present one.
    selection : {"validation", "last", "test"}
        Which epoch's weights are reported. "test" is what many papers do; the result says so when it is used.
    selection_metric : str or callable
        What the selection maximizes; the lower loss decides among equals.
    metrics : tuple of str or callable
        Recorded after every epoch and for the result: "accuracy", "balanced_accuracy", "macro_f1",
        "macro_average_precision", or functions of probabilities (N, k) and labels (N,) that return one number.
    patience : int, optional
        Ends the run early: stage 2, or a run without one, ends after this many epochs without a better head.
    probe_every : int
        Epochs between probes.
    probe_split : str
        The split on which information is measured. "train" reproduces the paper and overstates what the encoders know.
    probe_samples : int
        Largest number of samples in a probe; 0 takes all.
    probe_order : {"random", "first"}
        Whether these samples are drawn from the split once, by the seed, or are its first ones.
    observable : {"auto", "prediction", "kmeans", "soft", "posterior"}
        What is decomposed: predicted classes of the unimodal heads, k-means clusters of embeddings, soft predictions,
        clusters of the heads' class probabilities; "auto" is the first or the last, see :mod:`mmpid.train.observable`.
    estimator : {"held-out", "counted"}
        See :func:`mmpid.estimate_pid`; ``preset="paper"`` uses "counted".
    n_clusters, n_components, correction, n_boot, n_null, pid_method
        Passed to :func:`mmpid.estimate_pid`. By default 100 and 20 replicates if counted, none if held-out.
        `pid_method="released"` is the solver of the paper's script, for two modalities.
    codebooks : {"warm", "fresh"}
        Whether the k-means codebooks of a probe start from those of the last one, so that traces do not jump, or are
        found from scratch at each probe.
    codebook_seed : int, optional
        Seed of every k-means codebook; by default that of the run, plus the number of the modality.
    ecs : tuple of str
        Names of the proxies of competitive strength that are recorded at each probe.
    stage2 : {"monitor", "balance", "off"}
        Whether probes go on in stage 2 and whether the controller may act on them.
    log_every : int
        Batches between recorded batch losses.
    threads : int
        CPU threads of torch while this run trains; 0 takes one for models below a million parameters, where more only
        wait for each other, and torch's own number otherwise. The last digits of sums depend on it, so it is recorded.
    """

    epochs: int = 30
    unimodal_epochs: int | None = None
    joint_epochs: int | None = None
    batch_size: int = 64
    loss: str | Callable[..., Any] = "cross_entropy"
    optimizer: str | Callable[..., Any] = "sgd"
    scheduler: str | Callable[..., Any] = "none"
    lr: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 1e-4
    joint_lr_scale: float = 0.2
    lr_step: int = 0
    lr_gamma: float = 0.1
    clip_norm: float | None = None
    class_weight: str = "none"
    precision: str = "float32"
    aux_weight: float = 0.6
    fusion_init: str = "heads"
    freeze_encoders: bool = False
    paused_encoders: str = "still"
    start: str = "shaped"
    trial_epochs: int = 2
    rewind: bool = True
    selection: str = "validation"
    selection_metric: str | Callable[..., Any] = "accuracy"
    metrics: tuple[str | Callable[..., Any], ...] = ("accuracy",)
    patience: int | None = None
    probe_every: int = 1
    probe_split: str = "probe"
    probe_samples: int = 0
    probe_order: str = "random"
    observable: str = "auto"
    estimator: str = "held-out"
    n_clusters: int | str = "auto"
    n_components: int = 5
    correction: str = "auto"
    n_boot: int | None = None
    n_null: int | None = None
    pid_method: str = "exact"
    codebooks: str = "warm"
    codebook_seed: int | None = None
    ecs: tuple[str, ...] = ("class_logit", "mi")
    stage2: str = "monitor"
    log_every: int = 10
    threads: int = 0

    def __post_init__(self) -> None:
        """Refuse settings that cannot work, naming the field; settle what depends on another one."""
        for name in ("epochs", "joint_epochs"):
            self._whole(name)
        if self.unimodal_epochs is None:
            longest = min(round(choices.UNIMODAL_SHARE * self.epochs), self.epochs - (self.joint_epochs or 0))
            if self.start == "best":  # both starts of a trial need their epochs
                longest = min(round(choices.TRIED_SHARE * self.epochs), (self.epochs - 2 * self.trial_epochs - 1) // 2)
            self._set("unimodal_epochs", max(1, longest))
        counted = self.estimator == "counted"
        for name, usual in {"n_boot": 100, "n_null": 20}.items():
            if getattr(self, name) is None:
                self._set(name, usual if counted else 0)
        for name in choices.WHOLE.keys() - ({"n_clusters"} if self.n_clusters == "auto" else set()):
            self._whole(name)
        for name in (*choices.ABOVE_ZERO, *choices.AT_LEAST_ZERO):
            if getattr(self, name) is not None:
                value = getattr(self, name)
                self._set(name, _validate.number(value, name, low=0, open_low=name in choices.ABOVE_ZERO, finite=True))
        self._set("momentum", _validate.number(self.momentum, "momentum", low=0, high=1))
        for name in ("freeze_encoders", "rewind"):
            self._set(name, _validate.flag(getattr(self, name), name))
        for name, options in choices.CHOICES.items():
            _validate.choice(getattr(self, name), name, options)
        self._check_parts()
        self._set("ecs", _names(self.ecs, "ecs", "names of proxies"))
        for name in self.ecs:
            _validate.choice(name, "ecs", available_proxies())

    def _check_parts(self) -> None:
        """Check what is either a name or a function of the user's own."""
        for name, options in {"loss": LOSSES, "optimizer": choices.OPTIMIZERS, "scheduler": choices.SCHEDULERS}.items():
            if not callable(getattr(self, name)):
                _validate.choice(getattr(self, name), name, options)
        self._set("metrics", _names(self.metrics, "metrics", "names of metrics"))
        for metric in (*self.metrics, self.selection_metric):
            if not callable(metric):
                _validate.choice(metric, "metrics", METRICS)
        names = [metric_name(metric) for metric in self.metrics]
        if len(set(names)) < len(names):
            raise ConfigError(f"`metrics` must have different names; they were {', '.join(names)}. Rename one.")
        if self.patience is not None and self.selection == "last":
            raise ConfigError("`patience` must be None with selection='last', where the last epoch is always the best.")
        if self.start == "best" and (self.joint_epochs is not None or self.freeze_encoders):
            raise ConfigError("`start` must be 'shaped' with `joint_epochs` or with `freeze_encoders`; it was 'best'.")
        if self.class_weight != "none" and callable(self.loss):
            make_loss(self.loss, torch.ones(1))

    def _whole(self, name: str) -> None:
        if getattr(self, name) is not None:
            self._set(name, _validate.number(getattr(self, name), name, low=choices.WHOLE[name], integer=True))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    @classmethod
    def make(cls, preset: str = "default", variant: str | None = None, **overrides) -> "TrainConfig":
        """Return a preset with some settings changed; an unknown name is an error that suggests the closest one.

        Examples
        --------
        >>> TrainConfig.make("paper", epochs=20).observable
        'kmeans'
        """
        protocol = overrides.pop("protocol", None)
        for name in overrides:
            _validate.choice(name, "setting", [f.name for f in fields(cls)])
        base = PRESETS[_validate.choice(preset, "preset", PRESETS)]
        if variant is not None and preset != "paper":
            raise ConfigError(f"`variant` needs preset='paper'; it was {variant!r} with {preset!r}.")
        own = VARIANTS[_validate.choice(variant or "paper", "variant", VARIANTS)]
        chosen = {**base, **own, **overrides}
        return cls(**(chosen if protocol is None else apply_settings(protocol, chosen)))

    def values(self) -> dict[str, Any]:
        """Return the settings by name, functions included."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain JSON values; a function of the user's own by its qualified name."""
        plain = {name: describe(value) for name, value in self.values().items()}
        return {
            name: x
            for name, x in plain.items()
            if name not in choices.LATER or x != describe((DEFAULTS | choices.BEFORE)[name])
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], **own: Any) -> "TrainConfig":
        """Return settings from :meth:`to_dict`, refusing fields that this version does not know.

        `own` are the functions of the user's own, which cannot be saved: they must be the ones that were used.
        """
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise ConfigError(f"the saved settings have fields unknown to this version: {unknown}. Update mmpid.")
        known = choices.BEFORE | dict(values)
        for name in choices.FREE:
            saved, given = known.get(name, describe(DEFAULTS[name])), own.get(name)
            if given is None and not _is_custom(saved):
                continue
            if given is None or describe(given) != saved:
                was = "left out" if given is None else f"{describe(given)}"
                raise ConfigError(f"`{name}` must be the same as in the run, {saved}; it was {was}. Pass `{name}=`.")
            known[name] = given
        return cls(**known)


DEFAULTS: dict[str, Any] = {each.name: each.default for each in fields(TrainConfig)}


def describe(value: Any) -> Any:
    """Return a setting as plain JSON: functions and objects by their qualified name, sequences as lists."""
    if isinstance(value, list | tuple):
        return [describe(x) for x in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    text = repr(value)
    shown = "" if " at 0x" in text else f" {text}"
    named = value if hasattr(value, "__qualname__") else type(value)
    return f"custom: {named.__module__}.{named.__qualname__}{shown}"


def _is_custom(saved: Any) -> bool:
    return any(map(_is_custom, saved)) if isinstance(saved, list) else str(saved).startswith("custom: ")


def _names(values: Any, name: str, what: str) -> tuple[Any, ...]:
    """Return one or several entries as a tuple."""
    if isinstance(values, str) or (callable(values) and not isinstance(values, Iterable)):
        return (values,)
    return tuple(_validate.instance(values, name, Iterable, what, "Try () for none."))
