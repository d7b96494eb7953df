"""Encoders of any usual form train, and what cannot train is named when the trainer is built."""

import copy
import random
import re

import numpy as np
import pytest
import torch
from torch import nn

import mmpid
from mmpid import LateFusion, Trainer
from mmpid.errors import ConfigError, InputError, MMPIDWarning, ShapeError
from mmpid.models import First, Flat, Pool, Take, Tokens
from mmpid.models.copies import copy_model
from tests.own_encoders import (
    STEPS,
    USUAL,
    WIDTH,
    Counting,
    Then,
    batch_norm,
    flat,
    lazy,
    make_data,
    make_model,
    make_trainer,
)
from tests.small_runs import weights

DATA = make_data()
KEEP_STATE = (
    "lazy",
    "old weight_norm",
    "old spectral_norm",
    "weight_norm",
    "spectral_norm",
    "batch norm",
    "cached",
    "extra state",
)


def same_runs(one, other):
    return torch.equal(weights(one), weights(other)) and [r.get("loss.b") for r in one.record.rows] == [
        r.get("loss.b") for r in other.record.rows
    ]


@pytest.mark.parametrize("name", USUAL)
def test_an_encoder_of_any_usual_form_trains_resumes_branches_and_rewinds(name, tmp_path):
    encoder, samples = USUAL[name], {key: x.clone() for key, x in DATA.inputs.items()}
    whole = make_trainer(make_model(encoder), DATA)
    whole.fit(progress=False)
    assert whole.finished and weights(whole).isfinite().all()
    if name not in KEEP_STATE:
        return
    halves = make_trainer(make_model(encoder), DATA)
    halves.step(batches=3)
    halves.save(tmp_path / "run")
    loaded = Trainer.load(tmp_path / "run", DATA, model=make_model(encoder), device="cpu")
    loaded.fit(progress=False)
    assert same_runs(whole, loaded)
    child = loaded.branch(at=0)
    child.step(epochs=1)
    whole.rewind(1)
    assert child.progress[0] == 1 and whole.epoch == 1
    selected = child.selected_model()
    assert not selected.training and selected(DATA.sample(3)).logits.shape == (3, 3)
    assert all(torch.equal(x, samples[key]) for key, x in DATA.inputs.items())


def test_extra_state_that_no_file_can_hold_is_named_before_training():
    with pytest.raises(InputError, match=r"encoders\.b\._extra_state\.steps"):
        make_trainer(make_model(Counting(pack=lambda state: {"steps": {state["steps"]}})), DATA)


@pytest.mark.parametrize(
    "encoder",
    [
        nn.LSTM(WIDTH, 8, batch_first=True),
        nn.GRU(WIDTH, 8, batch_first=True),
        Then(flat(), lambda z: {"mask": z[0], "hidden": z}),
        Then(nn.Linear(WIDTH, 8), lambda z: {"last_hidden_state": z, "n": 3}),
        Then(flat(), lambda z: (z.mean(), z)),
        Then(flat(), lambda z: type("Result", (), {"__init__": lambda self: setattr(self, "pooled", z)})()),
        Then(flat(), lambda z: z.squeeze()),
        Then(flat(1), lambda z: z.squeeze(1)),
        nn.Linear(WIDTH, 8),
        nn.Sequential(nn.Unflatten(1, (1, STEPS)), nn.Conv2d(1, 3, 2)),
    ],
    ids=["lstm", "gru", "dict", "sequence in dict", "tuple", "object", "squeezed", "one number", "sequence", "map"],
)
def test_another_form_is_refused_with_an_adapter_that_works_when_typed(encoder):
    with pytest.raises(ShapeError, match="encoder of 'b' must return") as caught:
        make_trainer(make_model(encoder), DATA)
    typed = re.findall(
        r"mmpid\.models\.\w+\(encoder.*?\)(?= |\.$|\.\s|,? |$)|mmpid\.models\.Pool\(.*?\)(?= is)", str(caught.value)
    )
    assert typed
    adapted = eval(typed[0].rstrip("."), {"mmpid": mmpid, "encoder": encoder})
    trainer = make_trainer(make_model(adapted), DATA)
    trainer.step(batches=1)
    assert trainer.updates == 1


