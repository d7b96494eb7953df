"""Named sets of settings."""

from typing import Any

# The recipe of arXiv 2509.20840 in our reading: what it does, not what we would do. All of it is named, so that
# it stays when our own defaults move.
PAPER: dict[str, Any] = {
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
    "estimator": "counted",
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

# What its released script does otherwise. Its step decay is bound to the optimizer of stage 1, so the rate of stage 2
# never decays.
RELEASED: dict[str, Any] = {
    "lr_step": 0,
    "probe_order": "first",
    "pid_method": "released",
    "paused_encoders": "forward",
    "stage2": "monitor",
}

PRESETS: dict[str, dict[str, Any]] = {"default": {}, "paper": PAPER}
VARIANTS: dict[str, dict[str, Any]] = {"paper": {}, "released": RELEASED}
