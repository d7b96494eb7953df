"""What an encoder needs on the way in and out, and whose it was when it fails."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Care:
    """How the samples of one modality must be handed over; None where nothing is to be done.

    Attributes
    ----------
    reads, gives : torch.dtype, optional
        Dtype that the samples are converted to, and the embeddings.
    copies : bool
        Whether the encoder gets a copy, since it changes its input in place: the samples themselves must stay.
    """

    reads: torch.dtype | None = None
    gives: torch.dtype | None = None
    copies: bool = False


def encode(name: str, encoder: nn.Module, batch: Tensor, care: Care | None) -> Tensor:
    """Return the embeddings of a batch; an error of torch says whose encoder it was, and what that was given."""
    try:
        if care is None:
            return encoder(batch)
        if care.reads is not None:
            batch = batch.to(care.reads)
        out = encoder(batch.clone() if care.copies else batch)
        is_mixed = torch.is_autocast_enabled(out.device.type)  # which converts by itself
        return out if care.gives is None or is_mixed else out.to(care.gives)
    except (RuntimeError, TypeError) as problem:
        what = (
            f"a batch of shape {tuple(batch.shape)}, {batch.dtype}" if isinstance(batch, Tensor) else repr(type(batch))
        )
        problem.add_note(f"This came from the encoder of {name!r}, given {what}. Was the model built for these data?")
        raise
