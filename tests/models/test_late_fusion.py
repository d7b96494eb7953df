import pytest
import torch

from mmpid import LateFusion, datasets
from mmpid.errors import ConfigError, InputError, ShapeError
from mmpid.models import MLP, ConvNet, linear_probe
from mmpid.models.encoders import embedding_dim
from mmpid.models.fusion import KINDS
from mmpid.models.modes import evaluating


def batch(n=5):
    generator = torch.Generator().manual_seed(0)
    return {"a": torch.randn(n, 4, generator=generator), "b": torch.randn(n, 6, generator=generator)}


def model(fusion="concat"):
    torch_model = LateFusion({"a": torch.nn.Linear(4, 3), "b": torch.nn.Linear(6, 2)}, n_classes=3, fusion=fusion)
    return torch_model.eval()


@pytest.mark.parametrize("fusion", KINDS)
def test_parameters_are_partitioned_by_modality_and_fusion(fusion):
    net = model(fusion)
    parts = [*net.modality_parameters("a"), *net.modality_parameters("b"), *net.fusion.parameters()]
    assert {id(p) for p in parts} == {id(p) for p in net.parameters()}
    assert len(parts) == len(list(net.parameters()))


def test_a_modality_does_not_see_the_other():
    net, x = model(), batch()
    before = net(x).unimodal["a"]
    x["b"] = x["b"] + 1
    assert torch.equal(net(x).unimodal["a"], before)


@pytest.mark.parametrize("kind", ["mlp", "cnn", "cnn1d"])
def test_from_data_repeats_with_the_seed_and_leaves_the_global_state(kind):
    data = datasets.load("av-digits" if kind != "cnn1d" else "watch")
    state = torch.get_rng_state()
    one, two, other = (LateFusion.from_data(data, encoder=kind, seed=s) for s in (0, 0, 1))
    assert torch.equal(torch.get_rng_state(), state)
    weights = [torch.cat([p.flatten() for p in net.parameters()]) for net in (one, two, other)]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    sample = {name: x[:2] for name, x in data.inputs.items()}
    assert one(sample).logits.shape == (2, data.n_classes)


def test_convnet_reads_images_with_and_without_channels():
    assert ConvNet((8, 8))(torch.zeros(2, 8, 8)).shape == ConvNet((3, 8, 8))(torch.zeros(2, 3, 8, 8)).shape == (2, 32)
    with pytest.raises(ShapeError, match="2 or 3 axes"):
        ConvNet((8,))


def unsized():
    return LateFusion({"a": torch.nn.ReLU(), "b": MLP((4,))}, 2)


@pytest.mark.parametrize(
    ("build", "error", "words"),
    [
        (lambda: LateFusion({"a": MLP((4,))}, n_classes=2), ConfigError, "two or more modality names"),
        (lambda: LateFusion({"a": MLP((4,)), "b": MLP((4,))}, 2, fusion="concatenate"), ConfigError, "'concat'"),
        (lambda: LateFusion({"a": MLP((4,)), "b": MLP((4,))}, 1), ConfigError, "`n_classes`.*at least 2"),
        (lambda: unsized()({"a": torch.zeros(2, 4), "b": torch.zeros(2, 4)}), ConfigError, "find_sizes.*`dims`"),
        (lambda: model()({"a": torch.zeros(2, 4)}), InputError, "b is missing"),
    ],
)
def test_bad_models_are_refused(build, error, words):
    with pytest.raises(error, match=words):
        build()


def test_the_linear_probe_ranks_a_trained_encoder_above_an_untrained_one():
    import mmpid

    data = datasets.load("av-digits", seed=0, image_noise=0)
    model = LateFusion.from_data(data, seed=0)
    before = mmpid.linear_probe(model, data)
    trainer = mmpid.Trainer(model, data, n_boot=0, n_null=0, correction="none", device="cpu", probe_every=99)
    trainer.step(epochs=8)
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    after = mmpid.linear_probe(model, data)
    assert after["image"] > before["image"] and after["audio"] > before["audio"]
    assert all(torch.equal(weights[key], value) for key, value in model.state_dict().items())
    assert model.encoders["audio"].training


