"""Gradients of many outputs at once: norms by class, and tangent kernels.

The gradient of sample i in the weights of a dense layer is the outer product of its input a_i and of the gradient
b_i at its output, so inner products between samples are (b_i . b_k) (a_i . a_k + 1), the 1 for the bias: one backward
pass to the outputs of the layers replaces one pass per sample. Encoders with other layers use one pass per sample.
"""

from collections.abc import Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call

_Layer = tuple[Tensor, Tensor, bool]  # input, output, whether there is a bias


class LayerHooks:
    """While open, record the inputs and outputs of each modality's dense layers in a forward pass.

    `layers[name]` is a list of (input, output, has_bias), or None if the modality has parameters elsewhere, or a layer
    that is not used exactly once on a batch of vectors.
    """

    def __init__(self, model: nn.Module, modalities: tuple[str, ...], heads: bool):
        self.model, self.heads = model, heads
        self.layers: dict[str, list[_Layer] | None] = {name: [] for name in modalities}
        self.expected: dict[str, int] = {}
        self.handles: list = []

    def __enter__(self) -> "LayerHooks":
        for name in self.layers:
            dense = [m for part in self.parts(name) for m in part.modules() if isinstance(m, nn.Linear)]
            held = {id(p) for m in dense for p in m.parameters()}
            if any(id(p) not in held for p in self.parameters(name)):
                self.layers[name] = None
                continue
            self.expected[name] = len(dense)
            self.handles += [m.register_forward_hook(self._hook(name)) for m in dense]
        return self

    def __exit__(self, *_) -> None:
        for handle in self.handles:
            handle.remove()
        for name, seen in self.layers.items():
            # a layer that runs twice, or over sequences, has products between its uses that the formula lacks
            if seen is not None and (len(seen) != self.expected[name] or any(a.ndim != 2 for a, _, _ in seen)):
                self.layers[name] = None

    def parts(self, name: str) -> list[nn.Module]:
        """Return the encoder of a modality, and its head if requested."""
        heads = getattr(self.model, "heads", {})
        return [cast(Any, self.model).encoders[name]] + ([heads[name]] if self.heads and name in heads else [])

    def parameters(self, name: str) -> list[Tensor]:
        """Return the parameters of a modality."""
        return [p for part in self.parts(name) for p in part.parameters()]

    def _hook(self, name: str):
        def note(module, inputs, output):
            cast("list[_Layer]", self.layers[name]).append((inputs[0].detach(), output, module.bias is not None))
            return output.clone()  # so that an in-place activation cannot change what was recorded

        return note


def class_gradient_norms(hooks: LayerHooks, name: str, losses: Tensor, weights: Tensor) -> Tensor:
    """Norms (C,) of the gradients of losses (n,) @ weights (n, C) in the encoder of one modality."""
    layers = hooks.layers[name]
    if layers is None:
        return _norms_one_by_one(losses @ weights, hooks.parameters(name))
    if not layers:
        return losses.new_zeros(weights.shape[1])
    slopes = torch.autograd.grad(losses.sum(), [out for _, out, _ in layers], retain_graph=True, allow_unused=True)
    pairs = [(layer, b) for layer, b in zip(layers, slopes, strict=True) if b is not None]
    parts = ((b @ b.T) * _inner(layer) for layer, b in pairs)
    gram = cast(Tensor, sum(parts)) if pairs else losses.new_zeros(len(losses), len(losses))
    return (weights * (gram @ weights)).sum(0).clamp_min(0).sqrt()


def tangent_gram(model: nn.Module, inputs: Mapping[str, Tensor], name: str) -> Tensor:
    """Gram matrices (K, n, n) of the gradients of each unimodal logit of one modality in its encoder and head."""
    with LayerHooks(model, (name,), heads=True) as hooks:
        logits = model(inputs).unimodal[name]
    layers = hooks.layers[name]
    if not layers:
        return _gram_one_by_one(model, inputs, name)
    n, k = logits.shape
    picks = torch.eye(k).to(logits).unsqueeze(1).expand(k, n, k)
    outputs = [out for _, out, _ in layers]
    slopes = torch.autograd.grad(logits, outputs, picks, is_grads_batched=True)
    return cast(Tensor, sum((b @ b.mT) * _inner(layer) for layer, b in zip(layers, slopes, strict=True)))


def _inner(layer: _Layer) -> Tensor:
    """Inner products (n, n) of the inputs of a layer, with 1 for its bias."""
    a, _, has_bias = layer
    return a @ a.T + float(has_bias)


def _norms_one_by_one(losses: Tensor, parameters: list[Tensor]) -> Tensor:
    norms = []
    for loss in losses:
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        squares = [g.square().sum() for g in gradients if g is not None]
        norms.append(torch.stack(squares).sum().sqrt() if squares else loss.new_zeros(()))
    return torch.stack(norms)


def _gram_one_by_one(model: nn.Module, inputs: Mapping[str, Tensor], name: str) -> Tensor:
    own = (f"encoders.{name}.", f"heads.{name}.")
    values = {key: p.detach() for key, p in model.named_parameters()}
    chosen = {key: value for key, value in values.items() if key.startswith(own)}

    def one(parameters, sample):
        batch = {key: value.unsqueeze(0) for key, value in sample.items()}
        return functional_call(model, values | parameters, (batch,)).unimodal[name][0]

    per_sample = torch.func.vmap(torch.func.jacrev(one), in_dims=(None, 0))(chosen, dict(inputs))
    flat = [g.flatten(2).transpose(0, 1) for g in per_sample.values()]
    return cast(Tensor, sum(g @ g.mT for g in flat))
