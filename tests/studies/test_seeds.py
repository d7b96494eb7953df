import numpy as np
import pytest
import torch

from mmpid import LateFusion, MultimodalData, Trainer
from mmpid.errors import ConfigError, InputError, TrainingError
from mmpid.studies.compare import run_method
from mmpid.studies.seeds import SCHEDULES, train_seeds

SHORT = {"epochs": 5, "unimodal_epochs": 2, "batch_size": 48, "device": "cpu"}


@pytest.fixture(scope="module")
def draw():
    """Return a function from a seed to data of three classes; each seed draws its own samples."""

    def make(seed):
        rng = np.random.default_rng(seed)
        y = np.arange(300) % 3
        inputs = {"a": rng.normal(size=(3, 2, 4))[y], "b": rng.normal(size=(3, 5))[y]}
        noisy = {name: x + rng.normal(size=x.shape) for name, x in inputs.items()}
        return MultimodalData.from_arrays(noisy, y, seed=seed)

    return make


@pytest.mark.parametrize("settings", [{}, {"optimizer": "adamw", "lr": 0.003, "lr_step": 1}, {"selection": "last"}])
@pytest.mark.parametrize("method", SCHEDULES)
def test_every_seed_is_its_single_run(draw, method, settings):
    stacked = train_seeds(draw, seeds=[3, 1], method=method, **SHORT, **settings)
    single = [
        {"seed": seed, **row}
        for seed in (3, 1)
        for row in run_method(method, draw(seed), seed=seed, **SHORT, **settings)
    ]
    assert len(stacked.rows) == len(single)
    n_test = len(draw(0).splits["test"])
    for one, other in zip(stacked.rows, single, strict=True):
        assert {k: one[k] for k in ("seed", "method")} == {k: other[k] for k in ("seed", "method")}
        assert abs(one["test_accuracy"] - other["test_accuracy"]) <= 1.01 / n_test


def test_losses_and_weights_are_those_of_a_trainer(draw):
    stacked = train_seeds(draw, seeds=[0, 5], method="joint+aux", **SHORT)
    for i, seed in enumerate((0, 5)):
        data = draw(seed)
        quiet = {"n_boot": 0, "n_null": 0, "correction": "none", "ecs": (), "stage2": "off"}
        trainer = Trainer(
            LateFusion.from_data(data, seed=seed), data, seed=seed, **{**SHORT, "unimodal_epochs": 0}, **quiet
        )
        trainer.fit(progress=False)
        curves = [row for row in stacked.epochs if row["seed"] == seed]
        for row, own in zip(trainer.record.lineage("epoch"), curves, strict=True):
            for key in ("loss.a", "loss.b", "loss.joint", "validation_accuracy.ens"):
                assert own[key] == pytest.approx(row[key], abs=1e-5)
        weights = stacked.models[i].state_dict()
        for key, value in trainer.model.state_dict().items():
            torch.testing.assert_close(weights[key], value, rtol=1e-4, atol=1e-5)


def test_seeds_may_share_one_data_set_and_do_not_depend_on_each_other(draw):
    data = draw(0)
    shared = train_seeds(data, seeds=[0, 1, 2], method="fixed", **SHORT)
    alone = train_seeds(lambda seed: data, seeds=[2], method="fixed", **SHORT)
    assert shared.to_frame().query("seed == 2")["test_accuracy"].tolist() == alone.to_frame()["test_accuracy"].tolist()
    assert len(shared.to_frame("epoch")) == 3 * SHORT["epochs"] and "3 seeds" in repr(shared)


def test_frozen_encoders_stand_still(draw):
    short = {**SHORT, "epochs": 4}
    ends = [train_seeds(draw, [0], method="frozen", **{**short, "epochs": n}).models[0] for n in (3, 4)]
    for name in ("encoders", "heads"):
        for one, other in zip(*(getattr(model, name).parameters() for model in ends), strict=True):
            assert torch.equal(one, other)
    assert not torch.equal(ends[0].fusion.weight, ends[1].fusion.weight)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"method": "two-stage"}, "controller pauses and switches each seed at its own time.*mmpid.compare"),
        ({"method": "fixd"}, "Did you mean 'fixed'"),
        ({"freeze_encoders": True}, "`freeze_encoders` = True cannot be stacked"),
        ({"unimodal_epochs": 5}, "`unimodal_epochs` must lie between 1 and `epochs` - 1 = 4"),
        ({"seeds": []}, "at least one seed"),
    ],
)
def test_what_cannot_be_stacked_is_refused(draw, wrong, message):
    with pytest.raises(ConfigError, match=message):
        train_seeds(draw, **{"seeds": [0], **SHORT, **wrong})


def test_other_layers_and_fusions_are_refused(draw):
    def normalized(data, seed):
        encoders = {m: torch.nn.Sequential(torch.nn.Flatten(), torch.nn.LazyLinear(4)) for m in data.modalities}
        encoders["b"] = torch.nn.Sequential(torch.nn.Linear(5, 4), torch.nn.BatchNorm1d(4))
        encoders["a"][1] = torch.nn.Linear(8, 4)
        return LateFusion(encoders, data.n_classes, dims={"a": 4, "b": 4})

    with pytest.raises(ConfigError, match="that of 'b' has a BatchNorm1d.*one seed after another"):
        train_seeds(draw, [0], model=normalized, **SHORT)
    with pytest.raises(ConfigError, match="only fusion='concat' can be stacked.*'sum'"):
        train_seeds(draw, [0], model=lambda d, seed: LateFusion.from_data(d, fusion="sum", seed=seed), **SHORT)


@pytest.mark.parametrize("method", ["unimodal", "joint", "frozen"])
def test_frozen_parameters_are_refused_by_name_and_not_trained_in_silence(draw, method):
    def partly_frozen(data, seed):
        model = LateFusion.from_data(data, seed=seed)
        if seed == 1:
            model.encoders["b"].requires_grad_(False)
        return model

    names = [f"encoders.b.{name}" for name, _ in partly_frozen(draw(1), 1).encoders["b"].named_parameters()]
    with pytest.raises(ConfigError, match=f"frozen parameters.*{names[0]}, {names[1]}.*one seed after another"):
        train_seeds(draw, [0, 1], method=method, model=partly_frozen, **SHORT)


def test_what_a_trainer_froze_for_a_while_can_be_stacked(draw):
    def paused(data, seed):
        model = LateFusion.from_data(data, seed=seed)
        if freeze:
            trainer = Trainer(model, data, seed=seed, device="cpu", n_boot=0, n_null=0)  # stage 1 freezes the fusion
            trainer.pause("b")
            assert not all(parameter.requires_grad for parameter in model.parameters())
        return model

    freeze = False
    plain = train_seeds(draw, [0], method="joint", model=paused, **SHORT)
    freeze = True
    assert train_seeds(draw, [0], method="joint", model=paused, **SHORT).rows == plain.rows


def test_sizes_that_differ_between_seeds_are_refused(draw):
    def cut(seed):
        data = draw(0)
        keep = slice(0, 300 - 30 * seed)
        return MultimodalData.from_arrays({m: x[keep] for m, x in data.inputs.items()}, data.target[keep])

    with pytest.raises(InputError, match="must have one size for all seeds"):
        train_seeds(cut, [0, 1], **SHORT)


def test_a_diverging_seed_is_named(draw):
    with pytest.raises(TrainingError, match=r"not finite in epoch \d+ for seeds \[.*Try a smaller `lr`"):
        train_seeds(draw, [4], method="joint", **{**SHORT, "epochs": 40}, lr=1e12)
