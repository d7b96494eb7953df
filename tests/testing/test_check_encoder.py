import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

import mmpid
from mmpid.errors import InputError, ShapeError
from mmpid.testing import check_encoder
from tests.own_encoders import STEPS, USUAL, WIDTH, Then, batch_norm, flat

X = torch.as_tensor(np.random.default_rng(0).normal(size=(8, STEPS, WIDTH)), dtype=torch.float32)


class With(nn.Module):
    """A sound encoder with one thing wrong."""

    def __init__(self, **parts):
        super().__init__()
        self.net = flat()
        self.mean = torch.zeros(8)
        for name, part in parts.items():
            setattr(self, name, part)

    def forward(self, x):
        return self.net(x)


class Unsaved(With):
    def forward(self, x):
        z = self.net(x)
        if self.training:
            self.mean = 0.5 * self.mean + z.detach().mean(0)
        return z - self.mean


class NumpyNoise(With):
    def forward(self, x):
        return self.net(x) * (float(np.random.rand()) if self.training else 1.0)  # noqa: NPY002  what users draw from


class Switching(With):
    def forward(self, x):
        return self.net.eval()(x)


class ExtraState(With):
    def get_extra_state(self):
        return {"n": {3}}

    def set_extra_state(self, state):
        pass


def unit(x):
    x = x.flatten(1)
    return x / x.norm(dim=1, keepdim=True)


def verdicts(report):
    return {finding.check: finding.verdict for finding in report}


@pytest.mark.parametrize("encoder", [flat(), nn.Sequential(flat(), nn.Dropout(0.5)), flat().double()])
def test_a_sound_encoder_has_no_finding(encoder):
    report = check_encoder(encoder, X)
    assert report.ok and set(verdicts(report).values()) == {"fine"}
    assert {"output", "one sample", "repeats", "batch", "training", "gradient", "saved weights", "scale"} <= set(
        verdicts(report)
    )


@pytest.mark.parametrize("name", USUAL)
def test_what_a_trainer_takes_does_not_break(name):
    encoder = USUAL[name]()
    modes = [part.training for part in encoder.modules()]
    kinds = [type(part) for part in encoder.modules()]
    keys, attributes = list(encoder.state_dict()), {key: id(x) for key, x in vars(encoder).items()}
    random = torch.get_rng_state()
    report = check_encoder(encoder, X)
    assert report.ok and ("input" in {f.check for f in report.of("warning")}) == (name == "in place")
    assert modes == [part.training for part in encoder.modules()]
    assert kinds == [type(part) for part in encoder.modules()]  # lazy layers are still lazy
    assert list(encoder.state_dict()) == keys and {key: id(x) for key, x in vars(encoder).items()} == attributes
    assert torch.equal(random, torch.get_rng_state())


BROKEN = {
    "lstm": (nn.LSTM(WIDTH, 4, batch_first=True), "output", "breaks", "mmpid.models.Pool(mmpid.models.First(encoder))"),
    "dict": (Then(flat(), lambda z: {"h": z}), "output", "breaks", "mmpid.models.Take(encoder, 'h')"),
    "sequence": (nn.Linear(WIDTH, 4), "output", "warning", "mmpid.models.Pool(encoder)"),
    "wrong shape": (nn.Linear(9, 4), "output", "breaks", "torch.zeros(2, 5, 4)"),
    "half": (flat().half(), "output", "breaks", "encoder.float()"),
    "words": (nn.Sequential(nn.Embedding(9, 2), nn.Flatten()), "output", "breaks", "mmpid.models.Tokens(encoder)"),
    "squeezed": (Then(flat(), lambda z: z.squeeze()), "one sample", "breaks", "mmpid.models.Flat(encoder)"),
    "time first": (mmpid.models.Pool(mmpid.models.First(nn.LSTM(WIDTH, 4))), "batch", "breaks", "batch_first=True"),
    "softmax over the batch": (Then(flat(), lambda z: z.softmax(0)), "batch", "breaks", "axis 0"),
    "dropout in evaluation": (Then(flat(), functional.dropout), "repeats", "warning", "torch.nn.Dropout"),
    "batch norm": (batch_norm(), "one sample, training", "warning", "joins the batch before it"),
    "detached": (Then(flat(), torch.Tensor.detach), "gradient", "breaks", "detach()"),
    "unused": (With(spare=nn.Linear(2, 2)), "gradient", "warning", "use it in `forward`"),
    "root of zero": (Then(flat(), lambda z: (0 * z).sqrt()), "gradient", "breaks", "sqrt(0)"),
    "dead": (Then(flat(), lambda z: (z - 1e3).relu()), "scale", "warning", "Dead units?"),
    "numpy": (NumpyNoise(), "random numbers", "warning", "torch's global generator"),
    "attribute": (With(scale=torch.ones(3)), "attributes", "warning", "register_buffer"),
    "unsaved": (Unsaved(), "saved weights", "breaks", "a parameter or a buffer"),
    "extra state": (ExtraState(), "saved weights", "breaks", "get_extra_state()"),
    "switching": (Switching(), "modes", "warning", "Leave train() and eval()"),
    "huge": (Then(flat(), lambda z: 1e5 * z), "scale", "warning", "LayerNorm"),
    "not finite": (Then(flat(), torch.log), "values", "breaks", "log(0)"),
    "silence": (Then(nn.Identity(), unit), "values", "warning", "silent clip"),
    "in place": (Then(nn.ReLU(inplace=True), lambda z: z.flatten(1)), "input", "warning", "x.clone()"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_each_fault_is_found_and_named_in_plain_words(case):
    encoder, check, verdict, advice = BROKEN[case]
    found = {finding.check: finding for finding in check_encoder(encoder, X)}
    assert found[check].verdict == verdict and advice in found[check].advice


def test_samples_of_another_scale_are_said_and_numbers_of_words_are_not():
    pixels = check_encoder(flat(), (100 * X + 128).clamp(0, 255).to(torch.uint8))
    assert "standardize=True" in {f.check: f for f in pixels}["input scale"].advice
    words = mmpid.models.Tokens(nn.Sequential(nn.Embedding(1000, 2), nn.Flatten()))
    assert "input scale" not in verdicts(check_encoder(words, torch.randint(0, 1000, (8, 5))))


def test_one_sample_will_do_and_what_is_no_encoder_or_sample_is_refused():
    assert check_encoder(flat(), X[:1].numpy()).ok and check_encoder(nn.Linear(4, 2), np.ones(4)).ok
    with pytest.raises(InputError, match="`module` must be a module of torch"):
        check_encoder(lambda x: x, X)
    with pytest.raises(InputError, match="`sample`"):
        check_encoder(flat(), X * torch.nan)
    with pytest.raises(ShapeError, match="`sample` must hold samples"):
        check_encoder(flat(), torch.zeros(0, 4))


def test_frozen_parts_and_those_in_evaluation_mode_are_named():
    net = nn.Sequential(batch_norm(), nn.Linear(8, 4))
    net[0][2].eval()
    net[0].requires_grad_(False)
    found = {finding.check: finding.found for finding in check_encoder(net, X)}
    assert "in evaluation mode, and left so: 0.2" in found["size"] and "4 tensors are frozen" in found["gradient"]
