"""An encoder on trial: copies of it, run in every way in which training runs it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from mmpid.models.copies import copy_model
from mmpid.models.dry_run import has_lazy_parts, in_training_mode, input_dtype
from mmpid.models.forms import Form, form_of
from mmpid.models.modes import evaluating


class FailedError(Exception):
    """The encoder raised; the text says what."""


@dataclass(frozen=True)
class Trial:
    """A copy of an encoder, made once, and the samples it is tried on; both stay as they are."""

    module: nn.Module
    x: Tensor

    @classmethod
    def of(cls, module: nn.Module, x: Tensor) -> "Trial":
        """Copy an encoder, give lazy layers of the copy their sizes, and convert the samples to its dtype."""
        base, x = copy_model(module), x.to(input_dtype(module, x))
        if has_lazy_parts(base):
            sized = copy_model(base)
            with _foreign(), torch.no_grad():
                base.eval()(x.clone())
            for part, other in zip(base.modules(), sized.modules(), strict=True):
                part.training = other.training
        return cls(base, x)

    def fresh(self, *, training: bool = False) -> nn.Module:
        """Return a new copy, in evaluation mode or in the mode that it would train in."""
        twin = copy_model(self.module)
        if training:
            in_training_mode(twin)
        else:
            twin.eval()
        twin.zero_grad(set_to_none=True)
        return twin

    def evaluate(self, x: Tensor | None = None, twin: nn.Module | None = None):
        """Return what the encoder makes of samples in evaluation mode."""
        twin = self.fresh() if twin is None else twin
        with _foreign(), torch.no_grad(), evaluating(twin):
            return twin((self.x if x is None else x).clone())

    def form(self, n: int) -> Form:
        """Return the form of what it makes of the first samples in evaluation mode."""
        return form_of(self.evaluate(self.x[:n]), n)

    def train(self, x: Tensor, twin: nn.Module | None = None) -> tuple[nn.Module, Tensor]:
        """Take one forward and backward pass in training mode; return the copy, with gradients, and its output."""
        twin = self.fresh(training=True) if twin is None else twin
        with _foreign(), torch.enable_grad():
            out = twin(x.clone())
            form = form_of(out, len(x))
            if form.problem:
                raise FailedError(f"in training mode it returned {form.problem}. {form.advice}")
            if out.requires_grad:
                weights = torch.linspace(0.5, 1.5, out.numel()).to(out).view_as(out)
                (out * weights).sum().backward()
        return twin, out


@contextmanager
def _foreign() -> Iterator[None]:
    """Turn whatever an encoder raises into one kind of error."""
    try:
        yield
    except (FailedError, torch.OutOfMemoryError):
        raise
    except Exception as problem:
        raise FailedError(f"{type(problem).__name__}: {' '.join(str(problem).split())}"[:300]) from problem
