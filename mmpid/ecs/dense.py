"""Closed-form gradients of dense late-fusion models: all modalities stacked, no copy of the model, no autograd.

The gradient of sample i in the weights of a dense layer is the outer product of its slope b_i at the output of the
layer and of the input a_i. Moving the weights along the gradients of samples with slopes b therefore changes the
outputs of the layer on the same batch by -b (a' a + 1), the 1 for the bias: the first layer, whose inputs never
change, is determined by that n x n matrix alone. Narrower encoders are padded with units that stay at zero.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn

from mmpid.ecs.batch import GradientBatch, stacked, tiny
from mmpid.models import LateFusion
from mmpid.models.fusion import Concat, Sum

_Modules = dict[str, nn.Module]  # where torch allows None for a module, these parts have none
_SKIPPED = (nn.Flatten, nn.Identity, nn.Dropout)
#: Activations with f(0) = 0, and their slopes as functions of their outputs.
_ACTIVATIONS: dict[type, tuple[Callable, Callable]] = {
    nn.ReLU: (torch.relu, torch.sign),
    nn.Tanh: (torch.tanh, lambda output: 1 - output.square()),
}
_NO_ACTIVATION = (lambda before: before, torch.ones_like)


class DenseLayers(NamedTuple):
    """Parameters and activations of a model whose gradients can be written out."""

    by_depth: list[tuple[tuple[Tensor, Tensor | None], ...]]  # (weight, bias) of each modality; the heads come last
    activations: list[tuple[Callable, Callable]]  # after each layer of the encoders


def dense_layers(model: nn.Module, modalities: Sequence[str]) -> DenseLayers | None:
    """Return the layers if gradients of the model can be written out, else None.

    Nothing is kept from one call to the next, because modules can be replaced. A single walk reads only what matters
    from each module, and bypasses `nn.Module.__getattr__`, which would take as long as everything else.
    """
    if not _is_late_fusion(model, modalities):
        return None
    parts = cast(_Modules, model._modules)
    encoders, heads = (cast(_Modules, parts[name]._modules) for name in ("encoders", "heads"))
    fusion = parts["fusion"]
    joint = [fusion, *cast(_Modules, fusion._modules).values()]
    some = joint[-1]._parameters.get("weight")
    if some is None:
        return None
    place = some.dtype, some.device
    if not all([_is_plain(module, place) for module in (model, *joint)]):
        return None
    dense, kinds = [], []
    for name in modalities:
        head, found, of_layers = heads[name], [], []
        if not (_walk(encoders[name], place, found, of_layers) and found and type(head) is nn.Linear):
            return None
        dense.append([*found, tuple(head._parameters.values())])
        kinds.append(of_layers)
        if dense[-1][-1][1] is None or not _is_plain(head, place) or of_layers != kinds[0]:
            return None
    weights = [weight for layers in dense for weight, _ in layers]
    if len(set(map(id, weights))) < len(weights):  # shared: one modality's steps would move another
        return None
    activations = [_ACTIVATIONS.get(kind, _NO_ACTIVATION) for _, kind in kinds[0]]
    return DenseLayers(list(zip(*dense, strict=True)), activations)


def _is_late_fusion(model: nn.Module, modalities: Sequence[str]) -> bool:
    """Whether forward is known to be scorers, and one linear joint head, on the embeddings of these modalities."""
    if not isinstance(model, LateFusion) or type(model._modules["fusion"]) not in (Concat, Sum):
        return False
    own, parts = type(model), cast(_Modules, model._modules)
    known = own.forward is LateFusion.forward and own.embed is LateFusion.embed and own.fuse is LateFusion.fuse
    return known and set(modalities) == parts["encoders"]._modules.keys() == parts["heads"]._modules.keys()


def _walk(module: nn.Module, place: tuple, dense: list, kinds: list) -> bool:
    """Record (weight, bias) and (has a bias, activation) of the dense layers of nested sequences.

    Return False if there is any other layer, or an activation without a dense layer right before it.
    """
    kind = type(module)
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
        return False
    if kind in _ACTIVATIONS:
        if not kinds or kinds[-1][1] is not None:
            return False
        kinds[-1] = (kinds[-1][0], kind)
        return True
    if kind is nn.Linear:
        layer = tuple(module._parameters.values())
        dense.append(layer)
        kinds.append((layer[1] is not None, None))
        return _are_at(layer, place)
    if kind in _SKIPPED:
        return kind is not nn.Flatten or (module.start_dim, module.end_dim) == (1, -1)
    if not isinstance(module, nn.Sequential) or kind.forward is not nn.Sequential.forward or module._parameters:
        return False
    return all([_walk(part, place, dense, kinds) for part in module._modules.values()])


def _is_plain(module: nn.Module, place: tuple[torch.dtype, torch.device]) -> bool:
    """Whether a module has no hooks, and its own parameters share one dtype and device."""
    if module._forward_hooks or module._forward_pre_hooks or module._backward_hooks:
        return False
    return _are_at(module._parameters.values(), place)


def _are_at(parameters: Iterable[Tensor | None], place: tuple[torch.dtype, torch.device]) -> bool:
    dtype, device = place
    for parameter in parameters:
        if parameter is not None and (parameter.dtype is not dtype or parameter.device != device):
            return False
    return True


class DenseBench:
    """A dense model on one batch, made in inference mode.

    Layers are numbered from the inputs; the unimodal heads are the last layer. Features come before samples. `first`
    (M, h, n) are the outputs of layer 0 before its activation; `weights[i]` (M, out, in) and `biases[i]` (M, out, 1)
    belong to layer i + 1; `inner[i]` (M, n, n) are inner products of the inputs of layer i of the encoder.
    """

    def __init__(self, model: LateFusion, batch: GradientBatch, layers: DenseLayers):
        self.batch, self.activations = batch, layers.activations
        first, *later = layers.by_depth
        self.first = stacked([_affine(*layer, x) for layer, x in zip(first, batch.columns, strict=True)])
        later = [tuple(zip(*layer, strict=True)) for layer in later]
        self.weights = [stacked(weights) for weights, _ in later]
        self.biases = [None if biases[0] is None else stacked(biases).unsqueeze(2) for _, biases in later]
        self.outputs = self._forward(self.first, self.weights, self.biases)
        self.turned = [weight.mT for weight in self.weights]
        self.slopes_of = self._activation_slopes(self.outputs)
        ones = (None if bias is None else batch.one for bias in self.biases[:-1])
        self.inner = [_inner(a, one) for a, one in zip(self.outputs[:-2], ones, strict=True)]
        self.inner.insert(0, batch.input_products(float(first[0][1] is not None)))
        self.joint = _joint_weights(model, batch.modalities, self.weights[-1].shape[2])

    # ---- what the proxies ask for ----------------------------------------------------------------------------

    def gradient_norms(self, weights: Tensor) -> Tensor:
        """Norms (M, C), above zero, of the gradients of weights (C, n) @ joint losses (n,) in each encoder."""
        gram = None
        for b, inner in zip(self._joint_slopes, self.inner, strict=True):
            own = torch.bmm(b.mT, b)
            gram = own.mul_(inner) if gram is None else gram.addcmul_(own, inner)
        gram = cast(Tensor, gram)  # there is a layer
        squares = torch.linalg.vecdot(torch.bmm(weights.expand(gram.shape[0], -1, -1), gram), weights)
        return squares.clamp_min_(tiny(gram.dtype)).sqrt_()

    def velocity(self) -> Tensor:
        """Change (M, K) of the class-mean unimodal logits per unit of step size of joint descent."""
        moved = None
        for i, (b, inner) in enumerate(zip(self._joint_slopes, self.inner, strict=True)):
            own = torch.bmm(b, inner)
            moved = own if moved is None else own.baddbmm_(self.weights[i - 1], moved)
            moved.mul_(self.slopes_of[i])
        per_step, moved = -1 / self.batch.target.shape[0], cast(Tensor, moved)  # there is a layer
        return self.batch.class_logits(torch.baddbmm(self.batch.one, self.weights[-1], moved, beta=0, alpha=per_step))

    def look_ahead(self, steps: int, rate: float) -> Tensor:
        """Class-mean unimodal logits (M, K) after `steps` steps of unimodal descent."""
        first, outputs, weights, biases = self.first, self.outputs, list(self.weights), list(self.biases)
        rate, turned = -rate / self.batch.target.shape[0], self.turned
        for step in range(steps):
            slopes_of = self._activation_slopes(outputs) if step else self.slopes_of
            top = outputs[-1].softmax(1).sub_(self.batch.classes.member)
            slopes = [*self._backward(torch.bmm(turned[-1], top), turned, slopes_of), top]
            move = Tensor.baddbmm_ if step else torch.baddbmm  # after the first step they are our own
            for i, (source, slope) in enumerate(zip(outputs, slopes[1:], strict=False)):
                weights[i] = move(weights[i], slope, source.mT, alpha=rate)
                if (bias := biases[i]) is not None:
                    biases[i] = bias.add(slope.sum(2, keepdim=True), alpha=rate)  # faster than within a product
            if not step:
                turned = [weight.mT for weight in weights]
            first = move(first, slopes[0], self.inner[0], alpha=rate)  # may be outputs[0]: only now
            outputs = self._forward(first, weights, biases)
        return self.batch.class_logits(outputs[-1])

    def kernels(self, n: int) -> Tensor:
        """Gram matrices (M, K, n, n) of the gradients of each unimodal logit in its encoder and head, first n samples.

        Slopes are (M, K, n, d) here: one row for every class and sample, so that a single product covers them all.
        """
        slopes_of = [s[:, :, :n].mT.contiguous().unsqueeze(1) for s in self.slopes_of]
        top, size = self.outputs[-2][:, :, :n], self.weights[-1].shape[:2]
        grams, slope = _inner(top, self.batch.one).unsqueeze(1), self.weights[-1].unsqueeze(2) * slopes_of[-1]
        for i in reversed(range(len(slopes_of))):
            rows = slope.flatten(0, 1)
            own = torch.bmm(rows, rows.mT).view(size + (n, n))
            grams = torch.addcmul(grams, own, self.inner[i][:, :n, :n].unsqueeze(1))
            if i:
                below = torch.bmm(slope.flatten(1, 2), self.weights[i - 1])
                slope = below.view(size + (n, -1)).mul_(slopes_of[i - 1])
        return grams

    # ---- forward and backward --------------------------------------------------------------------------------

    def _forward(self, first: Tensor, weights: list[Tensor], biases: list[Tensor | None]) -> list[Tensor]:
        """Return outputs of every layer after its activation; the last are the unimodal logits."""
        outputs, last = [self.activations[0][0](first)], len(weights) - 1
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            source = outputs[i]
            before = torch.bmm(weight, source) if bias is None else torch.baddbmm(bias, weight, source)
            outputs.append(before if i == last else self.activations[i + 1][0](before))
        return outputs

    def _activation_slopes(self, outputs: list[Tensor]) -> list[Tensor]:
        return [slope(output) for (_, slope), output in zip(self.activations, outputs, strict=False)]

    def _backward(self, slope: Tensor, turned: list[Tensor], slopes_of: list[Tensor]) -> list[Tensor]:
        """Slopes (M, h, n) at the encoder's layers before activation, from those at the top, which are overwritten.

        `turned` are the weights (M, in, out).
        """
        slopes = [slope.mul_(slopes_of[-1])]
        for weight, slope_of in zip(turned[-2::-1], slopes_of[-2::-1], strict=True):
            slopes.append(torch.bmm(weight, slopes[-1]).mul_(slope_of))
        return slopes[::-1]

    @cached_property
    def _joint_slopes(self) -> list[Tensor]:
        """Slopes of each sample's loss of the joint head."""
        weight, bias = self.joint
        embeddings = self.outputs[-2]
        residual = torch.addmm(bias.unsqueeze(1), weight, embeddings.flatten(0, 1)).softmax(0)
        residual.sub_(self.batch.classes.member)
        return self._backward(torch.mm(weight.mT, residual).view_as(embeddings), self.turned, self.slopes_of)


