"""Encoders drawn at random, with all kinds of outputs, modes, dtypes and faults: no foreign error, no silent change."""

import warnings
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import nn

from mmpid.errors import MMPIDError, MMPIDWarning
from mmpid.testing import check_encoder
from tests.own_encoders import STEPS, WIDTH, Then, make_data, make_model, make_trainer

FORMS = {
    "plain": lambda z: z,
    "tuple": lambda z: (z, None),
    "scalar first": lambda z: (z.mean(), z),
    "dict": lambda z: {"n": 3, "h": z},
    "empty": lambda z: {},
    "text": lambda z: "z",
    "squeezed": lambda z: z.squeeze(),
    "one number": lambda z: z.mean(1),
    "sequence": lambda z: z.unflatten(1, (2, -1)),
    "map": lambda z: z.unflatten(1, (2, 2, 1)),
    "time first": lambda z: z.unflatten(1, (2, -1)).transpose(0, 1),
    "whole numbers": lambda z: z.argmax(1, keepdim=True),
    "complex": lambda z: z.to(torch.complex64),
    "no numbers": lambda z: z[:, :0],
    "mean of the batch": lambda z: z.mean(0, keepdim=True),
    "mixed over the batch": lambda z: z - z.mean(0),
    "detached": lambda z: z.detach(),
    "in half": lambda z: z.half(),
    "narrow": lambda z: z[:, :3],
    "not a number": lambda z: z * float("nan"),
}
FAULTS = {
    "none": lambda module, x: x,
    "error in training": lambda module, x: x if not module.training else {}["missing"],
    "error in evaluation": lambda module, x: x if module.training else [][1],
    "error for one sample": lambda module, x: x if len(x) > 1 else 1 / 0,
    "assertion": lambda module, x: torch.testing.assert_close(x, x + 1),
    "in place": lambda module, x: x.sub_(0.5),
    "switches mode": lambda module, x: (module.net.train(not module.net.training), x)[1],
    "counts": lambda module, x: (setattr(module, "n", getattr(module, "n", 0) + 1), x)[1],
    "keeps the batch": lambda module, x: (setattr(module, "kept", [x]), x)[1],
    "draws": lambda module, x: x + 0.1 * float(np.random.rand()),  # noqa: NPY002  what users draw from
    "needs the batch before": lambda module, x: (x + getattr(module, "x", 0), setattr(module, "x", x.mean()))[0],
}
NORMS = {
    "none": lambda layer: layer,
    "old weight_norm": nn.utils.weight_norm,
    "old spectral_norm": nn.utils.spectral_norm,
    "weight_norm": nn.utils.parametrizations.weight_norm,
    "spectral_norm": nn.utils.parametrizations.spectral_norm,
    "batch": lambda layer: nn.Sequential(layer, nn.BatchNorm1d(4)),
    "batch without statistics": lambda layer: nn.Sequential(layer, nn.BatchNorm1d(4, track_running_stats=False)),
    "layer": lambda layer: nn.Sequential(layer, nn.LayerNorm(4), nn.Dropout(0.3)),
}
BODIES = {
    "dense": lambda: nn.Flatten(),
    "lazy": lambda: nn.Sequential(nn.LazyConv1d(4, 1), nn.Flatten(), nn.LazyLinear(STEPS * WIDTH)),
    "recurrent": lambda: Then(nn.GRU(WIDTH, WIDTH, batch_first=True), lambda out: out[0].flatten(1)),
}
MODES = ("training", "evaluation", "last layer in evaluation")
FROZEN = ("nothing", "everything", "last layer")
DTYPES = (torch.float32, torch.float64, torch.bfloat16)


class Drawn(nn.Module):
    """A body, a layer of four numbers, a fault before and a form after them."""

    def __init__(self, body, norm, form, fault):
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # torch has another weight_norm by now, which users do not
            self.net, self.last = BODIES[body](), NORMS[norm](nn.Linear(STEPS * WIDTH, 4))
        self.form, self.fault = FORMS[form], FAULTS[fault]

    def forward(self, x):
        return self.form(self.last(self.net(self.fault(self, x))))


def often(first, others):
    """Draw the usual value half of the time, so that several things are rarely wrong at once."""
    return st.one_of(st.just(first), st.sampled_from(list(others)))


@st.composite
def encoders(draw):
    torch.manual_seed(draw(st.integers(0, 3)))
    names = [often(next(iter(table)), table) for table in (BODIES, NORMS, FORMS, FAULTS)]
    encoder = Drawn(*map(draw, names))
    mode, frozen, dtype = (draw(often(options[0], options)) for options in (MODES, FROZEN, DTYPES))
    encoder.to(dtype)
    if mode != "training":
        (encoder if mode == "evaluation" else encoder.last).eval()
    for p in {"nothing": nn.Identity(), "everything": encoder, "last layer": encoder.last}[frozen].parameters():
        p.requires_grad = False
    return encoder


@cache
def data():
    return make_data()


def state(module):
    """Return all that a check must leave alone; weights without a size yet by name only."""
    tensors = {
        name: None if torch.nn.parameter.is_lazy(x) else x.detach().clone() for name, x in module.state_dict().items()
    }
    flags = [part.training for part in module.modules()], [p.requires_grad for p in module.parameters()]
    kinds = [type(part).__name__ for part in module.modules()]
    return tensors, flags, kinds, sorted(vars(module))


def same(one, other):
    tensors = all(
        (x is None and y is None) or torch.equal(x.nan_to_num(), y.nan_to_num())
        for x, y in zip(one[0].values(), other[0].values(), strict=True)
    )
    return tensors and one[1:] == other[1:]


@pytest.mark.slow
@settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(encoders(), st.sampled_from(["concat", "film"]), st.integers(0, 14))
def test_checks_and_trainers_take_or_name_every_encoder(encoder, fusion, draw):
    before, random = state(encoder), (torch.get_rng_state(), np.random.get_state()[1].tolist())  # noqa: NPY002
    report = check_encoder(encoder, data().sample(3)["b"])
    assert same(before, state(encoder))
    assert torch.equal(random[0], torch.get_rng_state()) and random[1] == np.random.get_state()[1].tolist()  # noqa: NPY002
    samples = {name: x.clone() for name, x in data().inputs.items()}
    model = make_model(encoder, fusion=fusion)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MMPIDWarning)
        try:
            if draw:
                model.find_sizes(data().sample(2))
                accepted = True
            else:  # one of fifteen is trained
                trainer = make_trainer(model, data())
                frozen = {name: p.detach().clone() for name, p in model.named_parameters() if not p.requires_grad}
                accepted = True
                trainer.step(batches=3)
                assert all(
                    torch.equal(p.nan_to_num(), frozen[name].nan_to_num())
                    for name, p in model.named_parameters()
                    if name in frozen and not name.startswith("fusion")
                )
        except MMPIDError as problem:
            accepted = "not finite" in str(problem) or "NaN" in str(problem)
            assert accepted or "'b'" in str(problem)
    assert all(torch.equal(x, samples[name]) for name, x in data().inputs.items())
    sequence = any(f.check == "output" and f.verdict == "warning" for f in report)
    assert accepted or sequence or not report.ok, report
    if draw and None not in before[0].values():  # lazy layers get their sizes
        assert same(before, state(encoder))
