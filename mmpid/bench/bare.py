"""The baselines for the engine: the loop that one would write by hand, and a callback that does nothing."""

from typing import cast

import torch
from torch.nn import functional

from mmpid.datasets import MultimodalData
from mmpid.models import LateFusion
from mmpid.train import Callback, Context, TrainConfig
from mmpid.train.random_numbers import mix


class BareLoop:
    """The training that the trainer does, as a loop by hand."""

    def __init__(self, model: LateFusion, data: MultimodalData, stage: str):
        config = TrainConfig()
        self.model, self.data, self.joint, self.epoch = model, data, stage == "joint", 0
        self.batch_size, self.aux = config.batch_size, config.aux_weight
        self.optimizer = torch.optim.SGD(
            model.parameters(), lr=config.lr, momentum=config.momentum, weight_decay=config.weight_decay
        )
        self.train_split, self.validation = data.split("train"), data.split("validation")

    def train(self, epochs: int) -> float:
        """Train some epochs; return the last validation accuracy."""
        return [self._train_epoch() for _ in range(epochs)][-1]

    def _train_epoch(self) -> float:
        for index in self._order().split(self.batch_size):
            inputs = {name: x[index] for name, x in self.train_split.inputs.items()}
            self.update(inputs, self.train_split.target[index])
        self.epoch += 1
        return self._validate()

    def update(self, inputs: dict[str, torch.Tensor], target: torch.Tensor) -> None:
        """Take one optimizer step."""
        if self.joint:
            output = self.model(inputs)
            parts = [functional.cross_entropy(z, target) for z in output.unimodal.values()]
            loss = functional.cross_entropy(output.logits, target) + self.aux * sum(parts)
        else:
            model = self.model
            logits = [model.heads[name](model.encoders[name](inputs[name])) for name in model.modalities]
            loss = cast(torch.Tensor, sum(functional.cross_entropy(z, target) for z in logits))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()

    def _order(self) -> torch.Tensor:
        generator = torch.Generator().manual_seed(mix(0, 2, self.epoch))
        return torch.randperm(len(self.train_split), generator=generator)

    def _validate(self) -> float:
        self.model.eval()
        with torch.inference_mode():
            logits = self.model(self.validation.inputs).logits
        self.model.train()
        return float((logits.argmax(1) == self.validation.target).float().mean())


class Passing(Callback):
    """A callback that is called in every batch and does nothing."""

    def on_features(self, ctx: Context) -> None:
        """Do nothing."""

    def on_after_backward(self, ctx: Context) -> None:
        """Do nothing."""
