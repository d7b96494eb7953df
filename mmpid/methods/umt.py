"""UMT: unimodal teachers keep joint training from forgetting what each modality can learn alone."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mmpid import _validate
from mmpid.models.copies import copy_model
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context


def distillation(student: Tensor, teacher: Tensor) -> Tensor:
    """Return the squared difference of two embeddings, averaged over samples and dimensions; the teacher is fixed."""
    return functional.mse_loss(student, teacher.detach())


class UMT(Callback):
    """Unimodal teachers (UMT): each embedding is held near the embedding of a frozen encoder trained alone.

    ``strength * mean |z_m - z_m^teacher|^2`` is added to the loss for each modality. Teachers are made when joint
    training starts: after a unimodal stage they are its encoders. Without one, a copy of the model is trained for
    `epochs` epochs on the unimodal losses.

    Parameters
    ----------
    strength : float
        Weight of the distance; the paper tunes it, and a later benchmark uses 10.
    epochs : int
        Epochs of the teachers' training if there was no unimodal stage.

    Notes
    -----
    Works for every fusion and any number of modalities. Costs one forward pass of every teacher per batch and, without
    a unimodal stage, the teachers' training. The run's budget does not count that training: keep this in mind when
    comparing.

    How it can mislead. After a unimodal stage the students start as their own teachers, so the term starts at zero and
    only holds them there. The distance has the units of the embeddings: a good strength for one encoder can be a bad
    one for another.

    References
    ----------
    Du et al. (2023), On uni-modal feature learning in supervised multi-modal learning, ICML, section 4.

    Examples
    --------
    >>> float(distillation(torch.ones(2, 3), torch.zeros(2, 3)))
    1.0
    """

    def __init__(self, strength: float = 10.0, *, epochs: int = 10):
        self.strength = _validate.number(strength, "strength", low=0, finite=True)
        self.epochs = _validate.number(epochs, "epochs", low=1, integer=True)

    def setup(self, ctx: Context) -> None:  # noqa: D102
        self._teachers = copy_model(ctx.model.encoders).requires_grad_(requires_grad=False).eval()
        self._taught = False

    def on_epoch_start(self, ctx: Context) -> None:
        """Make the teachers when joint training starts."""
        if ctx.stage == "joint" and not self._taught:
            alone = ctx.trained_copy(ctx.modalities, self.epochs) if ctx.epoch == 0 else ctx.model
            self._teachers.load_state_dict(alone.encoders.state_dict())
            self._taught = True

    def compute_loss(self, ctx: Context) -> Mapping[str, Tensor] | None:
        """Return the weighted distance of each modality."""
        if ctx.stage != "joint":
            return None
        with torch.no_grad():
            targets = {name: self._teachers[name](ctx.inputs[name]) for name in ctx.modalities}
        return {f"umt.{name}": self.strength * distillation(ctx.features[name], z) for name, z in targets.items()}

    def state_dict(self) -> dict[str, Any]:  # noqa: D102
        return {"taught": self._taught, "teachers": dict(self._teachers.state_dict()) if self._taught else {}}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: D102
        self._taught = state["taught"]
        if self._taught:
            self._teachers.load_state_dict(state["teachers"])
