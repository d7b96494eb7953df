"""Encoders: one plain `nn.Module` a modality, from a batch of samples (B, ...) to embeddings (B, d)."""

from math import prod

import torch
from torch import Tensor, nn

from mmpid import _validate
from mmpid.errors import ShapeError
from mmpid.models.modes import evaluating
from mmpid.models.resnet import ResNet18


class MLP(nn.Sequential):
    """Two dense layers with a ReLU after each: any sample shape to `dim` features.

    Examples
    --------
    >>> import torch
    >>> MLP((8, 8), dim=32)(torch.zeros(5, 8, 8)).shape
    torch.Size([5, 32])
    """

    def __init__(self, shape: tuple[int, ...], *, hidden: int = 64, dim: int = 32):
        super().__init__(nn.Flatten(), nn.Linear(prod(shape), hidden), nn.ReLU(), nn.Linear(hidden, dim), nn.ReLU())


class ConvNet(nn.Sequential):
    """Two strided convolutions, average pooling and a dense layer; for images (H, W), (C, H, W) or signals (C, T).

    Parameters
    ----------
    shape : tuple of int
        Shape of one sample. Two axes are an image without channels, or, with `signal=True`, channels by time.
    signal : bool
        Use one-dimensional convolutions over the last axis.

    Examples
    --------
    >>> import torch
    >>> ConvNet((3, 50), signal=True)(torch.zeros(5, 3, 50)).shape
    torch.Size([5, 32])
    """

    def __init__(self, shape: tuple[int, ...], *, signal: bool = False, width: int = 16, dim: int = 32):
        axes = 1 if signal else 2
        if len(shape) not in (axes, axes + 1):
            raise ShapeError(
                f"`shape` of a ConvNet must have {axes} or {axes + 1} axes without the batch; it was {shape}. "
                f"Use an MLP."
            )
        conv, pool = (nn.Conv1d, nn.AdaptiveAvgPool1d) if signal else (nn.Conv2d, nn.AdaptiveAvgPool2d)
        channels = shape[0] if len(shape) == axes + 1 else 1
        super().__init__(
            nn.Unflatten(1, (1, shape[0])) if channels == 1 and len(shape) == axes else nn.Identity(),
            conv(channels, width, 3, padding=1),
            nn.ReLU(),
            conv(width, 2 * width, 3, stride=2, padding=1),
            nn.ReLU(),
            pool(3),
            nn.Flatten(),
            nn.Linear(2 * width * 3**axes, dim),
            nn.ReLU(),
        )


KINDS = ("mlp", "cnn", "cnn1d", "resnet18")


def make_encoder(shape: tuple[int, ...], kind: str | nn.Module = "mlp") -> nn.Module:
    """Return a built-in encoder for samples of `shape`: "mlp", "cnn" or "resnet18" (images), "cnn1d" (signals).

    A module is taken as it is.
    """
    if isinstance(kind, nn.Module):
        return kind
    _validate.choice(kind, "encoder", KINDS)
    if kind == "resnet18":
        return ResNet18(shape)
    return MLP(shape) if kind == "mlp" else ConvNet(shape, signal=kind == "cnn1d")


def embedding_dim(encoder: nn.Module, sample: Tensor, name: str) -> int:
    """Return d of an encoder by running it on one sample, in evaluation mode and without gradients."""
    with evaluating(encoder), torch.no_grad():
        out = encoder(sample)
    if not isinstance(out, Tensor) or out.ndim != 2 or len(out) != len(sample):
        shape = tuple(out.shape) if isinstance(out, Tensor) else type(out).__name__
        raise ShapeError(
            f"the encoder of {name!r} must return embeddings (batch, d); for a batch of {len(sample)} it returned "
            f"{shape}. Flatten it."
        )
    return out.shape[1]
