"""Proxies that differentiate the model: they work on a copy in evaluation mode and leave the model as it was.

Every function returns strengths by class, (M, K), and by modality, (M,) or None for the mean over classes.
"""

import torch
from torch import Tensor, nn

from mmpid.ecs.evidence import ProxyEvidence, ProxySettings, class_weights, frozen_copy
from mmpid.ecs.logits import Strength
from mmpid.ecs.tangent import Taps, class_gradient_norms, tangent_gram
from mmpid.errors import InputError


class Bench:
    """A copy of the model on one batch, which moves its parameters and puts them back."""

    def __init__(self, evidence: ProxyEvidence, settings: ProxySettings):
        self.model = frozen_copy(evidence.model).requires_grad_()
        rows = _thin(len(evidence.inputs_target), settings.max_samples).to(evidence.inputs_target.device)
        self.inputs = {name: value[rows] for name, value in evidence.inputs.items()}
        self.target = evidence.inputs_target[rows]
        self.n_classes = evidence.n_classes
        self.modalities = evidence.modalities
        self.parameters = list(self.model.parameters())
        self.start = [p.detach().clone() for p in self.parameters]
        self.weights = class_weights(self.target, self.n_classes, self.parameters[0].dtype)
        self.absent = self.weights.isnan().any(0)

    def class_logits(self) -> Tensor:
        """Class-mean unimodal logits (M, K)."""
        with torch.no_grad():
            unimodal = self.model(self.inputs).unimodal
        scores = torch.stack([unimodal[name] for name in self.modalities])
        index = self.target.expand(scores.shape[:-1]).unsqueeze(-1)
        return scores.gather(-1, index).squeeze(-1) @ self.weights

    def descend(self, loss: Tensor, rate: float) -> None:
        """Move every parameter by -rate times the gradient of the loss."""
        self.move(torch.autograd.grad(loss, self.parameters, allow_unused=True), rate)

    @torch.no_grad()
    def move(self, gradients: tuple[Tensor | None, ...], rate: float) -> None:
        """Move every parameter by -rate times its gradient."""
        moved = [(p, g) for p, g in zip(self.parameters, gradients, strict=True) if g is not None]
        if moved:
            torch._foreach_add_([p for p, _ in moved], [g for _, g in moved], alpha=-rate)

    @torch.no_grad()
    def reset(self) -> None:
        """Put the parameters back."""
        torch._foreach_copy_(self.parameters, self.start)


def gradient_share(bench: Bench, settings: ProxySettings) -> Strength:
    """Share of the gradient norm, g_r / sum of g, with g_r the norm of the joint loss's gradient in encoder r.

    By class the loss is that of the samples of the class. The solvable model has g = kappa d Lambda^(q-1) =
    kappa ECS^(q-2) Lambda before discovery; after it the norm falls, while its share stays informative. Equal shares
    where no gradient flows at all.
    """
    with Taps(bench.model, bench.modalities, heads=False) as taps:
        logits = bench.model(bench.inputs).logits
    losses = nn.functional.cross_entropy(logits, bench.target, reduction="none")
    mean = torch.full_like(losses, 1 / len(losses)).unsqueeze(1)
    weights = torch.cat([bench.weights.nan_to_num(nan=0.0), mean], 1)
    norms = torch.stack([class_gradient_norms(taps, name, losses, weights) for name in bench.modalities])
    total = norms.sum(0)
    share = torch.where(total > 0, norms / total, 1 / len(norms))
    return torch.where(bench.absent, torch.nan, share[:, :-1]), share[:, -1]


def look_ahead(bench: Bench, settings: ProxySettings) -> Strength:
    """Class-mean unimodal logit after h steps of unimodal gradient descent on a copy, c_jr(theta_h).

    Every modality takes its own steps on CE(f^r), so the joint loss plays no part; h and the step size are
    `look_ahead_steps` and `learning_rate`. Costs h forward and backward passes and one forward pass.
    """
    for _ in range(settings.look_ahead_steps):
        unimodal = bench.model(bench.inputs).unimodal
        loss = sum(nn.functional.cross_entropy(unimodal[name], bench.target) for name in bench.modalities)
        bench.descend(loss, settings.learning_rate)
    ahead = bench.class_logits()
    bench.reset()
    return ahead, None


def logit_velocity(bench: Bench, settings: ProxySettings) -> Strength:
    """Velocity of the class-mean unimodal logit under joint training, <grad c_jr, -grad L>, per unit of step size.

    A finite difference along -grad L: one forward and backward pass of the joint loss and two forward passes. The
    solvable model has c_jr times q kappa (1 - p_j) ECS^(q-2): a cold-start proxy that fades once classes are learned.
    """
    loss = nn.functional.cross_entropy(bench.model(bench.inputs).logits, bench.target)
    gradients = torch.autograd.grad(loss, bench.parameters, allow_unused=True)
    norm = torch.stack([g.square().sum() for g in gradients if g is not None]).sum().sqrt()
    step = 1e-2 / float(norm.clamp(min=torch.finfo(norm.dtype).tiny))
    before = bench.class_logits()
    bench.move(gradients, step)
    after = bench.class_logits()
    bench.reset()
    return (after - before) / step, None


def ntk_alignment(bench: Bench, settings: ProxySettings) -> Strength:
    """Alignment of the tangent kernel of f_j^r with its class, y' K y / (|K|_F |y|^2), y the class indicator.

    K is the Gram matrix of the gradients of f_j^r in all parameters, over at most `n_ntk_samples` samples, so it
    lies in [0, 1]. Costs one backward pass per class over that small batch for encoders of dense layers, and one per
    class and sample for others.
    """
    rows = _round_robin(bench.target, settings.n_ntk_samples)
    inputs = {name: value[rows] for name, value in bench.inputs.items()}
    indicator = nn.functional.one_hot(bench.target[rows], bench.n_classes).to(bench.weights)
    grams = torch.stack([tangent_gram(bench.model, inputs, name) for name in bench.modalities])
    fit = torch.einsum("nk,rknm,mk->rk", indicator, grams, indicator)
    alignment = fit / (grams.flatten(2).norm(dim=2) * indicator.sum(0))
    return torch.where(indicator.sum(0) > 0, alignment, torch.nan), None


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
