"""A protocol is applied in what it fixes, contradicted by name, kept with the run, and compared with what was done."""

import inspect
import tomllib
from importlib.resources import files

import numpy as np
import pytest

import mmpid
from mmpid import LateFusion, MultimodalData, Trainer, diff, methods, protocols
from mmpid.errors import ConfigError, InputError
from mmpid.methods import OGMGE
from mmpid.train import TrainConfig

OPTIONS = {"frames": 1, "size": 224, "front_end": "log-stft-3s", "split": "official"}
MINE = """
name = "mine"
version = 3
title = "A small one"
[settings]
epochs = 2
lr = 0.05
selection = "last"
[data]
classes = 6
[method]
callback = "OGMGE"
alpha = 0.5
unimodal_epochs = 0
"""


def make_data(options=OPTIONS, n_classes=6):
    rng, label = np.random.default_rng(0), np.arange(120) % n_classes
    inputs = {"audio": rng.normal(size=(120, 33, 40)), "image": rng.normal(size=(120, 3, 16, 16))}
    return MultimodalData.from_arrays(inputs, label, options=options, name="cremad", seed=0)


@pytest.fixture(scope="module")
def data():
    return make_data()


@pytest.fixture
def mine(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text(MINE)
    return protocols.read(path)


def make(data, protocol, encoder="mlp", **settings):
    return Trainer(
        LateFusion.from_data(data, encoder=encoder, seed=0), data, protocol=protocol, device="cpu", **settings
    )


@pytest.mark.parametrize("name", protocols.available())
def test_a_shipped_protocol_is_applicable_and_its_method_exists(name):
    protocol = protocols.get(name)
    config = TrainConfig.make(protocol=name)
    assert all(getattr(config, key) == value for key, value in protocol.settings.items())
    assert protocol.version >= 1 and protocol.source and protocol.evidence
    own = dict(protocol.method)
    if "callback" in own:
        accepted = inspect.signature(getattr(methods, own.pop("callback"))).parameters
        assert own.keys() <= accepted.keys() | TrainConfig.__dataclass_fields__.keys()
        getattr(methods, protocol.method["callback"])(**{key: x for key, x in own.items() if key in accepted})
    for setting in protocol.settings:
        assert f"settings.{setting}" in repr(protocol)


def test_names_are_those_of_the_files():
    for place in (files("mmpid.protocols") / "files").iterdir():
        assert tomllib.loads(place.read_text())["name"].replace("/", "_") == place.name.removesuffix(".toml")


def test_a_run_follows_a_protocol_and_says_so(data):
    trainer = make(data, "ogm-ge/cremad", "resnet18")
    assert trainer.config.lr == 0.001 and trainer.config.lr_step == 70 and trainer.config.epochs == 100
    assert trainer.record.metadata["protocol"] == {"name": "ogm-ge/cremad", "version": 1}
    assert make(data, "ogm-ge/cremad", "resnet18", lr=1e-3, aux_weight=0.0).config.aux_weight == 0.0
    found = diff(trainer, "ogm-ge/cremad")
    assert not any(entry.startswith(("settings.", "model.")) for entry in found.index)
    assert {"method.callback", "method.unimodal_epochs", "data.train", "stated.augmentation"} <= set(found.index)
    assert "data.frames" not in found.index and found.loc["data.test", "protocol"] == 744


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"lr": 0.1}, "lr"),
        ({"preset": "paper"}, "epochs"),
        ({"optimizer": "adamw"}, "optimizer"),
        ({"lr_step": 0}, "lr_step"),
    ],
)
def test_a_setting_that_contradicts_is_refused_by_name(data, settings, word):
    with pytest.raises(ConfigError, match=f"`{word}` must be .* under protocol 'ogm-ge/cremad'"):
        make(data, "ogm-ge/cremad", "resnet18", **settings)


@pytest.mark.parametrize("key", OPTIONS)
def test_data_that_contradict_are_refused_by_name(key):
    other = {"frames": 3, "size": 112, "front_end": "log-stft-20s", "split": "random"}
    with pytest.raises(ConfigError, match=f"`data` must be read with {key}="):
        make(make_data(OPTIONS | {key: other[key]}), "ogm-ge/cremad", "resnet18")
    if key == "front_end":
        make(make_data(OPTIONS | {key: "spectrograms as stored"}), "ogm-ge/cremad", "resnet18")


def test_a_model_or_classes_that_contradict_are_refused(data):
    with pytest.raises(ConfigError, match="`model` must be built with encoder='resnet18', fusion='concat'"):
        make(data, "ogm-ge/cremad")
    with pytest.raises(ConfigError, match="`data` must have 6 classes"):
        make(make_data(n_classes=4), "ogm-ge/cremad", "resnet18")
    with pytest.raises(ConfigError, match="Did you mean 'ogm-ge/cremad'"):
        make(data, "ogm-ge/crema-d", "resnet18")


def test_the_protocol_survives_saving_branching_and_comparing(data, mine, tmp_path):
    trainer = make(data, mine, unimodal_epochs=0, callbacks=[OGMGE(alpha=0.5)])
    trainer.step(epochs=1)
    tag = {"name": "mine", "version": 3}
    again = Trainer.load(trainer.save(tmp_path / "run"), data, device="cpu")
    trainer.probe()
    assert again.record.metadata["protocol"] == trainer.branch().record.metadata["protocol"] == tag
    assert again.fit(progress=False).metadata["protocol"] == tag
    assert diff(again, mine).empty or set(diff(again, mine).index) == {"data.held_out"}
    out = tmp_path / "study"
    table = mmpid.compare(
        data,
        methods=["joint", OGMGE(alpha=0.5)],
        seeds=[0, 1],
        protocol=mine,
        out_dir=out,
        device="cpu",
        progress=False,
    )
    assert not table.failures
    saved = [mmpid.RunRecord.load(path.parent) for path in out.rglob("record.jsonl")]
    assert len(saved) == 4 and all(run.metadata["protocol"] == tag for run in saved)
    assert all(run.metadata["settings"]["lr"] == 0.05 for run in saved)
    with pytest.raises(ConfigError, match="`lr` must be 0.05 under protocol 'mine'"):
        mmpid.compare(data, methods=["joint"], seeds=[0], protocol=mine, lr=0.1, device="cpu", progress=False)


def test_differences_of_a_method_are_listed(data, mine):
    other = make(data, mine, unimodal_epochs=1, callbacks=[OGMGE(alpha=0.8)])
    found = diff(other, mine)
    assert found.loc["method.alpha"].tolist() == [0.8, 0.5] and found.loc["method.unimodal_epochs"].tolist() == [1, 0]
    plain = diff(make(data, None), mine)
    assert plain.loc["method.callback"].tolist() == ["(absent)", "OGMGE"] and "settings.lr" in plain.index


@pytest.mark.parametrize(
    "text", ["", "name = 3", 'name = "a"\nversion = true', "[", 'name = "a"\nversion = 1\nsetings = 2',
             'name = "a"\nversion = 1\nsettings = 2'],
)  # fmt: skip
def test_a_file_of_another_form_is_refused(tmp_path, text):
    path = tmp_path / "own.toml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"own\.toml"):
        protocols.read(path)
    with pytest.raises(InputError, match="readable TOML"):
        protocols.read(tmp_path / "nowhere.toml")
