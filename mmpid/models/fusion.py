"""Where embeddings meet: joint heads for any number of modalities, each a linear part and perhaps a correction."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from mmpid import _validate


class Concat(nn.Linear):
    """Joint logits ``f = W [z_1; ...; z_M] + b``."""

    has_shares = True

    def __init__(self, dims: Mapping[str, int], n_classes: int):
        super().__init__(sum(dims.values()), n_classes)
        self.dims = dict(dims)

    # a head takes embeddings, so that its argument is not named as that of the layer
    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, embeddings: Mapping[str, Tensor]
    ) -> Tensor:
        """Return the joint logits (B, k)."""
        return super().forward(torch.cat([embeddings[name] for name in self.dims], dim=1))

    def shares(self, embeddings: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what each modality adds to the logits, ``W_m z_m + b / M``; the shares add up to the logits."""
        weights = self.weight.split(list(self.dims.values()), dim=1)
        bias = self.bias / len(self.dims)
        return {
            name: nn.functional.linear(embeddings[name], weight, bias)
            for name, weight in zip(self.dims, weights, strict=True)
        }

    @torch.no_grad()
    def start_from_heads(self, heads: Mapping[str, nn.Linear]) -> None:
        """Become the average of the heads."""
        share = 1 / len(heads)
        self.weight.copy_(torch.cat([head.weight for head in heads.values()], dim=1) * share)
        self.bias.copy_(cast(Tensor, sum(head.bias for head in heads.values())) * share)


