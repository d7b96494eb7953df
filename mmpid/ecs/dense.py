"""Gradients of dense late-fusion models written out: all modalities stacked, no copy of the model, no autograd.

The gradient of sample i in the weights of a dense layer is the outer product of its slope b_i at the output of the
layer and of the input a_i. Moving the weights along the gradients of samples with slopes b therefore changes the
outputs of the layer on the same batch by -b (a' a + 1), the 1 for the bias: the first layer, whose inputs never
change, is known by that n x n matrix alone. Encoders narrower than others are filled up with units that stay at zero.
"""

from collections.abc import Callable, Sequence
from functools import cached_property

import torch
from torch import Tensor, nn

from mmpid.ecs.batch import GradientBatch, stacked
from mmpid.models import LateFusion
from mmpid.models.fusion import Concat, Sum

_SKIPPED = (nn.Flatten, nn.Identity, nn.Dropout)
#: Activations with f(0) = 0, and their slopes as functions of their outputs.
_ACTIVATIONS: dict[type, tuple[Callable, Callable]] = {
    nn.ReLU: (torch.relu, torch.sign),
    nn.Tanh: (torch.tanh, lambda output: 1 - output.square()),
}
_START = (False,)
_NO_ACTIVATION = (lambda before: before, torch.ones_like)


def dense_layers(model: nn.Module, modalities: Sequence[str]) -> list[list[nn.Module]] | None:
    """Return dense layers and activations of each encoder if gradients of the model can be written out, else None."""
    if not _is_linear_late_fusion(model, modalities):
        return None
    encoders = model.encoders
    stacks = [_flat(encoders[name]) for name in modalities]
    signatures = {tuple(map(_signature, stack)) if stack else None for stack in stacks}
    kinds = signatures.pop()
    # every activation comes after a dense layer, and all encoders are built alike
    fits = (
        kinds is not None
        and not signatures
        and all(one[0] or two[0] for one, two in zip((_START, *kinds), kinds, strict=False))
    )
    return stacks if fits else None


def _signature(layer: nn.Module) -> tuple:
    """Whether a layer is dense, its kind, and whether it has a bias."""
    kind = type(layer)
    return kind is nn.Linear, kind, layer._parameters.get("bias") is not None


def _is_linear_late_fusion(model: nn.Module, modalities: Sequence[str]) -> bool:
    """Whether forward is known to be linear heads, and one linear joint head, on the embeddings."""
    if not isinstance(model, LateFusion) or type(model.fusion) not in (Concat, Sum):
        return False
    own, heads = type(model), model.heads
    known = all(getattr(own, name) is getattr(LateFusion, name) for name in ("forward", "embed", "fuse"))
    return (
        known
        and set(modalities) == set(model.encoders) == set(heads)
        and all(type(head) is nn.Linear and head.bias is not None for head in heads.values())
        and _is_uniform_without_hooks(model)
    )


def _is_uniform_without_hooks(model: nn.Module) -> bool:
    """Whether all parameters have one dtype and device and no module has hooks; seen in one walk, which is not free."""
    kinds, left = set(), [model]
    while left:
        module = left.pop()
        if module is None:
            continue
        if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
            return False
        for parameter in module._parameters.values():
            if parameter is not None:
                kinds.add((parameter.dtype, parameter.device))
        left.extend(module._modules.values())
    return len(kinds) == 1


def _flat(encoder: nn.Module) -> list[nn.Module] | None:
    """Layers of nested sequences of dense layers, None where there is any other layer."""
    if isinstance(encoder, nn.Sequential) and type(encoder).forward is nn.Sequential.forward:
        parts = [_flat(module) for module in encoder]
        return None if None in parts else [layer for part in parts for layer in part]
    if isinstance(encoder, nn.Flatten) and (encoder.start_dim, encoder.end_dim) != (1, -1):
        return None
    if type(encoder) in _SKIPPED:
        return []
    return [encoder] if type(encoder) is nn.Linear or type(encoder) in _ACTIVATIONS else None


