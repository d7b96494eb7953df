"""Late-fusion networks of dense layers, one per seed, as one network whose weights have a seed axis.

A small network spends most of an update between its operations, not in them. Here one operation serves all seeds, and
gradients are written by hand into place: for ``a = relu(x W' + b)`` and d = dL/da, ``d <- d [a > 0]``,
``dL/dW = d' x``, ``dL/db = sum_i d_i`` and ``dL/dx = d W``.
"""

from collections.abc import Mapping, Sequence
from typing import cast

import torch
from torch import Tensor, nn

from mmpid.errors import ConfigError
from mmpid.models import LateFusion


class Dense:
    """A chain of dense layers for S seeds: weights (S, out, in), all in one flat tensor, gradients beside them."""

    def __init__(self, chains: Sequence[Sequence[nn.Linear]], relu: Sequence[bool], device: torch.device):
        self.relu = tuple(relu)
        first, n_seeds = chains[0], len(chains)
        sizes = [n_seeds * p.numel() for layer in first for p in (layer.weight, layer.bias)]
        self.flat, self.grad = torch.empty(sum(sizes), device=device), torch.zeros(sum(sizes), device=device)
        shapes = [s for layer in first for s in ((n_seeds, *layer.weight.shape), (n_seeds, 1, len(layer.bias)))]
        self.values, self.grads = (
            [part.view(shape) for part, shape in zip(flat.split(sizes), shapes, strict=True)]
            for flat in (self.flat, self.grad)
        )
        for seed, chain in enumerate(chains):
            for i, layer in enumerate(chain):
                self.values[2 * i][seed].copy_(layer.weight.detach())
                self.values[2 * i + 1][seed, 0].copy_(layer.bias.detach())

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return the input (S, n, in) and what each layer makes of it."""
        out = [x]
        for i, relu in enumerate(self.relu):
            x = torch.baddbmm(self.values[2 * i + 1], x, self.values[2 * i].mT)
            out.append(x.relu_() if relu else x)
        return out

    def backward(self, out: list[Tensor], d: Tensor, *, to_input: bool = False) -> Tensor | None:
        """Write the gradients for d = dL/d(last output); return dL/d(input) if it is asked for."""
        for i in reversed(range(len(self.relu))):
            if self.relu[i]:
                d = torch.ops.aten.threshold_backward(d, out[i + 1], 0)  # d [a > 0], in one pass
            torch.bmm(d.mT, out[i], out=self.grads[2 * i])
            torch.sum(d, 1, keepdim=True, out=self.grads[2 * i + 1])
            if not i and not to_input:
                return None
            d = torch.bmm(d, self.values[2 * i])
        return d

    @torch.no_grad()
    def write_to(self, chain: Sequence[nn.Linear], seed: int) -> None:
        """Copy one seed's weights into layers."""
        for i, layer in enumerate(chain):
            layer.weight.copy_(self.values[2 * i][seed])
            layer.bias.copy_(self.values[2 * i + 1][seed, 0])


class StackedLateFusion:
    """S late-fusion models with dense encoders and `fusion="concat"`, trained and evaluated at once."""

    def __init__(self, models: Sequence[LateFusion], device: torch.device):
        self.modalities, self.models = models[0].modalities, list(models)
        self.parts: dict[str, Dense] = {}
        for name in self.modalities:
            chains, relus = zip(*(dense_chain(model.encoders[name], name) for model in models), strict=True)
            self.parts[f"encoders.{name}"] = Dense(chains, relus[0], device)
            self.parts[f"heads.{name}"] = Dense([[_linear(model.heads[name])] for model in models], [False], device)
        if not all(model.fusion_name == "concat" for model in models):
            raise ConfigError(
                f"only fusion='concat' can be stacked over seeds; it was {models[0].fusion_name!r}. "
                f"Train these models with Trainer or compare(), one seed after another."
            )
        self.parts["fusion"] = Dense([[_linear(model.fusion)] for model in models], [False], device)
        self.widths = [models[0].dims[name] for name in self.modalities]

    def forward(self, inputs: Mapping[str, Tensor], heads: Sequence[str], joint: bool) -> dict[str, list[Tensor]]:
        """Return the activations of every part that is asked for, from samples (S, n, ...) flattened to (S, n, d)."""
        out = {f"encoders.{name}": self.parts[f"encoders.{name}"].forward(inputs[name]) for name in self.modalities}
        for name in heads:
            out[f"heads.{name}"] = self.parts[f"heads.{name}"].forward(out[f"encoders.{name}"][-1])
        if joint:
            together = torch.cat([out[f"encoders.{name}"][-1] for name in self.modalities], 2)
            out["fusion"] = self.parts["fusion"].forward(together)
        return out

    def backward(self, out: dict, slopes: Mapping[str, Tensor], encoders: bool) -> None:
        """Write all gradients, given dL/d(logits) of each classifier; stop at the embeddings if encoders stand."""
        shares: dict[str, Tensor] = {}
        if "joint" in slopes:
            d = self.parts["fusion"].backward(out["fusion"], slopes["joint"], to_input=encoders)
            if d is not None:
                shares = dict(zip(self.modalities, d.split(self.widths, 2), strict=True))
        if not encoders:
            return
        for name in self.modalities:
            d = shares.get(name)
            if name in slopes:
                own = self.parts[f"heads.{name}"].backward(out[f"heads.{name}"], slopes[name], to_input=True)
                d = own if own is None or d is None else own.add_(d)
            self.parts[f"encoders.{name}"].backward(out[f"encoders.{name}"], cast(Tensor, d))

    def start_joint_from_heads(self) -> None:
        """Set the joint head to the average of the unimodal heads, as :meth:`LateFusion.start_joint_from_heads`."""
        share, fusion = 1 / len(self.modalities), self.parts["fusion"].values
        heads = [self.parts[f"heads.{name}"].values for name in self.modalities]
        fusion[0].copy_(torch.cat([weight for weight, _ in heads], 2) * share)
        fusion[1].copy_(cast(Tensor, sum(bias for _, bias in heads)) * share)

    def unstack(self) -> list[LateFusion]:
        """Write the weights back into the models and return them."""
        for seed, model in enumerate(self.models):
            for name in self.modalities:
                self.parts[f"encoders.{name}"].write_to(dense_chain(model.encoders[name], name)[0], seed)
                self.parts[f"heads.{name}"].write_to([_linear(model.heads[name])], seed)
            self.parts["fusion"].write_to([_linear(model.fusion)], seed)
        return self.models


def _linear(layer: nn.Module) -> nn.Linear:
    """Return a head or the concat fusion as the dense layer that it is."""
    return cast(nn.Linear, layer)


def dense_chain(encoder: nn.Module, name: str) -> tuple[list[nn.Linear], list[bool]]:
    """Return an encoder's dense layers, and whether a ReLU follows each; refuse anything else."""
    layers, relu = [], []
    for layer in encoder if isinstance(encoder, nn.Sequential) else [encoder]:
        if isinstance(layer, nn.Linear) and layer.bias is not None:
            layers.append(layer)
            relu.append(False)
        elif isinstance(layer, nn.ReLU) and layers:
            relu[-1] = True
        elif not (isinstance(layer, nn.Flatten) and layer.start_dim == 1 and not layers):
            raise ConfigError(
                f"only encoders of Flatten, Linear and ReLU layers can be stacked over seeds; that of {name!r} has "
                f"a {type(layer).__name__}. Train such models with Trainer or compare(), one seed after another."
            )
    return layers, relu
