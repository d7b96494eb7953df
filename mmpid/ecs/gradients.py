"""Proxies that differentiate the model: they work on a copy in evaluation mode and leave the model as it was.

Every function returns strengths by class, (M, K), and by modality, (M,) or None for the mean over classes.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call

from mmpid.ecs.evidence import ProxyEvidence, ProxySettings, class_weights, frozen_copy
from mmpid.ecs.logits import Strength
from mmpid.errors import InputError

Parameters = dict[str, Tensor]


class Bench:
    """A copy of the model on one batch: forward passes at any parameters, with the batch's class means at hand."""

    def __init__(self, evidence: ProxyEvidence, settings: ProxySettings):
        self.model = frozen_copy(evidence.model)
        rows = _thin(len(evidence.inputs_target), settings.max_samples).to(evidence.inputs_target.device)
        self.inputs = {name: value[rows] for name, value in evidence.inputs.items()}
        self.target = evidence.inputs_target[rows]
        self.n_classes = evidence.n_classes
        self.modalities = evidence.modalities
        self.parameters = {name: p.detach().requires_grad_() for name, p in self.model.named_parameters()}
        self.weights = class_weights(self.target, self.n_classes, next(iter(self.parameters.values())).dtype)

    def forward(self, parameters: Parameters):
        """Output of the model at `parameters`."""
        return functional_call(self.model, parameters, (self.inputs,))

    def class_logits(self, parameters: Parameters) -> Tensor:
        """Class-mean unimodal logits (M, K)."""
        unimodal = self.forward(parameters).unimodal
        own = [unimodal[name].gather(1, self.target[:, None]).squeeze(1) for name in self.modalities]
        return torch.stack(own) @ self.weights

    def class_losses(self) -> Tensor:
        """Mean joint cross-entropy of the samples of each class, (K,); 0 for absent classes."""
        loss = nn.functional.cross_entropy(self.forward(self.parameters).logits, self.target, reduction="none")
        return loss @ self.weights.nan_to_num(nan=0.0)

    def of_modality(self, name: str) -> list[str]:
        """Names of the parameters of one encoder."""
        return [key for key in self.parameters if key.startswith(f"encoders.{name}.")]

    @property
    def absent(self) -> Tensor:
        """Mask (K,) of the classes that the batch does not contain."""
        return self.weights.isnan().any(0)


def gradient_share(bench: Bench, settings: ProxySettings) -> Strength:
    """Share of the gradient norm, g_r / sum of g, with g_r the norm of the joint loss's gradient in encoder r.

    By class the loss is that of the samples of the class. The solvable model has g = kappa d Lambda^(q-1) =
    kappa ECS^(q-2) Lambda before discovery; after it the norm falls, while its share stays informative. Equal shares
    where no gradient flows at all.
    """
    losses = bench.class_losses()
    present = (~bench.absent).to(losses)
    counts = torch.bincount(bench.target, minlength=bench.n_classes).to(losses)
    rows = torch.cat([torch.diag(present), (counts / counts.sum()).unsqueeze(0)])
    gradients = _batched_gradients(losses, list(bench.parameters.values()), rows)
    by_name = dict(zip(bench.parameters, gradients, strict=True))
    norms = torch.stack([_norm(bench, by_name, name, rows) for name in bench.modalities])
    total = norms.sum(0)
    share = torch.where(total > 0, norms / total, 1 / len(norms))
    return torch.where(bench.absent, torch.nan, share[:, :-1]), share[:, -1]


def look_ahead(bench: Bench, settings: ProxySettings) -> Strength:
    """Class-mean unimodal logit after h steps of unimodal gradient descent on a copy, c_jr(theta_h).

    Every modality takes its own steps on CE(f^r), so the joint loss plays no part; h and the step size are
    `look_ahead_steps` and `learning_rate`. Costs h forward and backward passes and one forward pass.
    """
    parameters = bench.parameters
    for _ in range(settings.look_ahead_steps):
        unimodal = bench.forward(parameters).unimodal
        loss = sum(nn.functional.cross_entropy(unimodal[name], bench.target) for name in bench.modalities)
        parameters = _descend(loss, parameters, settings.learning_rate)
    with torch.no_grad():
        return bench.class_logits(parameters), None


