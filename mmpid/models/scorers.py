"""What would one modality say? Logits of each modality alone, by three definitions."""

from collections.abc import Mapping

import torch
from torch import Tensor

from mmpid import _validate
from mmpid.errors import ConfigError, InputError, ShapeError

SCORERS = ("head", "split", "ablation")


def score_embeddings(
    model, embeddings: Mapping[str, Tensor], how: str, means: Mapping[str, Tensor] | None
) -> dict[str, Tensor]:
    """Return logits (B, k) by modality; see :meth:`LateFusion.score`."""
    _validate.choice(how, "how", SCORERS)
    missing = [name for name in model.heads if name not in embeddings]
    if missing:
        raise InputError(f"`embeddings` must hold every modality; {', '.join(missing)} is missing. See `model.embed`.")
    if means is not None and how != "ablation":
        raise ConfigError(f"`means` belong to how='ablation'; they were given with how={how!r}. Leave them out.")
    if how == "head":
        pooled = model.pool(embeddings)
        return {name: head(pooled[name]) for name, head in model.heads.items()}
    if how == "split":
        if not getattr(model.fusion, "has_shares", False):
            raise ConfigError(
                f"fusion {model.fusion_name!r} is not a sum over modalities, so it has no how='split'. "
                f"Use how='ablation' or how='head'."
            )
        return model.fusion.shares(embeddings)
    absent = {name: _mean(model, embeddings[name], name, means) for name in model.heads}
    return {name: model.fuse({**absent, name: embeddings[name]}) for name in model.heads}


def _mean(model, embedding: Tensor, name: str, means: Mapping[str, Tensor] | None) -> Tensor:
    """Return (B, d): the mean embedding of a modality for every sample, zero if none is given."""
    if means is None:
        return torch.zeros_like(embedding)
    if name not in means:
        raise InputError(f"`means` must hold every modality; {name!r} is missing.")
    mean = _validate.as_tensor(means[name], f"means[{name!r}]")
    if tuple(mean.shape) != (model.dims[name],):
        raise ShapeError(
            f"`means[{name!r}]` must be a mean embedding of shape ({model.dims[name]},); it was {tuple(mean.shape)}. "
            f"Average `model.embed(inputs)[{name!r}]` over samples, axis 0."
        )
    return mean.to(embedding).expand_as(embedding)