class DenseBench:
    """A dense model on one batch. Layers are numbered from the inputs on; the unimodal heads are the last one.

    Features come before samples. `first` (M, h, n) are the outputs of layer 0 before its activation; `weights[i]`
    (M, out, in) and `biases[i]` (M, out, 1) belong to layer i + 1; `inner[i]` (M, n, n) are inner products of the
    inputs of layer i of the encoder.
    """

    @torch.inference_mode()
    def __init__(self, model: LateFusion, batch: GradientBatch, stacks: list[list[nn.Module]]):
        self.batch = batch
        self.activations = _activations(stacks[0])
        heads = model.heads
        own = [[m for m in stack if type(m) is nn.Linear] for stack in stacks]
        own = [layers + [heads[name]] for layers, name in zip(own, batch.modalities, strict=True)]
        first, *later = zip(*own, strict=True)
        self.first = stacked([_affine(layer, x) for layer, x in zip(first, batch.columns, strict=True)])
        self.weights = [stacked([layer.weight for layer in layers]) for layers in later]
        self.biases = [_biases(layers) for layers in later]
        self.outputs = self._forward(self.first, self.weights, self.biases)
        self.slopes_of = self._activation_slopes(self.outputs)
        one, *ones = [float(layer.bias is not None) for layer in own[0][:-1]]
        later = zip(self.outputs[:-2], ones, strict=True)
        self.inner = [batch.input_products(one), *(torch.bmm(a.mT, a).add_(own) for a, own in later)]
        self.joint = _joint_weights(model, batch.modalities, self.weights[-1].shape[2])

    # ---- what the proxies ask for ----------------------------------------------------------------------------

    def gradient_norms(self, weights: Tensor) -> Tensor:
        """Norms (M, C), above zero, of the gradients of weights (C, n) @ joint losses (n,) in each encoder."""
        gram = None
        for b, inner in zip(self._joint_slopes, self.inner, strict=True):
            own = torch.bmm(b.mT, b)
            gram = own.mul_(inner) if gram is None else gram.addcmul_(own, inner)
        by_column = weights.T
        squares = torch.linalg.vecdot(gram @ by_column, by_column, dim=1)
        return squares.clamp_min_(torch.finfo(gram.dtype).tiny).sqrt_()

    def velocity(self) -> Tensor:
        """Change (M, K) of the class-mean unimodal logits per unit of step size of joint descent."""
        moved = None
        for i, (b, inner) in enumerate(zip(self._joint_slopes, self.inner, strict=True)):
            own = torch.bmm(b, inner)
            moved = own if moved is None else own.baddbmm_(self.weights[i - 1], moved)
            moved.mul_(self.slopes_of[i])
        return self.batch.class_logits(torch.bmm(self.weights[-1], moved)) / -self.batch.target.shape[0]

    def look_ahead(self, steps: int, rate: float) -> Tensor:
        """Class-mean unimodal logits (M, K) after `steps` steps of unimodal descent."""
        first, outputs, weights, biases = self.first, self.outputs, list(self.weights), list(self.biases)
        rate = -rate / self.batch.target.shape[0]
        for step in range(steps):
            slopes_of = self._activation_slopes(outputs) if step else self.slopes_of
            top = outputs[-1].softmax(1).sub_(self.batch.classes.member)
            slopes = [*self._backward(torch.bmm(weights[-1].mT, top), weights, slopes_of), top]
            move = Tensor.baddbmm_ if step else torch.baddbmm  # after the first step they are our own
            for i, (source, slope) in enumerate(zip(outputs, slopes[1:], strict=False)):
                weights[i] = move(weights[i], slope, source.mT, alpha=rate)
                if biases[i] is not None:
                    biases[i] = biases[i].add(slope.sum(2, keepdim=True), alpha=rate)
            first = move(first, slopes[0], self.inner[0], alpha=rate)  # may be outputs[0]: only now
            outputs = self._forward(first, weights, biases)
        return self.batch.class_logits(outputs[-1])

    def kernels(self, n: int) -> Tensor:
        """Gram matrices (M, K, n, n) of the gradients of each unimodal logit in its encoder and head, first n samples.

        Slopes are (M, K, n, d) here: for every class and sample a row, so that one product takes all of them.
        """
        slopes_of = [s[:, :, :n].mT.contiguous().unsqueeze(1) for s in self.slopes_of]
        top = self.outputs[-2][:, :, :n]
        grams, slope = None, self.weights[-1].unsqueeze(2) * slopes_of[-1]
        for i in reversed(range(len(slopes_of))):
            rows, inner = slope.flatten(0, 1), self.inner[i][:, :n, :n].unsqueeze(1)
            own = torch.bmm(rows, rows.mT).view(*slope.shape[:3], n)
            grams = own.mul_(inner) if grams is None else grams.addcmul_(own, inner)
            if i:
                below = torch.bmm(slope.flatten(1, 2), self.weights[i - 1])
                slope = below.view(*slope.shape[:3], -1).mul_(slopes_of[i - 1])
        return grams.add_(torch.bmm(top.mT, top).add_(1).unsqueeze(1))

    # ---- forward and backward --------------------------------------------------------------------------------

    def _forward(self, first: Tensor, weights: list[Tensor], biases: list[Tensor | None]) -> list[Tensor]:
        """Return outputs of every layer after its activation; the last are the unimodal logits."""
        outputs = [self.activations[0][0](first)]
        for (activate, _), weight, bias in zip([*self.activations[1:], _NO_ACTIVATION], weights, biases, strict=True):
            source = outputs[-1]
            outputs.append(activate(torch.bmm(weight, source) if bias is None else torch.baddbmm(bias, weight, source)))
        return outputs

    def _activation_slopes(self, outputs: list[Tensor]) -> list[Tensor]:
        return [slope(output) for (_, slope), output in zip(self.activations, outputs, strict=False)]

    def _backward(self, slope: Tensor, weights: list[Tensor], slopes_of: list[Tensor]) -> list[Tensor]:
        """Slopes (M, h, n) at the encoder's layers before activation, from those at the top, which are overwritten."""
        slopes = [slope.mul_(slopes_of[-1])]
        for weight, slope_of in zip(weights[-2::-1], slopes_of[-2::-1], strict=True):
            slopes.append(torch.bmm(weight.mT, slopes[-1]).mul_(slope_of))
        return slopes[::-1]

    @cached_property
    def _joint_slopes(self) -> list[Tensor]:
        """Slopes of each sample's loss of the joint head."""
        weight, bias = self.joint
        embeddings = self.outputs[-2]
        residual = torch.addmm(bias.unsqueeze(1), weight, embeddings.flatten(0, 1)).softmax(0)
        residual.sub_(self.batch.classes.member)
        return self._backward((weight.T @ residual).view_as(embeddings), self.weights, self.slopes_of)