@pytest.mark.parametrize(
    ("encoder", "error", "words"),
    [
        (
            lambda: nn.Linear(7, 3),
            InputError,
            r"failed in evaluation mode on samples \(2, 5, 4\).*model.encoders\['b'\]",
        ),
        (lambda: flat().bfloat16(), InputError, r"half precision: try encoder.float\(\)"),
        (lambda: nn.Sequential(nn.Embedding(9, 3), nn.Flatten()), InputError, r"mmpid.models.Tokens\(encoder\)"),
        (lambda: Then(flat(), lambda z: z.argmax(1, keepdim=True)), ShapeError, "floating-point"),
        (lambda: Then(flat(), lambda z: None), ShapeError, "it returned NoneType"),
        (lambda: Then(flat(), lambda z: {}["x"]), InputError, "KeyError: 'x'"),
        (lambda: Then(flat(), lambda z: z.mean()), ShapeError, r"a tensor of shape \(\)"),
        (lambda: nn.LSTM(WIDTH, 8), ShapeError, "First"),
        (lambda: Then(flat(), lambda z: z.sigmoid_().mul_(z.exp()).sqrt_()), InputError, "training mode.*inplace"),
        (lambda: batch_norm(track_running_stats=False), InputError, r"\(1, 5, 4\).*more than 1 value"),
        (lambda: Then(flat(), lambda z: z * torch.nan), InputError, "finite"),
    ],
)
def test_what_cannot_train_is_named_when_the_trainer_is_built(encoder, error, words):
    with pytest.raises(error, match="the encoder of 'b'.*" + words):
        make_trainer(make_model(encoder), DATA)


def test_weights_without_values_or_of_inference_mode_are_named():
    with torch.inference_mode():
        made = flat()
    for encoder in (lambda: made, lambda: flat().to("meta")):
        with pytest.raises(InputError, match=r"'encoders\.b\.1\.weight'"):
            make_trainer(make_model(encoder), DATA)
    make_trainer(make_model(copy.deepcopy(made)), DATA)


def test_declared_sizes_are_measured_and_wrong_ones_refused():
    with pytest.raises(ConfigError, match=r"`dims\['b'\]` must be .* 8; it was 9. Pass dims=\{'a': 4, 'b': 8\}"):
        make_trainer(make_model(flat, dims={"a": 4, "b": 9}), DATA)
    model = make_model(flat, dims={"a": 4, "b": 8})
    heads = model.heads["b"]
    assert make_trainer(model, DATA).model.heads["b"] is heads
    unseen = make_model(lambda: Then(nn.Conv1d(STEPS, 3, 2), lambda z: z.flatten(1)), fusion="film")
    with pytest.raises(ConfigError, match="find_sizes"):
        unseen(DATA.sample(2))
    one, two = (
        unseen.find_sizes(DATA.sample(2), seed=1),
        make_model(lambda: copy_model(unseen.encoders["b"]), fusion="film"),
    )
    assert one.dims == {"a": 4, "b": 9} and torch.equal(
        one.heads["b"].weight, two.find_sizes(DATA.sample(2), seed=1).heads["b"].weight
    )


def test_from_data_takes_modules_beside_names():
    model = LateFusion.from_data(DATA, encoder={"a": "mlp", "b": lazy()}, fusion="gated", seed=1)
    assert model.dims == {"a": 32, "b": 7} and model.spec is None
    make_trainer(model, DATA).step(epochs=1)


@pytest.mark.parametrize(
    ("n_train", "encoder", "sizes"),
    [
        (129, batch_norm, [64, 65]),
        (129, flat, [64, 64, 1]),
        (128, batch_norm, [64, 64]),
        (65, batch_norm, [65]),
        (66, batch_norm, [64, 2]),
    ],
)
def test_a_last_batch_of_one_joins_the_batch_before_with_batch_norm_only(n_train, encoder, sizes):
    trainer = make_trainer(make_model(encoder), make_data(86 + n_train))
    trainer.step(epochs=1)
    assert [len(index) for index in trainer._run.epoch._order] == sizes and trainer.updates == len(sizes)


