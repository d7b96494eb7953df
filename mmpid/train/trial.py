"""A trial: a copy of the model is trained for a while and thrown away, to see what its losses would do."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from mmpid import _validate
from mmpid.errors import InputError
from mmpid.models import LateFusion
from mmpid.models.copies import copy_model
from mmpid.train.engine import Engine
from mmpid.train.epoch import cut
from mmpid.train.evaluation import autocast, evaluate
from mmpid.train.random_numbers import sample_order

if TYPE_CHECKING:
    from mmpid.train.run import Run


def train_copy(run: "Run", heads: Sequence[str], epochs: int) -> dict[str, dict[str, tuple[float, float]]]:
    """Train a copy on the sum of some heads' losses; return each loss before and after on "train" and "validation"."""
    model = trained_copy(run, heads, epochs)
    before, after = _losses(run, run.model, heads), _losses(run, model, heads)
    return {head: {split: (before[head][split], after[head][split]) for split in before[head]} for head in heads}


def trained_copy(run: "Run", heads: Sequence[str], epochs: int) -> LateFusion:
    """Return a copy of the model that was trained on the sum of some heads' losses."""
    for head in heads:
        _validate.choice(head, "heads", run.columns, InputError)
    model = copy_model(run.model)
    engine = Engine(model, run.config, run.loss, run.device, None)
    engine.enter_stage(run.position.stage, run.position.active, epochs)
    with run.random.forked(7, run.position.step):
        for epoch in range(epochs):
            _train_epoch(run, engine, heads, run.position.epoch + epoch)
    return model


def _train_epoch(run: "Run", engine: Engine, heads: Sequence[str], epoch: int) -> None:
    """Take every batch once, in the order of an epoch of the run."""
    train, stage = run.splits["train"], run.position.stage
    order = sample_order(run.seed, epoch, len(train)).to(train.target.device)
    batches = cut(order, run.batch_size, run.epoch.joins_single)
    for inputs, target in train.batches(batches, device=run.device):
        with autocast(run.device, run.config.precision):
            logits = engine.logits(engine.model.embed(inputs), stage)
            total = torch.stack([run.loss(logits[head], target) for head in heads]).sum()
        engine.clear_gradients()
        engine.backward(total)
        engine.step()


def _losses(run: "Run", model, heads: Sequence[str]) -> dict[str, dict[str, float]]:
    """Return the loss of each head on the training and the validation split."""
    seen = {
        split: evaluate(model, run.splits[split], device=run.device, loss=run.loss, precision=run.config.precision)
        for split in ("train", "validation")
    }
    return {head: {split: one.loss(head) for split, one in seen.items()} for head in heads}