def logit_velocity(bench: Bench, settings: ProxySettings) -> Strength:
    """Velocity of the class-mean unimodal logit under joint training, <grad c_jr, -grad L>, per unit of step size.

    A finite difference along -grad L: one forward and backward pass of the joint loss and two forward passes. The
    solvable model has c_jr times q kappa (1 - p_j) ECS^(q-2): a cold-start proxy that fades once classes are learned.
    """
    loss = nn.functional.cross_entropy(bench.forward(bench.parameters).logits, bench.target)
    gradients = torch.autograd.grad(loss, list(bench.parameters.values()), allow_unused=True)
    norm = sum(g.square().sum() for g in gradients if g is not None).sqrt()
    step = 1e-2 / norm.clamp(min=torch.finfo(norm.dtype).tiny)
    ahead = _move(bench.parameters, gradients, float(step))
    with torch.no_grad():
        return (bench.class_logits(ahead) - bench.class_logits(bench.parameters)) / step, None


def ntk_alignment(bench: Bench, settings: ProxySettings) -> Strength:
    """Alignment of the tangent kernel of f_j^r with its class, y' K y / (|K|_F |y|^2), y the class indicator.

    K is the Gram matrix of the gradients of f_j^r in all parameters, over at most `n_ntk_samples` samples, so it
    lies in [0, 1]. Costs one backward pass per class and sample of that small batch.
    """
    rows = _round_robin(bench.target, settings.n_ntk_samples)
    inputs = {name: value[rows] for name, value in bench.inputs.items()}
    indicator = nn.functional.one_hot(bench.target[rows], bench.n_classes).to(bench.weights)
    alignments = []
    for name in bench.modalities:
        gram = _tangent_gram(bench, inputs, name)
        fit = torch.einsum("nk,knm,mk->k", indicator, gram, indicator)
        alignments.append(fit / (gram.flatten(1).norm(dim=1) * indicator.sum(0)))
    return torch.where(indicator.sum(0) > 0, torch.stack(alignments), torch.nan), None


def _tangent_gram(bench: Bench, inputs: dict[str, Tensor], name: str) -> Tensor:
    """Gram matrices (K, n, n) of the gradients of each unimodal logit of one modality."""
    own = (f"encoders.{name}.", f"heads.{name}.")
    chosen = {k: p for k, p in bench.parameters.items() if k.startswith(own)}
    rest = {k: p.detach() for k, p in bench.parameters.items() if k not in chosen}

    def one(parameters, sample):
        batch = {m: value.unsqueeze(0) for m, value in sample.items()}
        return functional_call(bench.model, parameters | rest, (batch,)).unimodal[name][0]

    per_sample = torch.func.vmap(torch.func.jacrev(one), in_dims=(None, 0))(chosen, inputs)
    flat = [g.flatten(2).transpose(0, 1) for g in per_sample.values()]
    return sum(g @ g.mT for g in flat)


def _batched_gradients(losses: Tensor, parameters: list[Tensor], rows: Tensor) -> list[Tensor | None]:
    """Gradients of rows @ losses, each with a leading axis for the rows."""
    return torch.autograd.grad(losses, parameters, rows, allow_unused=True, is_grads_batched=True)


def _norm(bench: Bench, gradients: dict[str, Tensor | None], name: str, rows: Tensor) -> Tensor:
    found = [gradients[key].flatten(1).square().sum(1) for key in bench.of_modality(name) if gradients[key] is not None]
    return sum(found).sqrt() if found else rows.new_zeros(len(rows))


def _descend(loss: Tensor, parameters: Parameters, rate: float) -> Parameters:
    return _move(parameters, torch.autograd.grad(loss, list(parameters.values()), allow_unused=True), rate)


def _move(parameters: Parameters, gradients, rate: float) -> Parameters:
    moved = {}
    for (name, value), gradient in zip(parameters.items(), gradients, strict=True):
        step = value if gradient is None else value - rate * gradient
        moved[name] = step.detach().requires_grad_()
    return moved


def _thin(length: int, at_most: int) -> Tensor:
    return torch.arange(min(length, at_most)) * length // min(length, at_most)


def _round_robin(target: Tensor, at_most: int) -> Tensor:
    """Rows that take the classes in turn, so that a small batch holds as many of each as it can."""
    member = nn.functional.one_hot(target)
    turn = (member.cumsum(0) * member).sum(1)
    return turn.argsort(stable=True)[:at_most]


def need_late_fusion(model: nn.Module, modalities: tuple[str, ...]) -> None:
    """Raise unless `model.encoders` has an encoder for every modality."""
    encoders = getattr(model, "encoders", {})
    missing = [name for name in modalities if name not in encoders]
    if missing:
        raise InputError(
            f"`model` must have `encoders`, a ModuleDict with an encoder for every modality; {missing[0]!r} is missing "
            f"in {type(model).__name__}. Build it as LateFusion(encoders={{...}}, n_classes=K)."
        )
