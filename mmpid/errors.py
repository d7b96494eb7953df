"""Errors and warnings of mmpid.

A message has four parts: which argument, what it must be, what it was, and what to try next.
"""

import sys
import warnings


class MMPIDError(Exception):
    """Base class of every error that mmpid raises on purpose."""


class InputError(MMPIDError, ValueError):
    """An argument has a value that cannot be used."""


class ShapeError(InputError):
    """An array has the wrong number of axes, or its axes do not fit another array's."""


class ConfigError(InputError):
    """A setting has an unknown name or a value out of range."""


class MissingDependencyError(MMPIDError, ImportError):
    """An optional package is needed for this feature and is not installed."""


class ConvergenceError(MMPIDError, RuntimeError):
    """A solver missed its tolerance and the caller asked for an exception."""


class TrainingError(MMPIDError, RuntimeError):
    """Training cannot go on, for example because a loss became NaN."""


class CheckpointError(MMPIDError, RuntimeError):
    """A checkpoint is missing, cut short, of another model, or of a newer format."""


class MMPIDWarning(UserWarning):
    """Base class of every warning that mmpid gives."""


class ConvergenceWarning(MMPIDWarning):
    """A result misses its tolerance; the message says by how much."""


class SmallSampleWarning(MMPIDWarning):
    """The sample is too small for the number of cells, so an estimate is not identified."""


class LeakageWarning(MMPIDWarning):
    """Samples or groups appear in more than one split."""


class MissingDataWarning(MMPIDWarning):
    """Samples that lack a modality were left out; the message says how many."""


class LabelWarning(MMPIDWarning):
    """Labels were not 0..k-1 and have been mapped."""


class ScaleWarning(MMPIDWarning):
    """The values of a modality are so large, small or far from 0 that networks may not learn from them."""


def warn(message: str, category: type[MMPIDWarning]) -> None:
    """Warn at the line of the user's own code, not at ours."""
    depth, frame = 2, sys._getframe(1)  # depth 1 is this function
    while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] == "mmpid":
        frame, depth = frame.f_back, depth + 1
    warnings.warn(message, category, stacklevel=depth)
