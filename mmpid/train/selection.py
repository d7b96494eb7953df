"""Which epoch's weights are reported: the best on the validation split, one choice for each head."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from mmpid.models import LateFusion
from mmpid.models.weights import copy_weights, put_weights
from mmpid.train.evaluation import Evaluation


class Selector:
    """Keeps, for each head, the weights of its best epoch.

    In stage 1 each modality has its own best epoch, as independently trained models would; in stage 2 the joint head
    has one for the whole model. Best means the highest metric, the lower loss among equals.
    """

    def __init__(self, how: str, metric: str | Callable[..., Any], device: torch.device):
        self.how, self.metric, self.device = how, metric, device
        self.choices: dict[str, dict[str, Any]] = {}
        self.weights: dict[str, dict[str, Any]] = {}

    def offer(self, model: LateFusion, seen: Evaluation, stage: str, epoch: int) -> None:
        """Keep the present weights of every head that is better than before; "last" always is."""
        for head in ("joint",) if stage == "joint" else model.modalities:
            score, loss = seen.metric(self.metric, head), seen.loss(head)
            best = self.choices.get(head)
            if best and self.how != "last" and (score, -loss) <= (best["score"], -best["loss"]):
                continue
            self.choices[head] = {"epoch": epoch, "score": score, "loss": loss}
            self.weights[head] = copy_weights(_part(model, head))

    def apply(self, model: LateFusion, stage: str) -> None:
        """Load the selected weights into a model."""
        for head in ("joint",) if stage == "joint" else model.modalities:
            put_weights(model, self.weights.get(head, {}))

    def forget(self) -> None:
        """Start again: another stage, or another past."""
        self.choices, self.weights = {}, {}

    def epochs_since_best(self, stage: str, modalities: tuple[str, ...], epoch: int) -> int:
        """Return for how many epochs no head of the stage has become better."""
        heads = ("joint",) if stage == "joint" else modalities
        return epoch - max((self.choices[head]["epoch"] for head in heads if head in self.choices), default=epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return choices and weights by head."""
        return {"choices": {head: dict(choice) for head, choice in self.choices.items()}, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Load :meth:`state_dict`."""
        self.choices = {head: dict(choice) for head, choice in state["choices"].items()}
        self.weights = {
            head: {k: x.to(self.device) if isinstance(x, Tensor) else x for k, x in copy_weights(part).items()}
            for head, part in state["weights"].items()
        }


def _part(model: LateFusion, head: str) -> dict[str, Any]:
    """Return the weights that a head's output depends on."""
    state = model.state_dict()
    if head == "joint":
        return state
    return {k: v for k, v in state.items() if k.startswith((f"encoders.{head}.", f"heads.{head}."))}