def _affine(weight: Tensor, bias: Tensor | None, columns: Tensor) -> Tensor:
    """Return the outputs (out, n) of a layer for inputs (in, n)."""
    return weight @ columns if bias is None else torch.addmm(bias.unsqueeze(1), weight, columns)


def _inner(columns: Tensor, one: Tensor | None) -> Tensor:
    """Return inner products (M, n, n) of columns (M, d, n), plus one for a bias."""
    return torch.bmm(columns.mT, columns) if one is None else torch.baddbmm(one, columns.mT, columns)


def _joint_weights(model: LateFusion, modalities: Sequence[str], width: int) -> tuple[Tensor, Tensor]:
    """Weights (K, M d) and bias (K,) of the joint head, d the width to which all embeddings are padded."""
    fusion = model._modules["fusion"]
    if isinstance(fusion, Sum):
        heads = [cast(nn.Linear, fusion[name]) for name in modalities]
        parts, bias = [head.weight for head in heads], cast(Tensor, sum(head.bias for head in heads))
    else:
        sizes, known = cast(Concat, fusion).dims, cast("dict[str, Tensor]", cast(Concat, fusion)._parameters)
        weight, bias = known["weight"], known["bias"]
        if tuple(sizes) == tuple(modalities) and set(sizes.values()) == {width}:
            return weight.detach(), bias.detach()
        own = dict(zip(sizes, weight.split(list(sizes.values()), 1), strict=True))
        parts = [own[name] for name in modalities]
    return torch.cat([nn.functional.pad(part, (0, width - part.shape[1])) for part in parts], 1), bias.detach()
