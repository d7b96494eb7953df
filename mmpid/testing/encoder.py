"""Look at an encoder as training will use it, and say in plain words what would break or mislead."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from mmpid import _validate
from mmpid.errors import InputError, ShapeError
from mmpid.models.dry_run import HALF, own_random_numbers
from mmpid.models.forms import Form, sequence_advice
from mmpid.testing.encoder_checks import CHECKS
from mmpid.testing.report import BREAKS, FINE, WARNING, CheckReport, Finding
from mmpid.testing.trial import FailedError, Trial


def check_encoder(module: nn.Module, sample) -> CheckReport:
    """Check an encoder before training: a table of what was looked at and what would break.

    The table covers the form of the output, one sample alone and in a batch, passes in training and in evaluation mode,
    which weights the gradient reaches, random numbers, dtype, copies and saved weights, the scale of the embeddings,
    values that are not finite, and changes of the input.

    Parameters
    ----------
    module : nn.Module
        The encoder. It is copied and never changed; a lazy one keeps its layers without sizes.
    sample : array or tensor, shape (B, ...)
        Samples as the encoder will get them, best eight or more: ``data.sample(8)["audio"]``. They are taken as
        float32, as in training.

    Returns
    -------
    CheckReport
        `ok` tells whether nothing breaks.

    Raises
    ------
    InputError
        `module` is not a torch module, or `sample` is not an array of finite numbers.

    Notes
    -----
    A few samples at the initial weights are looked at: what happens for others, or later in training, goes unnoticed.

    Examples
    --------
    >>> report = check_encoder(nn.Sequential(nn.Linear(4, 8), nn.ReLU()), torch.randn(8, 4))
    >>> report.ok, [finding.check for finding in report][:3]
    (True, ['output', 'one sample', 'repeats'])
    >>> print(check_encoder(nn.LSTM(4, 8), torch.randn(8, 5, 4)).of("breaks")[0].advice)
    Wrap it: mmpid.models.Pool(mmpid.models.First(encoder)) is the mean over the sequence, \
mmpid.models.Pool(mmpid.models.First(encoder), 'last') its last entry.
    """
    hint = "Pass the encoder itself, such as torch.nn.Linear(20, 16)."
    _validate.instance(module, "module", nn.Module, "a module of torch", hint)
    device = next((p.device for p in module.parameters()), torch.device("cpu"))
    x = _samples(sample).to(device)
    with own_random_numbers(device, 0):
        return CheckReport(type(module).__name__, tuple(_findings(module, x)))


def _samples(sample) -> Tensor:
    """Return samples (B, ...) as float32, two at the least."""
    x = _validate.finite(_validate.as_tensor(sample, "sample"), "sample").detach().to(torch.float32)
    if x.ndim == 0 or 0 in x.shape:
        raise ShapeError(f"`sample` must hold samples (B, ...); its shape was {tuple(x.shape)}. Try data.sample(8).")
    if x.ndim == 1:
        x = x[None]
    return x if len(x) > 1 else torch.cat([x, x.flatten(1).roll(1, 1).view_as(x) + 0.1])


def _findings(module: nn.Module, x: Tensor) -> Iterator[Finding]:
    """Yield what is found; what fails early hides what comes after it."""
    try:
        trial = Trial.of(module, x)
        form = trial.form(len(x))
    except InputError as problem:
        yield Finding("copy", BREAKS, str(problem), "A trainer keeps copies of the best weights.")
        return
    except FailedError as problem:
        yield Finding("output", BREAKS, f"it fails on samples {tuple(x.shape)}: {problem}", _advice(module, x))
        return
    yield _output(form, trial)
    if form.problem:
        return
    for check in CHECKS:
        try:
            yield from check(trial)
        except FailedError as problem:
            name = check.__name__.removeprefix("check_").replace("_", " ")
            yield Finding(
                name, BREAKS, str(problem), "It works for a batch in evaluation mode: look at what differs here."
            )


def _output(form: Form, trial: Trial) -> Finding:
    if form.problem:
        return Finding("output", BREAKS, f"for {len(trial.x)} samples it returned {form.problem}", form.advice)
    if form.is_sequence:
        text = f"a sequence (batch, T, {form.size}), which a fusion by name does not take"
        return Finding("output", WARNING, text, sequence_advice())
    return Finding("output", FINE, f"embeddings (batch, {form.size})")


def _advice(module: nn.Module, x: Tensor) -> str:
    """Say what to try where an encoder cannot read the samples."""
    if {p.dtype for p in module.parameters()} & set(HALF):
        return "Its weights are in half precision: try encoder.float(), and Trainer(..., precision='bfloat16')."
    if any(isinstance(part, nn.Embedding | nn.EmbeddingBag) for part in module.modules()):
        return "Samples arrive as float32. For whole numbers wrap it: mmpid.models.Tokens(encoder)."
    return f"`sample` must be samples (batch, ...) as it reads them; try encoder(torch.zeros{(2, *x.shape[1:])})."
