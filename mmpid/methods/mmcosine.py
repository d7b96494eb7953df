"""MMCosine: joint logits from angles alone, so that no modality can win by its norms."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.errors import ConfigError
from mmpid.methods._unimodal import TINY
from mmpid.models.fusion import Concat, Sum
from mmpid.train.callbacks import Callback
from mmpid.train.context import Context


def cosine_logits(features: Mapping[str, Tensor], weights: Mapping[str, Tensor], scale: float) -> dict[str, Tensor]:
    """Return ``scale * cos(z_m, W_m[c])`` (B, k) for each modality; a zero vector has cosine 0 with everything."""
    return {name: scale * _unit(features[name]) @ _unit(weights[name]).T for name in weights}


def _unit(x: Tensor) -> Tensor:
    """Return rows of length 1; rows of length 0 stay, with a finite gradient."""
    norm = x.norm(dim=1, keepdim=True)
    return x / torch.where(norm > TINY, norm, 1.0)


class MMCosine(Callback):
    """Multimodal cosine loss (MMCosine): each modality adds scaled cosines to the joint logits.

    Joint logits of stage 2 are ``f = s * sum_m cos(z_m, W_m)``, with W_m the columns of the fusion head that read
    modality m, one row per class, and without bias; the loss is the cross-entropy of f.

    Parameters
    ----------
    scale : float
        Factor s; 10 in the released code.
    variant : {"paper", "released"}
        What evaluation reads: the cosines that were trained, or the linear head with its untrained bias, as released.

    Notes
    -----
    Costs nothing. Works for any number of modalities, with a fusion head that is linear: "concat" or "sum". Logits lie
    between ``-s * M`` and ``s * M``, so losses and confidence cannot be compared with those of other methods; a scale
    that is too small keeps the loss high however well classes are separated. Unimodal heads stay linear. The optional
    contrastive term of the released code, off by default there, is left out.

    References
    ----------
    Xu, Feng, Zhang and Hu (2023), MMCosine: multi-modal cosine loss toward balanced audio-visual fine-grained
    learning, ICASSP.

    Examples
    --------
    >>> import torch
    >>> z, w = torch.tensor([[3.0, 0.0]]), torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    >>> cosine_logits({"a": z}, {"a": w}, scale=10.0)["a"]
    tensor([[10.,  0.]])
    """

    def __init__(self, scale: float = 10.0, *, variant: str = "paper"):
        self.scale = _validate.number(scale, "scale", low=0, open_low=True, finite=True)
        self.variant = _validate.choice(variant, "variant", ("paper", "released"))

    def setup(self, ctx: Context) -> None:  # noqa: D102
        if not isinstance(ctx.model.fusion, Concat | Sum):
            raise ConfigError(
                f"MMCosine needs a linear fusion head; `fusion` was {ctx.model.fusion_name!r}. Choose fusion='concat' "
                "or 'sum'."
            )

    def _joint(self, ctx: Context) -> dict[str, Tensor]:
        """Return what each modality adds to the joint logits."""
        fusion, dims = ctx.model.fusion, ctx.model.dims
        if isinstance(fusion, Sum):
            parts = [layer.get_parameter("weight") for layer in fusion.values()]
        else:
            parts = fusion.weight.split(list(dims.values()), dim=1)
        weights = dict(zip(dims, parts, strict=True))
        return cosine_logits(ctx.features, weights, self.scale)

    def compute_loss(self, ctx: Context) -> None:
        """Replace the joint loss."""
        if ctx.stage == "joint":
            parts = self._joint(ctx)
            ctx.losses["joint"] = ctx.loss(torch.stack(list(parts.values())).sum(0), ctx.target)
            for name, part in parts.items():
                ctx.log(f"share.{name}", ctx.mean(part.detach().abs().mean()))

    def predict(self, ctx: Context) -> Tensor:  # noqa: D102
        if self.variant == "released":
            return ctx.logits["joint"]
        return torch.stack(list(self._joint(ctx).values())).sum(0)
