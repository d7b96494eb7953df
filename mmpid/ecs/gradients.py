"""Proxies that differentiate the model, which stays as it was.

Every function returns strengths by class, (M, K), or (M, K + 1) with those by modality in the last column. A bench does
the differentiation: in closed form where the encoders are dense and the joint head is linear, by autograd on a copy in
evaluation mode otherwise.
"""

from functools import cached_property
from typing import cast

import torch
from torch import Tensor, nn

from mmpid.ecs.batch import GradientBatch
from mmpid.ecs.dense import DenseBench, DenseLayers, dense_layers
from mmpid.ecs.evidence import ProxyEvidence, ProxySettings, frozen_copy
from mmpid.ecs.tangent import LayerHooks, class_gradient_norms, tangent_gram
from mmpid.errors import InputError
from mmpid.models import LateFusion


def find_layers(evidence: ProxyEvidence) -> DenseLayers | None:
    """Return the layers of the model if its gradients can be written out, else None, if there are encoders."""
    model = cast(nn.Module, evidence.model)
    layers = dense_layers(model, evidence.modalities)
    if layers is None:
        _need_encoders(model, evidence.modalities)
    return layers


def make_bench(
    evidence: ProxyEvidence, settings: ProxySettings, layers: DenseLayers | None
) -> "DenseBench | ModelBench":
    """Return the bench on which the model of the evidence is differentiated."""
    model = cast(nn.Module, evidence.model)
    first = next(model.parameters(), None) if layers is None else layers.by_depth[0][0][0]
    dtype = torch.get_default_dtype() if first is None else first.dtype
    batch = evidence.gradient_batch(settings.max_samples, dtype)
    return ModelBench(model, batch) if layers is None else DenseBench(cast(LateFusion, model), batch, layers)


def gradient_share(bench: "DenseBench | ModelBench", settings: ProxySettings) -> Tensor:
    """Share of the gradient norm, g_r / sum of g, with g_r the norm of the joint loss's gradient in encoder r.

    By class the loss is that of the samples of the class. The solvable model has g = kappa d Lambda^(q-1) =
    kappa ECS^(q-2) Lambda before discovery; after it the norm falls, while its share stays informative. The shares are
    equal if no gradient flows.
    """
    norms = bench.gradient_norms(bench.batch.classes.means)  # above zero: if all are zero, the shares are equal
    return norms / norms.sum(0)  # NaN for absent classes


def look_ahead(bench: "DenseBench | ModelBench", settings: ProxySettings) -> Tensor:
    """Class-mean unimodal logit after h steps of unimodal gradient descent on a copy, c_jr(theta_h).

    Every modality takes its own steps on CE(f^r), so the joint loss plays no part; h and the step size are
    `look_ahead_steps` and `learning_rate`. Costs h forward and backward passes and one forward pass.
    """
    return bench.look_ahead(settings.look_ahead_steps, settings.learning_rate)


def logit_velocity(bench: "DenseBench | ModelBench", settings: ProxySettings) -> Tensor:
    """Velocity of the class-mean unimodal logit under joint training, <grad c_jr, -grad L>, per unit of step size.

    One forward and backward pass of the joint loss and one pass along -grad L: exact where the encoders are dense and
    the joint head is linear, otherwise a finite difference, which takes two forward passes. The solvable model has
    c_jr times q kappa (1 - p_j) ECS^(q-2): a cold-start proxy that fades once classes are learned.
    """
    return bench.velocity()


def ntk_alignment(bench: "DenseBench | ModelBench", settings: ProxySettings) -> Tensor:
    """Alignment of the tangent kernel of f_j^r with its class, y' K y / (|K|_F |y|^2), y the class indicator.

    K is the Gram matrix of the gradients of f_j^r in all parameters, over at most `n_ntk_samples` samples, so it
    lies in [0, 1]. Costs one backward pass per class over that small batch for encoders of dense layers, and one per
    class and sample for other encoders.
    """
    n = min(settings.n_ntk_samples, bench.batch.target.shape[0])
    both, count = bench.batch.pairs(n)
    grams = bench.kernels(n).flatten(2)
    fit = torch.linalg.vecdot(grams, both)
    return fit / torch.linalg.vecdot(grams, grams).sqrt_().mul_(count)  # 0 / 0 for classes without samples


