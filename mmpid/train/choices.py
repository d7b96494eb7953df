"""What each setting of a run may be."""

from collections.abc import Iterable
from typing import Any

from mmpid.estimate.correction import CORRECTIONS
from mmpid.estimate.pipeline import ESTIMATORS
from mmpid.pid.constants import PID_METHODS

OBSERVABLES = ("auto", "prediction", "kmeans", "soft", "posterior")
SELECTIONS = ("validation", "last", "test")
STAGE2 = ("monitor", "balance", "off")
OPTIMIZERS, SCHEDULERS = ("sgd", "adamw"), ("none", "cosine")
UNIMODAL_SHARE = 0.8  # of the budget, at most, for stage 1
STARTS = ("shaped", "best")
TRIED_SHARE = 0.35  # the same where a fresh start is to be tried, which must then catch up
CODEBOOKS = ("warm", "fresh")
CLASS_WEIGHTS = ("none", "balanced")
PRECISIONS = ("float32", "bfloat16", "float16")
# Written only where they are set: records of older versions do not have them.
LATER = (
    "joint_epochs", "codebooks", "codebook_seed", "loss", "scheduler", "clip_norm", "patience", "metrics",
    "selection_metric", "estimator", "start", "trial_epochs", "probe_order",
    "paused_encoders",
)  # fmt: skip
BEFORE: dict[str, Any] = {"estimator": "counted"}  # what records without it were made with
FREE = ("loss", "optimizer", "scheduler", "metrics", "selection_metric")  # may be functions of the user's own
WHOLE = {
    "epochs": 1, "unimodal_epochs": 0, "joint_epochs": 1, "batch_size": 1, "lr_step": 0, "probe_every": 1,
    "probe_samples": 0, "n_components": 1, "n_boot": 0, "n_null": 0, "log_every": 1, "threads": 0, "codebook_seed": 0,
    "patience": 1, "n_clusters": 1, "trial_epochs": 1,
}  # fmt: skip
ABOVE_ZERO = ("lr", "joint_lr_scale", "lr_gamma", "clip_norm")
AT_LEAST_ZERO = ("weight_decay", "aux_weight")
CHOICES: dict[str, Iterable[str]] = {
    "class_weight": CLASS_WEIGHTS, "precision": PRECISIONS, "fusion_init": ("heads", "random"),
    "selection": SELECTIONS, "probe_split": ("probe", "train", "validation"), "observable": OBSERVABLES,
    "codebooks": CODEBOOKS, "estimator": ESTIMATORS, "stage2": STAGE2, "pid_method": (*PID_METHODS, "released"),
    "correction": CORRECTIONS, "start": STARTS, "probe_order": ("random", "first"),
    "paused_encoders": ("still", "forward"),
}  # fmt: skip
