"""The single checks of an encoder; each yields what it found."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from mmpid.datasets.scale import scale_problem
from mmpid.errors import InputError
from mmpid.models.forms import form_of
from mmpid.models.weights import extra_state
from mmpid.runs.state import State
from mmpid.testing.report import BREAKS, FINE, WARNING, Finding
from mmpid.testing.trial import FailedError, Trial

SAME = 1e-3  # relative difference up to which two embeddings are the same but for rounding
SPREAD = (1e-3, 1e3)  # standard deviations of embeddings that heads learn from
SHOWN = 4  # names that a text lists
ALONE = 8  # samples that are also tried one by one
NORMS = ("_g", "_orig")  # of what weight_norm and spectral_norm make a weight again in every pass
COLLAPSED = 1e-5  # spread over samples, relative to the embedding, below which all are the same


def check_one_sample(trial: Trial) -> Iterator[Finding]:
    """Compare the form for one sample with that for many."""
    form = trial.form(1)
    if form.problem:
        yield Finding("one sample", BREAKS, f"for one sample it returned {form.problem}", form.advice)
    else:
        yield Finding("one sample", FINE, "one sample alone gives one embedding")


def check_batch(trial: Trial) -> Iterator[Finding]:
    """Compare embeddings of samples in a batch with those of the same samples alone, in evaluation mode."""
    whole, again = trial.evaluate(), trial.evaluate()
    if _apart(whole, again) > SAME:
        text = f"two passes in evaluation mode differ by {_apart(whole, again):.1%}"
        advice = "Use torch.nn.Dropout, which evaluation mode switches off, in place of functional.dropout(x)."
        yield Finding("repeats", WARNING, text, advice)
        return
    yield Finding("repeats", FINE, "two passes in evaluation mode agree")
    alone = [trial.evaluate(trial.x[i : i + 1]) for i in range(min(len(trial.x), ALONE))]
    if any(form_of(z, 1).problem for z in alone):
        return
    apart = max(_apart(z, whole[i : i + 1]) for i, z in enumerate(alone))
    if apart > SAME:
        text = f"in evaluation mode, a sample alone and in a batch have embeddings that differ by {apart:.1%}"
        advice = (
            "An LSTM, GRU or Transformer needs batch_first=True; a softmax or mean must not run over axis 0; batch "
            "normalization needs track_running_stats=True."
        )
        yield Finding("batch", BREAKS, text, advice)
    else:
        yield Finding("batch", FINE, "the embedding of a sample does not depend on the batch")


def check_training(trial: Trial) -> Iterator[Finding]:
    """Train on a batch twice and on one sample."""
    twin, _ = trial.train(trial.x)
    modes = [part.training for part in trial.fresh(training=True).modules()]
    changed = modes != [part.training for part in twin.modules()]
    trial.train(trial.x, twin)
    yield Finding("training", FINE, "forward and backward passes in training mode")
    if changed:
        advice = "Leave train() and eval() to the trainer."
        yield Finding("modes", WARNING, "a forward pass switches parts to training or evaluation mode", advice)
    if trial.form(1).problem:
        return
    try:
        trial.train(trial.x[:1])
    except FailedError as problem:
        text = f"one sample alone fails in training mode: {problem}"
        advice = (
            "A last batch of one sample joins the batch before it, and batch_size=1 is an error. torch.nn.GroupNorm "
            "has no such limit."
        )
        yield Finding("one sample, training", WARNING, text, advice)
    else:
        yield Finding("one sample, training", FINE, "one sample alone can be trained on")


def check_gradient(trial: Trial) -> Iterator[Finding]:
    """Look at which weights the gradient reaches."""
    twin, out = trial.train(trial.x)
    weights = {name: p for name, p in twin.named_parameters() if p.requires_grad}
    n_frozen = sum(not p.requires_grad for p in twin.parameters())
    frozen = f"; {n_frozen} tensors are frozen" if n_frozen else ""
    if not weights:
        yield Finding("gradient", FINE, f"no weights to train{frozen}")
        return
    unused = [name for name, p in weights.items() if p.grad is None]
    silent = [name for name, p in weights.items() if p.grad is not None and not p.grad.any()]
    broken = [name for name, p in weights.items() if p.grad is not None and not torch.isfinite(p.grad).all()]
    if not out.requires_grad or len(unused) == len(weights):
        advice = "Look for detach(), no_grad(), .data or NumPy on the way to the output."
        yield Finding("gradient", BREAKS, f"no gradient reaches any of {len(weights)} tensors of weights", advice)
    elif broken:
        advice = "Look for log(0), sqrt(0), norm(0) or a division by 0."
        yield Finding("gradient", BREAKS, f"the gradient of {_listed(broken)} is not finite", advice)
    elif unused:
        text = f"{_listed(unused)} has no part in the output, so it never learns{frozen}"
        yield Finding("gradient", WARNING, text, "Remove it, or use it in `forward`.")
    elif silent:
        text = f"the gradient of {_listed(silent)} is 0 on these samples{frozen}"
        yield Finding("gradient", WARNING, text, "A dead ReLU? Look at the scale of the input and at the initial bias.")
    else:
        yield Finding("gradient", FINE, f"it reaches all {len(weights)} tensors of weights{frozen}")


def check_random_numbers(trial: Trial) -> Iterator[Finding]:
    """Train twice with the same seed of torch."""
    outs = []
    for _ in range(2):
        torch.default_generator.manual_seed(0)
        outs.append(trial.train(trial.x)[1].detach())
    if trial.x.device.type == "cpu" and _apart(*outs) > SAME:
        text = "the same seed of torch gives other embeddings in training mode"
        advice = "Draw from torch's global generator: the states of NumPy and `random` are not part of a checkpoint."
        yield Finding("random numbers", WARNING, text, advice)
    else:
        yield Finding("random numbers", FINE, "the same seed gives the same embeddings")


def check_dtype(trial: Trial) -> Iterator[Finding]:
    """Name the dtypes of weights and embeddings."""
    kinds = sorted({str(p.dtype).removeprefix("torch.") for p in trial.module.parameters() if p.is_floating_point()})
    out = trial.evaluate()
    given = str(out.dtype).removeprefix("torch.")
    text = f"weights in {', '.join(kinds) or 'no dtype: there are none'}, embeddings in {given}, on {out.device}"
    if out.device != trial.x.device:
        yield Finding("dtype", BREAKS, text, "Return the embeddings on the device of the samples.")
    elif any(kind in ("float16", "bfloat16") for kind in kinds):
        advice = "Small updates vanish in half precision: try encoder.float() and Trainer(..., precision='bfloat16')."
        yield Finding("dtype", WARNING, text, advice)
    else:
        yield Finding("dtype", FINE, text)


def check_attributes(trial: Trial) -> Iterator[Finding]:
    """Name tensors that no state dict and no `to(device)` knows; caches, which a pass replaces, do no harm."""
    twin = trial.fresh()
    held = {
        f"{name}.{key}".lstrip("."): (part, key, value)
        for name, part in twin.named_modules()
        for key, value in vars(part).items()
        if isinstance(value, Tensor) and not any(f"{key}{end}" in part._parameters for end in NORMS)
    }
    trial.evaluate(twin=twin)
    loose = [name for name, (part, key, value) in held.items() if getattr(part, key, None) is value]
    if loose:
        text = f"{_listed(loose)} is a tensor that is neither saved nor moved to another device"
        yield Finding("attributes", WARNING, text, "Call self.register_buffer(name, tensor) in __init__.")


def check_copies(trial: Trial) -> Iterator[Finding]:
    """Train a little, save the weights, load them into another copy, and compare what both make of the samples."""
    try:
        State.pack(extra_state(trial.module), "encoder.state_dict()")
    except InputError as problem:
        advice = "Return tensors, numbers, text, or lists and dicts of these from get_extra_state()."
        yield Finding("saved weights", BREAKS, str(problem), advice)
        return
    twin, _ = trial.train(trial.x)
    trial.train(trial.x, twin)
    with torch.no_grad():
        for p in twin.parameters():
            if p.grad is not None:
                p.sub_(0.01 * p.grad.nan_to_num().clamp(-1, 1))
    other = trial.fresh()
    try:
        other.load_state_dict(twin.state_dict())
    except Exception as problem:
        text = f"its own state_dict() cannot be loaded: {type(problem).__name__}: {' '.join(str(problem).split())}"
        yield Finding("saved weights", BREAKS, text[:300], "Make all layers in __init__, not in `forward`.")
        return
    made = []
    for each in (twin, other):
        torch.default_generator.manual_seed(0)  # dropout that evaluation mode does not switch off is found elsewhere
        made.append(trial.evaluate(twin=each))
    apart = _apart(*made)
    if apart > SAME:
        text = f"loaded into another copy, the weights after training give embeddings that differ by {apart:.1%}"
        advice = (
            "What training changes must be a parameter or a buffer, or a resumed run continues from something else."
        )
        yield Finding("saved weights", BREAKS, text, advice)
    else:
        yield Finding("saved weights", FINE, "copied, saved and loaded, it gives the same embeddings")


def check_scale(trial: Trial) -> Iterator[Finding]:
    """Look at the scale of samples and embeddings, and whether the embeddings differ at all."""
    reads_numbers = not any(isinstance(part, nn.Embedding | nn.EmbeddingBag) for part in trial.module.modules())
    if reads_numbers and (problem := scale_problem(trial.x.flatten(1))):
        advice = "Scale the samples: from_arrays(..., standardize=True). At this scale an encoder may learn nothing."
        yield Finding("input scale", WARNING, problem, advice)
    z = trial.evaluate().double().flatten(1)
    if not torch.isfinite(z).all():
        text = f"{int((~torch.isfinite(z)).any(1).sum())} of {len(z)} embeddings hold NaN or infinity"
        yield Finding("values", BREAKS, text, "Look for overflow, log(0) or a division by 0 in `forward`.")
        return
    yield _zeros(trial)
    spread, size = float(z.std()), float(z.abs().max())
    if float(z.std(0).max()) <= COLLAPSED * size or size == 0:
        text = f"all {len(z)} samples have the same embedding"
        yield Finding("scale", WARNING, text, "Dead units? Look at the scale of the input and at the initial weights.")
    elif not SPREAD[0] <= spread <= SPREAD[1]:
        text = f"embeddings have a standard deviation of {spread:.2g}"
        yield Finding("scale", WARNING, text, "End it with torch.nn.LayerNorm(d), so that heads can learn from it.")
    else:
        dead = int((z.std(0) <= COLLAPSED * size).sum())
        some = f"; {dead} of {z.shape[1]} numbers never vary" if dead else ""
        yield Finding("scale", FINE, f"embeddings have a standard deviation of {spread:.2g}{some}")


def _zeros(trial: Trial) -> Finding:
    """Look at what the encoder makes of silence or a black image."""
    try:
        z = trial.evaluate(torch.zeros_like(trial.x))
    except FailedError as problem:
        return Finding("values", WARNING, f"it fails on samples of zeros: {problem}", "Are there none in the data?")
    if not torch.isfinite(z).all():
        advice = "A silent clip would end the run: add a small number to what it divides by."
        return Finding("values", WARNING, "samples of zeros give NaN or infinity", advice)
    return Finding("values", FINE, "all finite, for samples of zeros, too")


def check_input(trial: Trial) -> Iterator[Finding]:
    """See whether the samples are changed."""
    given = trial.x.clone()
    with torch.no_grad():
        trial.fresh()(given)
    if torch.equal(given, trial.x):
        yield Finding("input", FINE, "the samples stay as they are")
    else:
        advice = "Begin `forward` with x = x.clone(), and with ReLU(inplace=False): other code hands over its own data."
        yield Finding("input", WARNING, "it changes its input in place; a trainer hands over copies", advice)


def _apart(one: Tensor, other: Tensor) -> float:
    """Return the largest difference relative to the largest number; infinite for other shapes or values."""
    one, other = one.detach().double(), other.detach().double()
    if one.shape != other.shape or not torch.equal(torch.isfinite(one), torch.isfinite(other)):
        return float("inf")
    one, other = one.nan_to_num(0, 0, 0), other.nan_to_num(0, 0, 0)
    return float((one - other).abs().max() / one.abs().max().clamp_min(1e-12))


def _listed(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


def check_size(trial: Trial) -> Iterator[Finding]:
    """Count the weights, and name what its owner keeps in evaluation mode."""
    weights = list(trial.module.parameters())
    moving = sum(p.numel() for p in weights if p.requires_grad)
    text = f"{sum(p.numel() for p in weights):,} weights, {moving:,} of them to train"
    still = [name for name, part in trial.module.named_modules() if not part.training]
    whole = len(still) == len(list(trial.module.modules()))
    if still and not (whole and moving):  # a whole module that can learn is put into training mode
        text += f"; in evaluation mode, and left so: {'all of it' if whole else _listed(still)}"
    yield Finding("size", FINE, text)


CHECKS: tuple[Callable[[Trial], Iterator[Finding]], ...] = (
    check_one_sample,
    check_batch,
    check_training,
    check_gradient,
    check_random_numbers,
    check_dtype,
    check_attributes,
    check_copies,
    check_scale,
    check_input,
    check_size,
)