class ModelBench:
    """A copy of any late-fusion model on one batch, which moves its parameters and puts them back."""

    def __init__(self, model: nn.Module, batch: GradientBatch):
        self.batch = batch
        self.model = frozen_copy(model).requires_grad_()
        self.parameters: list[Tensor] = list(self.model.parameters())

    @cached_property
    def start(self) -> list[Tensor]:
        """Parameters as they were."""
        return [p.detach().clone() for p in self.parameters]

    @torch.enable_grad()
    def gradient_norms(self, weights: Tensor) -> Tensor:
        """Norms (M, C), above zero, of the gradients of weights (C, n) @ joint losses (n,) in each encoder."""
        with LayerHooks(self.model, self.batch.modalities, heads=False) as hooks:
            logits = self.model(self.batch.inputs).logits
        losses = nn.functional.cross_entropy(logits, self.batch.target, reduction="none")
        names = self.batch.modalities
        norms = torch.stack([class_gradient_norms(hooks, name, losses, weights.T) for name in names]).detach()
        return norms.clamp_min_(torch.finfo(norms.dtype).tiny)

    @torch.enable_grad()
    def look_ahead(self, steps: int, rate: float) -> Tensor:
        """Class-mean unimodal logits (M, K) after `steps` steps of unimodal descent."""
        start = self.start
        for _ in range(steps):
            unimodal = self.model(self.batch.inputs).unimodal
            losses = (nn.functional.cross_entropy(unimodal[name], self.batch.target) for name in self.batch.modalities)
            self._move(torch.autograd.grad(cast(Tensor, sum(losses)), self.parameters, allow_unused=True), rate)
        ahead = self._class_logits()
        self._reset(start)
        return ahead

    @torch.enable_grad()
    def velocity(self) -> Tensor:
        """Change (M, K) of the class-mean unimodal logits per unit of step size, as a finite difference."""
        start = self.start
        loss = nn.functional.cross_entropy(self.model(self.batch.inputs).logits, self.batch.target)
        gradients = torch.autograd.grad(loss, self.parameters, allow_unused=True)
        norm = torch.stack([g.square().sum() for g in gradients if g is not None]).sum().sqrt()
        step = 1e-2 / float(norm.clamp(min=torch.finfo(norm.dtype).tiny))
        before = self._class_logits()
        self._move(gradients, step)
        after = self._class_logits()
        self._reset(start)
        return (after - before) / step

    @torch.enable_grad()
    def kernels(self, n: int) -> Tensor:
        """Gram matrices (M, K, n, n) of the gradients of each unimodal logit on the first n samples."""
        inputs = {name: value[:n] for name, value in self.batch.inputs.items()}
        return torch.stack([tangent_gram(self.model, inputs, name) for name in self.batch.modalities]).detach()

    @torch.no_grad()
    def _class_logits(self) -> Tensor:
        unimodal = self.model(self.batch.inputs).unimodal
        return self.batch.class_logits(torch.stack([unimodal[name].T for name in self.batch.modalities]))

    @torch.no_grad()
    def _move(self, gradients: tuple[Tensor | None, ...], rate: float) -> None:
        moved = [(p, g) for p, g in zip(self.parameters, gradients, strict=True) if g is not None]
        if moved:
            parameters, steps = [p for p, _ in moved], [g for _, g in moved]
            torch._foreach_add_(parameters, steps, alpha=-rate)  # pyright: ignore[reportPrivateImportUsage]

    @torch.no_grad()
    def _reset(self, start: list[Tensor]) -> None:
        torch._foreach_copy_(self.parameters, start)  # pyright: ignore[reportPrivateImportUsage]


def _need_encoders(model: nn.Module, modalities: tuple[str, ...]) -> None:
    """Raise unless `model.encoders` has an encoder for every modality."""
    encoders = getattr(model, "encoders", {})
    missing = [name for name in modalities if name not in encoders]
    if missing:
        raise InputError(
            f"`model` must have `encoders`, a ModuleDict with an encoder for every modality; {missing[0]!r} is missing "
            f"in {type(model).__name__}. Build it as LateFusion(encoders={{...}}, n_classes=K)."
        )