def test_batches_of_one_are_refused_with_batch_norm():
    with pytest.raises(ConfigError, match="`batch_size` must be at least 2"):
        make_trainer(make_model(batch_norm), DATA, batch_size=1)
    trainer = make_trainer(make_model(batch_norm), DATA)
    trainer.step(batches=1)
    with pytest.raises(ConfigError, match="`n` must be at least 2"):
        trainer.set_batch_size(1)
    trainer.set_batch_size(32)  # 65 samples are left: 32 and 33
    trainer.step(epochs=1)
    assert trainer.updates == 3


class Normalizing(nn.Module):
    """A fusion of the user's own with batch normalization."""

    def __init__(self, out=3):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(12, 6), nn.BatchNorm1d(6), nn.Linear(6, out))

    def forward(self, z):
        return self.net(torch.cat([z["a"], z["b"]], dim=1))


def test_a_fusion_of_ones_own_is_tried_too():
    trainer = make_trainer(make_model(flat, fusion=Normalizing()), DATA, fusion_init="random")
    assert trainer.model.needs_two
    trainer.fit(progress=False)
    with pytest.raises(ShapeError, match=r"`fusion` must return joint logits \(2, 3\).*Linear\(d, 3\)"):
        make_trainer(make_model(flat, fusion=Normalizing(4)), DATA)
    with pytest.raises(InputError, match="`fusion` must take a dict of features.*cannot be multiplied"):
        make_trainer(make_model(lambda: flat(9), fusion=Normalizing()), DATA)


def test_samples_that_influence_each_other_are_warned_of():
    with pytest.warns(MMPIDWarning, match="encoder of 'b'.*batch_first=True"):
        make_trainer(make_model(lambda: Pool(First(nn.LSTM(WIDTH, 8)))), DATA)


def test_the_dry_pass_leaves_everything_as_it_was():
    encoder = nn.Sequential(batch_norm(), nn.Dropout(0.5), nn.utils.spectral_norm(nn.Linear(8, 8)))
    encoder.last = None
    encoder.register_forward_hook(lambda module, x, z: setattr(module, "last", z))
    for p in encoder.parameters():
        p.grad = torch.ones_like(p)
    model = make_model(encoder)
    state = {key: x.clone() for key, x in model.state_dict().items()}
    states = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002  users draw from it
    flags = [p.requires_grad for p in model.parameters()], [part.training for part in model.modules()]
    model.find_sizes(DATA.sample(2))
    assert flags == ([p.requires_grad for p in model.parameters()], [part.training for part in model.modules()])
    assert all(torch.equal(x, model.state_dict()[key]) for key, x in state.items())
    assert torch.equal(states[0], torch.get_rng_state()) and states[1] == random.getstate()
    assert states[2] == np.random.get_state()[1].tolist()  # noqa: NPY002
    assert all(bool((p.grad == 1).all()) for p in encoder.parameters()) and torch.get_default_dtype() is torch.float32
    assert encoder.last is None


def test_adapters_refuse_what_they_cannot_adapt():
    x = torch.zeros(2, STEPS, WIDTH)
    for adapter in (First(flat()), Flat(nn.LSTM(WIDTH, 2)), Take(nn.LSTM(WIDTH, 2), 7), Pool(flat(), axis=2)):
        with pytest.raises(ShapeError):
            adapter(x)
    with pytest.raises(ShapeError, match="'h'.*it was 'z'"):
        Take(Then(flat(), lambda z: {"h": z}), "z")(x)
    with pytest.raises(InputError, match="`module` must be a module of torch"):
        Tokens(lambda x: x)
    with pytest.raises(ConfigError, match="`how`"):
        Pool(flat(), "median")
    sequence = torch.arange(12.0).view(2, 3, 2)
    assert Pool(nn.Identity(), "last")(sequence).tolist() == [[4, 5], [10, 11]]
    assert Pool(nn.Identity(), "first", axis=2)(sequence).tolist() == [[0, 2, 4], [6, 8, 10]]
    assert torch.equal(Pool(nn.Identity(), "max")(sequence), sequence.amax(1))
