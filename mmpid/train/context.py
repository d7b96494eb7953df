"""What a callback sees and may do: the run, the batch that is trained on, and services around them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from mmpid import _validate
from mmpid.errors import InputError, ShapeError
from mmpid.models import LateFusion
from mmpid.models.modes import evaluating
from mmpid.train import trial
from mmpid.train.evaluation import Evaluation, autocast

if TYPE_CHECKING:
    from mmpid.train.run import Run


class Context:
    """The view that callbacks have of a run.

    Attributes
    ----------
    inputs : dict of str to Tensor
        Samples (B, ...) of the batch, by modality.
    target, index : Tensor
        Labels (B,), and the samples' positions in the training split (B,).
    features : dict of str to Tensor
        What the encoders made of the batch, (B, d): before fusion.
    muted : dict of str to Tensor
        Boolean masks (B,) by modality: rows whose features are set to zero before fusion.
    logits : Mapping of str to Tensor
        Logits (B, k) of each modality and "joint", of the fusion head; computed when they are first asked for.
    losses, loss_weights : dict
        Loss of each classifier that the stage trains, in nats, and the weight of each in the objective.
    validation : dict of str to dict
        At the end of an epoch: accuracy and loss of each classifier on the validation split.
    row, probe : dict
        The row of the epoch that ended; the row of the latest probe.
    """

    def __init__(self, run: "Run"):
        self._run = run
        self.caller = ""
        self.judged: LateFusion | None = None
        self.validation: dict[str, dict[str, float]] = {}
        self.row: dict[str, Any] = {}
        self.probe: dict[str, Any] = {}
        self._logs: dict[str, list[Any]] = {}
        self.start_batch({}, torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.int64))

    def start_batch(self, inputs: Mapping[str, Tensor], target: Tensor, index: Tensor) -> None:
        """Take a batch up; called by the trainer."""
        self.inputs, self.target, self.index = dict(inputs), target, index
        self.features: dict[str, Tensor] = {}
        self.muted: dict[str, Tensor] = {}
        self.losses: dict[str, Tensor] = {}
        self.loss_weights: dict[str, float] = {}
        self.logits: Mapping[str, Tensor] = {}

    def release_graph(self) -> None:
        """Let go of what the batch has computed: its memory is free for the next one; called by the trainer."""
        self.features, self.losses, self.logits = {}, {}, {}

    # ---- the run -----------------------------------------------------------------------------------------------

    @property
    def model(self) -> Any:
        """The model that is trained; in `predict` the one that is judged, such as the selected one."""
        return self._run.model if self.judged is None else self.judged

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in order."""
        return self._run.data.modalities

    @property
    def active(self) -> tuple[str, ...]:
        """Modalities whose encoders are training."""
        return self._run.position.active

    @property
    def n_classes(self) -> int:
        """Number of classes k."""
        return self._run.data.n_classes

    @property
    def stage(self) -> str:
        """The present stage, "unimodal" or "joint"."""
        return self._run.position.stage

    @property
    def epoch(self) -> int:
        """Epochs trained on the present path; the epoch under way is this one plus one."""
        return self._run.position.epoch

    @property
    def joint_epoch(self) -> int:
        """Epochs of stage 2 trained on the present path; the epoch under way is this one plus one."""
        return self._run.position.joint_epochs

    @property
    def step(self) -> int:
        """Batches trained so far."""
        return self._run.position.step

    @property
    def n_samples(self) -> int:
        """Samples of the training split."""
        return len(self._run.splits["train"])

    @property
    def n_batches(self) -> int:
        """Batches of the epoch under way."""
        return self._run.epoch.n_batches

    @property
    def batch(self) -> int:
        """Number of the batch within its epoch, from 0."""
        return self._run.position.batch

    @property
    def config(self) -> Any:
        """Settings of the run."""
        return self._run.config

    @property
    def device(self) -> torch.device:
        """Where the run trains."""
        return self._run.device

    def loss(self, logits: Tensor, target: Tensor) -> Tensor:
        """Return the loss of the settings, in nats."""
        return self._run.loss(logits, target)

    @property
    def optimizer(self) -> torch.optim.Optimizer:
        """The optimizer of the present stage."""
        return self._run.engine.optimizer

    @property
    def generator(self) -> torch.Generator:
        """The source of all random numbers of callbacks, on the CPU; its state is part of every checkpoint."""
        return self._run.random.generator

    # ---- parameters and gradients --------------------------------------------------------------------------------

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Return parameters by group.

        A modality's name stands for its encoder, "head:<modality>" for its unimodal head, "joint" for the fusion
        head and "extra:<name>" for a module that a callback added.
        """
        model = self.model
        found = {name: list(model.encoders[name].parameters()) for name in self.modalities}
        found |= {f"head:{name}": list(model.heads[name].parameters()) for name in self.modalities}
        found["joint"] = list(model.fusion.parameters())
        return found | {f"extra:{name}": list(extra.parameters()) for name, extra in model.extras.items()}

    def parameters(self, group: str) -> list[nn.Parameter]:
        """Return the parameters of one group; see :meth:`groups`."""
        groups = self.groups()
        return groups[_validate.choice(group, "group", groups, InputError)]

    def gradients(self, group: str) -> list[Tensor]:
        """Return the gradients of one group, to be changed in place; parameters without one are left out."""
        return [p.grad for p in self.parameters(group) if p.grad is not None]

    def gradients_of(self, loss: Tensor, group: str) -> list[Tensor | None]:
        """Return the gradient of a loss with respect to each trainable parameter of a group; nothing is accumulated."""
        parameters = [p for p in self.parameters(group) if p.requires_grad]
        return list(torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)) if parameters else []

    # ---- the batch -----------------------------------------------------------------------------------------------

    def keep_rows(self, mask: Tensor) -> None:
        """Remove the rows of the batch where `mask` (B,) is False, from features, labels and the rest."""
        if mask.dtype is not torch.bool or mask.shape != self.target.shape:
            raise ShapeError(
                f"`mask` must be boolean with one entry per row, {tuple(self.target.shape)}; it was {mask.dtype} of "
                f"shape {tuple(mask.shape)}. For example keep_rows(torch.rand(len(ctx.target)) > 0.5)."
            )
        self.target, self.index = self.target[mask], self.index[mask.to(self.index.device)]
        for part in (self.inputs, self.features, self.muted):
            for name, x in part.items():
                part[name] = x[mask]

    def forward(
        self,
        present: Sequence[str] | None = None,
        *,
        features: Mapping[str, Tensor] | None = None,
        training: bool = True,
        grad: bool = True,
    ) -> dict[str, Tensor]:
        """Return all logits of the batch with the features of absent modalities set to zero.

        Parameters
        ----------
        present : sequence of str, optional
            Modalities that are seen; by default all.
        features : mapping, optional
            Features to read; by default the encoders are run on `ctx.inputs` again.
        training : bool
            False runs dropout and batch normalization as in evaluation.
        grad : bool
            Whether the pass can be differentiated.
        """
        seen = self.modalities if present is None else present
        for name in seen:
            _validate.choice(name, "present", self.modalities, InputError)
        with torch.set_grad_enabled(grad), autocast(self.device, self.config.precision):
            if training:
                return self._read(features, seen)
            with evaluating(self.model):
                return self._read(features, seen)

    def _read(self, features: Mapping[str, Tensor] | None, present: Sequence[str]) -> dict[str, Tensor]:
        own = self.model.embed(self.inputs) if features is None else features
        return self.model.classify({name: x if name in present else torch.zeros_like(x) for name, x in own.items()})

    def scores(self, how: str = "head") -> dict[str, Tensor]:
        """Return unimodal logits (B, k) of the features: "head", "split" or "ablation", see `LateFusion.score`."""
        return self.model.score(embeddings=self.features, how=how)

    # ---- services ------------------------------------------------------------------------------------------------

    def evaluate(self, split: str, rows: Tensor | None = None) -> Evaluation:
        """Return logits and embeddings of "train", "probe" or "validation", in evaluation mode.

        `rows` names samples by their positions in the split; by default all are read.
        """
        _validate.choice(split, "split", ("train", "probe", "validation"), InputError)
        return self._run.evaluate(self.model, split, rows)

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of a tensor over the processes that train together; alone, the tensor itself.

        Gradients are averaged before `on_after_backward`. What scales them there must be the same in every process.
        A tensor with a gradient keeps that of this process: the average of these is the gradient of the mean.
        """
        if self._run.parallel is None:
            return values
        mean = self._run.parallel.mean(values.detach())
        return values + (mean - values.detach()) if values.requires_grad else mean

    @property
    def n_parts(self) -> int:
        """Parts of the batch, one for each process that trains on it; 1 where every process takes all of it."""
        return self._run.epoch.n_parts(self.batch)

    def own_part(self, values: Tensor) -> Tensor:
        """Return this process's rows of a tensor (n_parts * B, ...) that all have alike, such as random numbers."""
        return self._run.parallel.part(values) if self._run.parallel and self.n_parts > 1 else values

    def log(self, name: str, value: float | Tensor) -> None:
        """Log a number; its mean over the epoch stands in the epoch's row as `log.<callback>.<name>`."""
        key = f"log.{self.caller}.{name}"
        self._logs.setdefault(key, []).append(value.detach() if isinstance(value, Tensor) else float(value))

    def add_module(self, name: str, module: nn.Module) -> nn.Module:
        """Give the model an extra module; it is trained, saved and selected with the model.

        Call it in `setup`, or later, as for a network that grows; then it joins the optimizer at once. A module of
        that name that is there already, as in a branch, is returned in place of the new one.
        """
        return self._run.add_module(_validate.instance(name, "name", str, "text", "For example 'head'."), module)

    def set_samples(self, index: Tensor | None, muted: Mapping[str, Tensor] | None = None) -> None:
        """From the next epoch on, train on these positions of the training split, repeats included; None takes all.

        `muted` gives a boolean mask by modality, of the same length: rows in which that modality is muted.
        """
        self._run.epoch.set_samples(index, dict(muted or {}))

    def train_copy(self, heads: Sequence[str], epochs: int) -> dict[str, dict[str, tuple[float, float]]]:
        """Train a copy of the model on the sum of some heads' losses; return each loss before and after, by split.

        The run itself, its random numbers included, is left as it was.
        """
        return trial.train_copy(self._run, heads, _validate.number(epochs, "epochs", low=1, integer=True))

    def trained_copy(self, heads: Sequence[str], epochs: int) -> Any:
        """Return a copy of the model that was trained on the sum of some heads' losses; the run stays as it was."""
        return trial.trained_copy(self._run, heads, _validate.number(epochs, "epochs", low=1, integer=True))

    def take_logs(self) -> dict[str, float | None]:
        """Return the mean of every logged number and forget them; called by the trainer."""
        means = {key: sum(map(float, values)) / len(values) for key, values in self._logs.items()}
        self._logs = {}
        return {key: mean if mean - mean == 0 else None for key, mean in means.items()}

    def state_dict(self) -> dict[str, Any]:
        """Return the numbers that were logged in this epoch."""
        return {"logs": {key: [float(value) for value in values] for key, values in self._logs.items()}}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what :meth:`state_dict` returned."""
        self._logs = {key: list(values) for key, values in state["logs"].items()}
