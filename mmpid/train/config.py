"""Settings of a run: one frozen object, checked when it is made, saved with the record."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields

from mmpid import _validate
from mmpid.ecs import available as available_proxies
from mmpid.errors import ConfigError
from mmpid.estimate.correction import CORRECTIONS

OBSERVABLES = ("prediction", "kmeans", "soft")
SELECTIONS = ("validation", "last", "test")
STAGE2 = ("monitor", "balance", "off")
PID_METHODS = ("exact", "fastpid")
OPTIMIZERS = ("sgd", "adamw")
PRESETS = ("default", "paper")
UNIMODAL_SHARE = 0.8  # of the budget, for stage 1 at the most
CODEBOOKS = ("warm", "fresh")
CLASS_WEIGHTS = ("none", "balanced")
PRECISIONS = ("float32", "bfloat16")
LATER = ("joint_epochs", "codebooks", "codebook_seed")  # written only where they are set: older versions know none


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """How a two-stage run is trained, probed and judged.

    Attributes
    ----------
    epochs : int
        Budget of the whole run, in epochs; epochs of a future that a rewind discarded count, so that every method
        that is compared spends the same.
    unimodal_epochs : int, optional
        Stage 1 ends here at the latest; 0 trains jointly from scratch, `epochs` never starts stage 2. By default four
        fifths of `epochs`, or what `joint_epochs` leaves of them if that is less. Below a rule's own `min_share` it
        decides alone: the rule never gets to speak.
    joint_epochs : int, optional
        Epochs of stage 2, whenever it starts: the run ends after them, with some of `epochs` unspent if it started
        early. `epochs` stays the most that is spent, so a late start, or epochs that a rewind discarded, can leave
        fewer. By default stage 2 has the rest of `epochs`.
    batch_size, optimizer, lr, momentum, weight_decay
        Both stages; `momentum` is of SGD. The last batch of an epoch is smaller where they do not divide, and counts
        like any other. :meth:`Trainer.set_batch_size` and :meth:`Trainer.set_learning_rate` change them on the way.
    joint_lr_scale : float
        Stage-2 learning rate as a multiple of `lr`, after a stage 1. Joint training from scratch has `lr` itself,
        whether there was to be no stage 1 or the controller gave it up.
    lr_step, lr_gamma
        After every `lr_step` epochs of stage 2 its learning rate is multiplied by `lr_gamma`; 0 keeps it.
    class_weight : {"none", "balanced"}
        Weights of the classes in every cross-entropy, training and evaluation alike: none, or n / (k n_c) of the
        training split, at which rare classes count as much as frequent ones. Accuracies are never weighted.
    precision : {"float32", "bfloat16"}
        Arithmetic of forward passes in training and evaluation, by autocast; weights stay float32, losses and the
        PID are computed in float32 and float64 whatever it is.
    aux_weight : float
        Weight of each unimodal cross-entropy beside the joint one in stage 2; it keeps the unimodal heads, and so the
        probe, meaningful.
    fusion_init : {"heads", "random"}
        How the joint head starts at the hand-over: as the average of the unimodal heads, or as it was initialized,
        as it always does from scratch.
    freeze_encoders : bool
        Train only the joint head in stage 2 (a control).
    rewind : bool
        Let an automatic switch start from the state that the rule names as best, instead of from now.
    selection : {"validation", "last", "test"}
        Which epoch's weights are reported. "test" is what many papers do; the result says so when it is used.
    probe_every : int
        Epochs between probes.
    probe_split : str
        Where information is measured. "train" reproduces the paper and overstates what is known.
    probe_samples : int
        Largest number of samples in a probe; 0 takes all.
    observable : {"prediction", "kmeans", "soft"}
        What is decomposed: predicted classes of the unimodal heads, k-means clusters of embeddings, soft predictions.
    n_clusters, n_components, correction, n_boot, n_null, pid_method
        Passed to :func:`mmpid.estimate_pid`.
    codebooks : {"warm", "fresh"}
        Whether the k-means codebooks of a probe start from those of the last one, so that traces do not jump, or are
        found anew at each probe, whatever was probed before.
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
    optimizer: str = "sgd"
    lr: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 1e-4
    joint_lr_scale: float = 0.2
    lr_step: int = 0
    lr_gamma: float = 0.1
    class_weight: str = "none"
    precision: str = "float32"
    aux_weight: float = 0.6
    fusion_init: str = "heads"
    freeze_encoders: bool = False
    rewind: bool = True
    selection: str = "validation"
    probe_every: int = 1
    probe_split: str = "probe"
    probe_samples: int = 0
    observable: str = "prediction"
    n_clusters: int | str = "auto"
    n_components: int = 5
    correction: str = "auto"
    n_boot: int = 100
    n_null: int = 20
    pid_method: str = "exact"
    codebooks: str = "warm"
    codebook_seed: int | None = None
    ecs: tuple[str, ...] = ("class_logit", "mi")
    stage2: str = "monitor"
    log_every: int = 10
    threads: int = 0

    def __post_init__(self):
        """Refuse settings that cannot work, naming the field; settle what depends on another one."""
        _validate.number(self.epochs, "epochs", low=1, integer=True)
        for name, low in {"joint_epochs": 1, "codebook_seed": 0}.items():
            if getattr(self, name) is not None:
                _validate.number(getattr(self, name), name, low=low, integer=True)
        if self.unimodal_epochs is None:
            longest = min(round(UNIMODAL_SHARE * self.epochs), self.epochs - (self.joint_epochs or 0))
            object.__setattr__(self, "unimodal_epochs", max(1, longest))
        whole = {"unimodal_epochs": 0, "batch_size": 1, "lr_step": 0, "probe_every": 1}
        whole |= {"probe_samples": 0, "n_components": 1, "n_boot": 0, "n_null": 0, "log_every": 1, "threads": 0}
        for name, low in whole.items():
            _validate.number(getattr(self, name), name, low=low, integer=True)
        for name in ("lr", "joint_lr_scale", "lr_gamma"):
            _validate.number(getattr(self, name), name, low=0, open_low=True, finite=True)
        for name in ("weight_decay", "aux_weight"):
            _validate.number(getattr(self, name), name, low=0, finite=True)
        _validate.number(self.momentum, "momentum", low=0, high=1)
        for name in ("freeze_encoders", "rewind"):
            _validate.flag(getattr(self, name), name)
        _validate.choice(self.optimizer, "optimizer", OPTIMIZERS)
        _validate.choice(self.class_weight, "class_weight", CLASS_WEIGHTS)
        _validate.choice(self.precision, "precision", PRECISIONS)
        _validate.choice(self.fusion_init, "fusion_init", ("heads", "random"))
        _validate.choice(self.selection, "selection", SELECTIONS)
        _validate.choice(self.probe_split, "probe_split", ("probe", "train", "validation"))
        _validate.choice(self.observable, "observable", OBSERVABLES)
        _validate.choice(self.codebooks, "codebooks", CODEBOOKS)
        _validate.choice(self.stage2, "stage2", STAGE2)
        _validate.choice(self.pid_method, "pid_method", PID_METHODS)
        _validate.instance(self.ecs, "ecs", Iterable, "names of proxies", "Try () for none.")
        object.__setattr__(self, "ecs", (self.ecs,) if isinstance(self.ecs, str) else tuple(self.ecs))
        for name in self.ecs:
            _validate.choice(name, "ecs", available_proxies())
        _validate.choice(self.correction, "correction", CORRECTIONS)
        if self.n_clusters != "auto":
            _validate.number(self.n_clusters, "n_clusters", low=1, integer=True)

    @classmethod
    def make(cls, preset: str = "default", **overrides) -> "TrainConfig":
        """Return a preset with some settings changed; an unknown name is an error that suggests the closest one.

        Examples
        --------
        >>> TrainConfig.make("paper", epochs=20).observable
        'kmeans'
        """
        known = [f.name for f in fields(cls)]
        for name in overrides:
            _validate.choice(name, "setting", known)
        base = PAPER if _validate.choice(preset, "preset", PRESETS) == "paper" else {}
        return cls(**{**base, **overrides})

    def to_dict(self) -> dict:
        """Return the settings as plain JSON values."""
        plain = asdict(self) | {"ecs": list(self.ecs)}
        return {name: x for name, x in plain.items() if name not in LATER or x != getattr(TrainConfig, name)}

    @classmethod
    def from_dict(cls, values: dict) -> "TrainConfig":
        """Return settings from :meth:`to_dict`, refusing fields that this version does not know."""
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise ConfigError(f"the saved settings have fields unknown to this version: {unknown}. Update mmpid.")
        return cls(**values)