class Sum(nn.ModuleDict):
    """Joint logits ``f = sum_m (W_m z_m + b_m)``; the same functions as :class:`Concat`, from another start."""

    has_shares = True

    def __init__(self, dims: Mapping[str, int], n_classes: int):
        super().__init__({name: nn.Linear(d, n_classes) for name, d in dims.items()})

    def forward(self, embeddings: Mapping[str, Tensor]) -> Tensor:
        """Return the joint logits (B, k)."""
        return cast(Tensor, sum(self.shares(embeddings).values()))

    def shares(self, embeddings: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Return what each modality adds to the logits, ``W_m z_m + b_m``."""
        return {name: layer(embeddings[name]) for name, layer in self.items()}

    @torch.no_grad()
    def start_from_heads(self, heads: Mapping[str, nn.Linear]) -> None:
        """Become the average of the heads."""
        for name, head in heads.items():
            layer = cast(nn.Linear, self[name])
            layer.weight.copy_(head.weight / len(heads))
            layer.bias.copy_(head.bias / len(heads))


class Corrected(nn.Module, ABC):
    """Joint logits ``f = W [z_1; ...; z_M] + b + V h(z_1, ..., z_M) + c``: a linear part and an interaction h.

    After :meth:`start_from_heads` the last layer V, c of the correction is zero, so that f is the average of the
    unimodal heads; training then adds as much interaction as helps.
    """

    has_shares = False

    def __init__(self, dims: Mapping[str, int], n_classes: int):
        super().__init__()
        self.width = max(dims.values())
        self.linear = Concat(dims, n_classes)
        self.inward = nn.ModuleDict({name: nn.Linear(d, self.width) for name, d in dims.items()})
        self.outward = nn.Linear(self.width, n_classes)

    @abstractmethod
    def interact(self, embeddings: Mapping[str, Tensor]) -> Tensor:
        """Return h (B, width)."""

    def forward(self, embeddings: Mapping[str, Tensor]) -> Tensor:
        """Return the joint logits (B, k)."""
        return self.linear(embeddings) + self.outward(self.interact(embeddings))

    @torch.no_grad()
    def start_from_heads(self, heads: Mapping[str, nn.Linear]) -> None:
        """Become the average of the heads: the linear part takes it over, the correction starts at zero."""
        self.linear.start_from_heads(heads)
        self.outward.weight.zero_()
        self.outward.bias.zero_()


class FiLM(Corrected):
    """Every modality is scaled and shifted by the others: ``h = mean_m relu((1 + g_m) * P_m z_m + s_m)``.

    Scale g_m and shift s_m are linear in the embeddings of all other modalities.

    References
    ----------
    Perez et al. (2018), FiLM: visual reasoning with a general conditioning layer, AAAI, eq. 2.
    """

    def __init__(self, dims: Mapping[str, int], n_classes: int):
        super().__init__(dims, n_classes)
        total = sum(dims.values())
        self.condition = nn.ModuleDict({name: nn.Linear(total - d, 2 * self.width) for name, d in dims.items()})

    def interact(self, embeddings: Mapping[str, Tensor]) -> Tensor:
        """Return h (B, width)."""
        parts = []
        for name, layer in self.condition.items():
            others = torch.cat([embeddings[other] for other in self.condition if other != name], dim=1)
            scale, shift = layer(others).chunk(2, dim=1)
            parts.append(torch.relu((1 + scale) * self.inward[name](embeddings[name]) + shift))
        return torch.stack(parts).mean(0)


class Gated(Corrected):
    """Gates that see all modalities weigh each: ``h = sum_m sigmoid(G_m [z_1; ...; z_M]) * tanh(P_m z_m)``.

    References
    ----------
    Arevalo et al. (2017), Gated multimodal units for information fusion, arXiv 1702.01992, section 3.1.
    """

    def __init__(self, dims: Mapping[str, int], n_classes: int):
        super().__init__(dims, n_classes)
        total = sum(dims.values())
        self.gates = nn.ModuleDict({name: nn.Linear(total, self.width) for name in dims})

    def interact(self, embeddings: Mapping[str, Tensor]) -> Tensor:
        """Return h (B, width)."""
        everything = torch.cat([embeddings[name] for name in self.gates], dim=1)
        parts = (
            torch.sigmoid(gate(everything)) * torch.tanh(self.inward[name](embeddings[name]))
            for name, gate in self.gates.items()
        )
        return cast(Tensor, sum(parts))


class Attention(Corrected):
    """One token a modality, ``t_m = P_m z_m + e_m``, one head of self-attention a, ``h = mean_m relu(t_m + a_m)``.

    References
    ----------
    Vaswani et al. (2017), Attention is all you need, NeurIPS, eq. 1.
    """

    def __init__(self, dims: Mapping[str, int], n_classes: int):
        super().__init__(dims, n_classes)
        self.token = nn.Parameter(torch.randn(len(dims), self.width) / self.width**0.5)
        self.mix = nn.Linear(self.width, 3 * self.width)

    def interact(self, embeddings: Mapping[str, Tensor]) -> Tensor:
        """Return h (B, width)."""
        tokens = torch.stack([layer(embeddings[name]) for name, layer in self.inward.items()], dim=1) + self.token
        query, key, value = self.mix(tokens).chunk(3, dim=-1)
        exact = torch.promote_types(query.dtype, torch.float32)  # a softmax in half precision loses small weights
        weights = (query @ key.mT / self.width**0.5).softmax(-1, dtype=exact).to(value.dtype)
        return torch.relu(tokens + weights @ value).mean(1)


KINDS = {"concat": Concat, "sum": Sum, "film": FiLM, "gated": Gated, "attention": Attention}


def name_of_fusion(fusion: str | nn.Module) -> str:
    """Return the name of a fusion, of a module of the user's own that of its class; refuse anything else."""
    if isinstance(fusion, str):
        return _validate.choice(fusion, "fusion", KINDS)
    hint = "Choose 'concat', 'sum', 'film', 'gated' or 'attention', or pass an object of torch.nn.Module."
    _validate.instance(fusion, "fusion", nn.Module, "a name or a module", hint)
    return f"{type(fusion).__module__}.{type(fusion).__qualname__}"


def make_fusion(kind: str | nn.Module, dims: Mapping[str, int], n_classes: int) -> nn.Module:
    """Return a fusion head with random weights for embeddings of the sizes `dims`; a module is taken as it is."""
    if isinstance(kind, nn.Module):
        return kind
    return KINDS[_validate.choice(kind, "fusion", KINDS)](dims, n_classes)
