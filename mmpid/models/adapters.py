"""Adapters: wrap an encoder whose output or input has another form than a tensor of embeddings (B, d)."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from mmpid import _validate
from mmpid.errors import ShapeError

HOWS = ("mean", "max", "first", "last")


class Take(nn.Module):
    """Take one part of what an encoder returns: of a dict, a tuple or an object with named results.

    Parameters
    ----------
    module : nn.Module
        The encoder.
    key : str or int
        Key, position, or name of the attribute.

    Examples
    --------
    >>> class Net(nn.Module):
    ...     def forward(self, x):
    ...         return {"features": x, "attention": None}
    >>> Take(Net(), "features")(torch.zeros(2, 4)).shape
    torch.Size([2, 4])
    """

    def __init__(self, module: nn.Module, key: str | int):
        super().__init__()
        self.module, self.key = _module(module), key

    def forward(self, x: Tensor) -> Tensor:
        """Return that part."""
        out = self.module(x)
        try:
            if isinstance(out, Mapping):
                return out[self.key]
            if isinstance(out, Sequence) and isinstance(self.key, int):
                return out[self.key]
            return getattr(out, str(self.key))
        except (LookupError, AttributeError) as problem:
            raise ShapeError(
                f"`key` must name a part of what the encoder returns, {_parts(out)}; it was {self.key!r}."
            ) from problem


class First(nn.Module):
    """Take the first part of the tuple that an encoder returns, such as the sequence of an LSTM.

    Parameters
    ----------
    module : nn.Module
        The encoder.

    Notes
    -----
    The sequence of an LSTM is (B, T, d) with `batch_first=True` only; without it, torch takes the samples of a batch
    for the steps of one sequence. :class:`Pool` makes one embedding of a sequence.

    Examples
    --------
    >>> First(nn.LSTM(3, 8, batch_first=True))(torch.zeros(2, 5, 3)).shape
    torch.Size([2, 5, 8])
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = _module(module)

    def forward(self, x: Tensor) -> Tensor:
        """Return the first part."""
        out = self.module(x)
        if not isinstance(out, Sequence) or not out:
            raise ShapeError(f"First needs an encoder that returns a tuple; it returned {type(out).__name__}.")
        return out[0]


class Pool(nn.Module):
    """Make one embedding (B, d) of a sequence (B, T, d) or of a map of features (B, c, h, w).

    Parameters
    ----------
    module : nn.Module
        The encoder.
    how : {"mean", "max", "first", "last"}
        What to make of the entries.
    axis : int or tuple of int
        The axes that disappear: 1 for tokens (B, T, d), 2 for channels by time (B, d, T), (2, 3) for maps.

    Notes
    -----
    Padding counts like any other entry: "mean" shrinks the embedding of a short sequence, and "last" reads its
    padding. For sequences of several lengths, pool inside the encoder, where the lengths are known.

    Examples
    --------
    >>> Pool(First(nn.LSTM(3, 8, batch_first=True)), "last")(torch.zeros(2, 5, 3)).shape
    torch.Size([2, 8])
    >>> Pool(nn.Conv2d(1, 4, 3), axis=(2, 3))(torch.zeros(2, 1, 9, 9)).shape
    torch.Size([2, 4])
    """

    def __init__(self, module: nn.Module, how: str = "mean", axis: int | Sequence[int] = 1):
        super().__init__()
        self.module, self.how = _module(module), _validate.choice(how, "how", HOWS)
        axes = (axis,) if isinstance(axis, int) else tuple(axis)
        self.axis = tuple(_validate.number(one, "axis", low=1, integer=True) for one in axes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the embeddings (B, d)."""
        out = self.module(x)
        if not isinstance(out, Tensor) or out.ndim <= max(self.axis):
            what = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
            raise ShapeError(f"`axis` must be axes of what the encoder returns, {what}; it was {self.axis}.")
        if self.how == "mean":
            return out.mean(self.axis)
        if self.how == "max":
            return out.amax(self.axis)
        place = 0 if self.how == "first" else -1
        for axis in sorted(self.axis, reverse=True):
            out = out.select(axis, place)
        return out


class Flat(nn.Module):
    """Flatten what an encoder returns to (B, d), also where `squeeze()` has dropped the axis of the samples.

    Parameters
    ----------
    module : nn.Module
        The encoder.

    Examples
    --------
    >>> class Squeezed(nn.Conv1d):
    ...     def forward(self, x):
    ...         return super().forward(x).squeeze()
    >>> net = Squeezed(1, 4, 9)
    >>> net(torch.zeros(1, 1, 9)).shape, Flat(net)(torch.zeros(1, 1, 9)).shape
    (torch.Size([4]), torch.Size([1, 4]))
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = _module(module)

    def forward(self, x: Tensor) -> Tensor:
        """Return the embeddings (B, d)."""
        out = self.module(x)
        if not isinstance(out, Tensor) or (len(x) > 1 and (not out.ndim or len(out) != len(x))):
            what = f"shape {tuple(out.shape)}" if isinstance(out, Tensor) else type(out).__name__
            raise ShapeError(f"Flat needs an encoder that returns (B, ...); for {len(x)} samples it returned {what}.")
        return out.reshape(len(x), -1)


class Tokens(nn.Module):
    """Pass samples on as whole numbers, int64: for an encoder that begins with `nn.Embedding`.

    Parameters
    ----------
    module : nn.Module
        The encoder.

    Examples
    --------
    >>> Tokens(nn.Embedding(100, 8))(torch.tensor([[3.0, 7.0]])).shape
    torch.Size([1, 2, 8])
    """

    def __init__(self, module: nn.Module):
        super().__init__()
        self.module = _module(module)

    def forward(self, x: Tensor) -> Tensor:
        """Return what the encoder makes of whole numbers."""
        return self.module(x.to(torch.int64))


def _module(module: nn.Module) -> nn.Module:
    return _validate.instance(module, "module", nn.Module, "a module of torch", "Pass the encoder itself.")


def _parts(out) -> str:
    """Say which parts an output has."""
    if isinstance(out, Mapping):
        return ", ".join(map(repr, out))
    return f"0 to {len(out) - 1}" if isinstance(out, Sequence) else type(out).__name__