def test_building_a_model_leaves_the_accelerators_generator_alone(monkeypatch):
    data = datasets.load("av-digits")
    before, state = LateFusion.from_data(data, seed=3), torch.get_rng_state()
    monkeypatch.setattr(torch.cuda, "manual_seed_all", lambda seed: pytest.fail("it belongs to others"))
    after = LateFusion.from_data(data, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(p, q) for p, q in zip(before.parameters(), after.parameters(), strict=True))


def test_every_part_of_a_model_keeps_its_own_mode():
    net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    net[1].eval()  # statistics that its owner keeps fixed
    embedding_dim(net, torch.zeros(2, 4), "a")
    assert net.training and net[0].training and not net[1].training
    with pytest.raises(RuntimeError), evaluating(net):
        assert not net[0].training
        net(torch.zeros(2, 9))
    assert net[0].training and not net[1].training


def test_names_and_sizes_that_cannot_be_are_refused():
    nets = {name: torch.nn.Linear(4, 3) for name in ("type", "b")}
    with pytest.raises(ConfigError, match="must not be named 'type'"):
        LateFusion(nets, n_classes=2)
    with pytest.raises(ConfigError, match="`dims`"):
        LateFusion({"a": nets["type"], "b": nets["b"]}, n_classes=2, dims={"a": 3})


@pytest.mark.parametrize(
    ("more", "match"),
    [
        ({"dims": {"a": 3, "b": 3, "c": 3}}, "`dims` must be one of 'a', 'b'; it was 'c'"),
        ({"dims": {"a": "x", "b": 3}}, r"`dims\['a'\]` must be an integer"),
        ({"dims": {"a": -1, "b": 3}}, r"`dims\['a'\]` must be an integer of at least 1"),
        ({"dims": [3, 3]}, "`dims` must be a mapping of names to sizes; it was list"),
        ({"a": lambda x: x}, r"`encoders\['a'\]` must be a module of torch; it was function"),
        ({1: torch.nn.Linear(4, 3)}, "without dots; it was 1"),
        ({"a.b": torch.nn.Linear(4, 3)}, "without dots; it was 'a.b'"),
    ],
)
def test_each_encoder_has_a_name_a_module_and_a_size(more, match):
    nets = {name: torch.nn.Linear(4, 3) for name in ("a", "b")}
    dims = more.pop("dims", None) if "dims" in more else None
    with pytest.raises(InputError, match=match):
        LateFusion(nets | more, n_classes=2, dims=dims)


def test_a_model_is_built_for_data_and_reads_a_mapping():
    tiny = datasets.load("av-digits")
    for wrong in (None, "av-digits", {"a": 1}):
        with pytest.raises(InputError, match="`data`"):
            LateFusion.from_data(wrong)
    with pytest.raises(ConfigError, match="`encoder` must be one of .*; it was 'text'"):
        LateFusion.from_data(tiny, encoder={**dict.fromkeys(tiny.modalities, "mlp"), "text": "mlp"})
    with pytest.raises(InputError, match="`encoder`"):
        LateFusion.from_data(tiny, encoder=None)
    model = LateFusion.from_data(tiny)
    with pytest.raises(InputError, match="`inputs`"):
        model(torch.zeros(2, 4))
    with pytest.raises(InputError, match="`model`"):
        linear_probe(tiny, model)
    other = LateFusion({"c": torch.nn.Linear(4, 3), "d": torch.nn.Linear(4, 3)}, n_classes=2)
    with pytest.raises(InputError, match="`model`"):
        linear_probe(other, tiny)


@pytest.mark.parametrize("wrong", [torch.zeros(5, 9), torch.zeros(5, 6).double(), torch.zeros(5, 6).numpy()])
def test_an_error_in_an_encoder_says_whose_it_was(wrong):
    with pytest.raises((RuntimeError, TypeError)) as caught:
        model()({"a": torch.zeros(5, 4), "b": wrong})
    (note,) = caught.value.__notes__
    assert "encoder of 'b'" in note and "built for these data" in note