def share_budget(settings: dict) -> dict:
    """Return settings of runs that are compared, each of which spends all of `epochs`; refuse another length."""
    if settings.get("joint_epochs") is not None:
        raise ConfigError(
            f"`joint_epochs` must be left out where runs are compared, since each of them spends the same `epochs`; it "
            f"was {settings['joint_epochs']}. Set `epochs` and `unimodal_epochs`, or train single runs with Trainer."
        )
    return {**settings, "joint_epochs": None}


# The recipe of arXiv 2509.20840 as its released script has it: what it does, not what we would do. All of it is
# named, so that it stays when our own defaults move.
PAPER = {
    "epochs": 300,
    "unimodal_epochs": 200,
    "joint_epochs": 100,
    "batch_size": 64,
    "optimizer": "sgd",
    "lr": 0.01,
    "momentum": 0.9,
    "weight_decay": 1e-4,
    "joint_lr_scale": 0.05,
    "lr_step": 70,
    "lr_gamma": 0.1,
    "class_weight": "none",
    "precision": "float32",
    "aux_weight": 0.6,
    "fusion_init": "random",
    "freeze_encoders": False,
    "rewind": False,
    "selection": "test",
    "probe_every": 5,
    "probe_split": "train",
    "probe_samples": 1280,
    "observable": "kmeans",
    "n_clusters": 20,
    "n_components": 5,
    "codebooks": "fresh",
    "codebook_seed": 42,
    "correction": "none",
    "n_boot": 0,
    "n_null": 0,
    "pid_method": "fastpid",
    "stage2": "off",
}
