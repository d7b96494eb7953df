"""Which epoch's weights are reported: the best on the validation split, one choice for each head."""

import torch
from torch import Tensor

from mmpid.models import LateFusion
from mmpid.train.engine import Evaluation


class Selector:
    """Keeps, for each head, the weights of its best epoch.

    In stage 1 each modality has its own best epoch, as independently trained models would; in stage 2 the joint head
    has one for the whole model. Best means highest accuracy, the lower loss among equals.
    """

    def __init__(self, how: str):
        self.how = how
        self.choices: dict[str, dict] = {}
        self.weights: dict[str, dict[str, Tensor]] = {}

    def offer(self, model: LateFusion, seen: Evaluation, stage: str, epoch: int) -> None:
        """Keep the present weights of every head that is better than before; "last" always is."""
        for head in ("joint",) if stage == "joint" else model.modalities:
            accuracy, loss = seen.accuracy(head), seen.loss(head)
            best = self.choices.get(head)
            if best and self.how != "last" and (accuracy, -loss) <= (best["accuracy"], -best["loss"]):
                continue
            self.choices[head] = {"epoch": epoch, "accuracy": accuracy, "loss": loss}
            self.weights[head] = {k: v.detach().clone() for k, v in _part(model, head).items()}

    @torch.no_grad()
    def apply(self, model: LateFusion, stage: str) -> None:
        """Load the selected weights into a model."""
        own = model.state_dict()
        for head in ("joint",) if stage == "joint" else model.modalities:
            for key, value in self.weights.get(head, {}).items():
                own[key].copy_(value)

    def forget(self) -> None:
        """Start anew: another stage, or another past."""
        self.choices, self.weights = {}, {}

    def tensors(self) -> dict[str, Tensor]:
        """Return the kept weights as `head/name`."""
        return {f"{head}/{key}": t for head, part in self.weights.items() for key, t in part.items()}

    def load(self, choices: dict[str, dict], tensors: dict[str, Tensor], device) -> None:
        """Load what :attr:`choices` and :meth:`tensors` were."""
        self.forget()
        self.choices = {head: dict(choice) for head, choice in choices.items()}
        for name, tensor in tensors.items():
            head, key = name.split("/", 1)
            self.weights.setdefault(head, {})[key] = tensor.to(device, copy=True)


def _part(model: LateFusion, head: str) -> dict[str, Tensor]:
    """Return the weights that a head's output depends on."""
    state = model.state_dict()
    if head == "joint":
        return state
    return {k: v for k, v in state.items() if k.startswith((f"encoders.{head}.", f"heads.{head}."))}