def _activations(stack: list[nn.Module]) -> list[tuple[Callable, Callable]]:
    """Activation and slope after each dense layer of an encoder."""
    found: list = []
    for module in stack:
        if type(module) is nn.Linear:
            found.append(_NO_ACTIVATION)
        else:
            found[-1] = _ACTIVATIONS[type(module)]
    return found


def _affine(layer: nn.Linear, columns: Tensor) -> Tensor:
    """Return the outputs (out, n) of a layer for inputs (in, n)."""
    weight, bias = layer.weight, layer.bias
    return weight @ columns if bias is None else torch.addmm(bias.unsqueeze(1), weight, columns)


def _biases(layers: Sequence[nn.Linear]) -> Tensor | None:
    """Biases (M, out, 1) of one layer of every modality."""
    biases = [layer.bias for layer in layers]
    return None if biases[0] is None else stacked(biases).unsqueeze(2)


def _joint_weights(model: LateFusion, modalities: Sequence[str], width: int) -> tuple[Tensor, Tensor]:
    """Weights (K, M d) and bias (K,) of the joint head, d the width that all embeddings are filled up to."""
    if isinstance(model.fusion, Sum):
        heads = [model.fusion[name] for name in modalities]
        parts, bias = [head.weight for head in heads], sum(head.bias for head in heads)
    else:
        sizes, bias = model.fusion.dims, model.fusion.bias
        if tuple(sizes) == tuple(modalities) and set(sizes.values()) == {width}:
            return model.fusion.weight.detach(), bias.detach()
        own = dict(zip(sizes, model.fusion.weight.split(list(sizes.values()), 1), strict=True))
        parts = [own[name] for name in modalities]
    return torch.cat([nn.functional.pad(part, (0, width - part.shape[1])) for part in parts], 1), bias.detach()
