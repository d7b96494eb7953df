"""Leakage that one can see: copies, a modality that names the class, and neighbors in time or space."""

import hashlib

import torch
from torch import Tensor

from mmpid.datasets import MultimodalData
from mmpid.datasets.cuts import SPLITS
from mmpid.datasets.scale import evenly
from mmpid.testing.report import BREAKS, FINE, WARNING, Finding

FEW_VALUES = 0.2  # share of different rows below which a modality is taken for a table of codes
COPIES = 0.05  # share of held-out samples of which one modality is a copy of a training sample
ASKED = 400  # test samples whose nearest training sample is looked for
FEWEST, MOST = 50, 50_000  # training samples among which neighbors are looked for
COLUMNS = 256  # values of a sample that are compared
FEWEST_HITS = 10
SURPRISE = 3.0  # standard errors beyond chance


def _keys(x: Tensor) -> list[bytes]:
    """Return a digest of each sample."""
    rows = x.cpu().contiguous().numpy()
    return [hashlib.blake2b(row.tobytes(), digest_size=16).digest() for row in rows]


def check_copies(data: MultimodalData, seen: dict) -> Finding:
    """Count held-out samples that are copies of training samples, in all modalities or in one."""
    keys = {key: {name: _keys(x) for name, x in split.inputs.items()} for key, split in seen.items()}
    whole = {key: list(zip(*parts.values(), strict=True)) for key, parts in keys.items()}
    train = set(whole["train"])
    copies = sum(row in train for key in SPLITS[1:] for row in whole[key])
    if copies:
        text = f"{copies:,} held-out samples are exact copies of training samples"
        return Finding("copies", BREAKS, text, "Remove duplicates before splitting.")
    for name in data.modalities:
        known = set(keys["train"][name])
        held = [row for key in SPLITS[1:] for row in keys[key][name]]
        share = sum(row in known for row in held) / max(len(held), 1)
        distinct = len(known) / max(len(keys["train"][name]), 1)
        if share > COPIES and distinct > FEW_VALUES:
            text = f"{share:.0%} of the held-out samples have a {name!r} that is also in training"
            return Finding("copies", WARNING, text, "Give samples that share it one group: groups=.")
    return Finding("copies", FINE, "no held-out sample is a copy of a training sample")


def check_giveaway(seen: dict) -> list[Finding]:
    """Find modalities whose few different rows name the class: an answer, not a measurement."""
    found = []
    train = seen["train"]
    for name, x in train.inputs.items():
        keys = _keys(x)
        labels: dict[bytes, set[int]] = {}
        for key, label in zip(keys, train.target.tolist(), strict=True):
            labels.setdefault(key, set()).add(label)
        few = len(labels) < FEW_VALUES * len(keys)
        pure = sum(len(classes) == 1 for classes in labels.values()) / len(labels)
        if few and pure > 0.8 and len({frozenset(c) for c in labels.values()}) > 1:
            text = (
                f"{len(keys):,} training samples have only {len(labels):,} different values, and {pure:.0%} of those "
                f"belong to one class"
            )
            advice = "Was it made from the label? Then leave it out: it is the answer, not a measurement."
            found.append(Finding(f"{name}, leakage", WARNING, text, advice))
    return found


def check_neighbors(data: MultimodalData, seen: dict) -> list[Finding]:
    """Look whether test samples are most like the training samples beside them: windows or pixels of one recording."""
    place = {key: data.splits[key].cpu() for key in ("train", "test")}
    whole = all(len(place[key]) == len(seen[key]) for key in place)
    if not whole or not FEWEST <= len(place["train"]) <= MOST:
        return []  # streamed, so that not all samples were read; or too few or too many to compare
    chosen = evenly(len(place["test"]), ASKED)
    here, there = place["test"][chosen], place["train"]
    beside = (there[None] - here[:, None]).abs() == 1
    least = 0.02 if data.groups is None else 0.1  # groups that border on each other share a few
    found = []
    for name in data.modalities:
        columns = evenly(seen["train"].inputs[name][0].numel(), COLUMNS)
        x, z = (seen[key].inputs[name].flatten(1).cpu()[:, columns].double() for key in ("test", "train"))
        scale = z.std(0).clamp_min(1e-9)
        x, z = x / scale, z / scale
        nearest = torch.cdist(x[chosen], z).argmin(1)
        hits = float(beside[torch.arange(len(chosen)), nearest].double().mean())
        same = data.target.cpu()[there][None] == data.target.cpu()[here][:, None]
        chance = float(((beside & same).sum(1) / same.sum(1).clamp_min(1)).mean())  # among samples of the class
        error = (chance * (1 - chance) / len(chosen)) ** 0.5
        if hits > chance + SURPRISE * error and hits > max(least, FEWEST_HITS / len(chosen)):
            text = (
                f"for {hits:.0%} of the test samples the nearest training sample is the one before or after it in the "
                f"data; by chance it would be {chance:.1%}"
            )
            advice = "Neighbors in time or space are in different splits: give them one group, groups=."
            found.append(Finding(f"{name}, neighbors", WARNING, text, advice))
    return found
