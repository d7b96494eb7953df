"""A stranger adds one part of each kind, each in a file of its own outside the package, and touches none of ours."""

import importlib.util
import sys
from textwrap import dedent

import pytest
import torch

import mmpid
from mmpid import BalanceController, LateFusion, Manual, Trainer, ecs
from mmpid.datasets import builtin
from mmpid.ecs import proxies
from mmpid.errors import ConfigError, InputError, ShapeError
from tests.small_runs import weights

SOURCES = {
    "rule": """
        from dataclasses import dataclass
        from mmpid.rules import SwitchRule

        @dataclass(frozen=True, kw_only=True)
        class EnoughRedundancy(SwitchRule):
            bits: float = 0.0

            def decide(self, record):
                now = self.latest(record)
                if now.epoch >= 1 and now.redundancy.is_known and now.redundancy.value >= self.bits:
                    return self.switch(now, "enough", values={"redundancy": now.redundancy.value})
                return self.hold(now, "not yet")
        """,
    "pause": """
        from dataclasses import dataclass
        from mmpid.rules import Decision, PausePolicy

        @dataclass(frozen=True, kw_only=True)
        class Alternate(PausePolicy):
            def decide(self, record):
                now = record.probes()[-1]
                first, second = now.modalities
                paused, other = (first, second) if now.epoch % 2 else (second, first)
                return [
                    Decision(action="resume", reason="its turn", epoch=now.epoch, modality=other),
                    Decision(action="pause", reason="not its turn", epoch=now.epoch, modality=paused),
                ]
        """,
    "give_up": """
        from dataclasses import dataclass
        from mmpid.rules import Decision, GiveUpRule

        @dataclass(frozen=True, kw_only=True)
        class AfterProbes(GiveUpRule):
            n: int = 2

            def decide(self, record):
                probes = record.probes("unimodal")
                if len(probes) < self.n:
                    return None
                return Decision(
                    action="switch", reason="enough", epoch=probes[-1].epoch, rewind_to=0, from_scratch=True
                )
        """,
    "callback": """
        from mmpid import Callback

        class Clip(Callback):
            def __init__(self, largest=0.01):
                self.largest = largest
                self._clipped = 0

            def on_after_backward(self, ctx):
                for name in ctx.active:
                    for gradient in ctx.gradients(name):
                        self._clipped += int((gradient.abs() > self.largest).sum())
                        gradient.clamp_(-self.largest, self.largest)

            def state_dict(self):
                return {"clipped": self._clipped}

            def load_state_dict(self, state):
                self._clipped = state["clipped"]
        """,
    "loss": """
        from torch.nn import functional

        def hinge(logits, target):
            return functional.multi_margin_loss(logits, target)
        """,
    "metric": """
        def top_two(probabilities, target):
            return (probabilities.topk(2).indices == target[:, None]).any(1).float().mean()
        """,
    "fusion": """
        import torch
        from torch import nn

        class Product(nn.Module):
            def __init__(self, dims, n_classes):
                super().__init__()
                self.maps = nn.ModuleDict({name: nn.Linear(d, 8) for name, d in dims.items()})
                self.out = nn.Linear(8, n_classes)

            def forward(self, embeddings):
                return self.out(torch.stack([self.maps[name](z) for name, z in embeddings.items()]).prod(0))
        """,
    "dataset": """
        import torch
        from mmpid import MultimodalData, datasets

        def load_noise(*, seed, n=200):
            made = torch.Generator().manual_seed(seed)
            y = torch.arange(n) % 2
            inputs = {name: torch.randn(n, 3, generator=made) + y[:, None] for name in ("left", "right")}
            return MultimodalData.from_arrays(inputs, y, seed=seed, name="noise")

        datasets.register("noise", load_noise, modalities=("left", "right"), classes=2, license="CC0")
        """,
    "proxy": """
        import torch
        from mmpid import ecs

        def spread(evidence):
            \"\"\"Standard deviation of the logits of a class.\"\"\"
            return torch.stack([z.std(0) for z in evidence.unimodal_logits.values()])

        ecs.register("spread", spread, unit="logit")
        """,
    "discretizer": """
        import torch

        class Sign:
            saw_labels = False
            n_codes = 2

            def fit(self, source, target=None):
                self.middle = source[:, 0].median()
                return self

            def transform(self, source):
                return (source[:, 0] > self.middle).long()

            def state_dict(self):
                return {"middle": self.middle}

            def load_state_dict(self, state):
                self.middle = state["middle"]
        """,
}


@pytest.fixture
def outside(tmp_path, monkeypatch):
    """Return a function that writes one part to a file and imports it; what it registers is forgotten afterward."""
    monkeypatch.setattr(proxies, "_PROXIES", dict(proxies._PROXIES))
    monkeypatch.setattr(builtin, "_ENTRIES", dict(builtin._ENTRIES))

    def load(name):
        path = tmp_path / f"my_{name}.py"
        path.write_text(dedent(SOURCES[name]))
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, path.stem, module)
        spec.loader.exec_module(module)
        return module

    yield load
    proxies._plan.cache_clear()


def resumed_like(trainer_of, small_data, path, **own):
    """Return two runs: a whole one, and one that was saved and loaded on the way."""
    whole, first = trainer_of(), trainer_of()
    first.step(epochs=3)
    second = Trainer.load(first.save(path), small_data, device="cpu", **own)
    for trainer in (whole, second):
        trainer.fit(progress=False)
    assert second.record == whole.record and torch.equal(weights(second), weights(whole))
    return whole


def test_a_switch_rule(outside, make_trainer, small_data, tmp_path):
    module = outside("rule")
    controller = BalanceController(rule=module.EnoughRedundancy(bits=0.05), pause=None)
    own = {"controller": controller}
    whole = resumed_like(lambda: make_trainer(rewind=False, **own), small_data, tmp_path / "run", **own)
    (switch,) = (row for row in whole.record.lineage("decision") if row["action"] == "switch")
    assert switch["rule"] == "EnoughRedundancy" and switch["value.redundancy"] >= 0.05
    assert whole.controller.to_dict()["rule"] == {"class": "my_rule.EnoughRedundancy", "bits": 0.05}
    with pytest.raises(ConfigError, match="EnoughRedundancy"):
        Trainer.load(tmp_path / "run", small_data, device="cpu")


def test_a_pause_policy(outside, make_trainer, small_data, tmp_path):
    own = {"controller": BalanceController(rule=Manual(), pause=outside("pause").Alternate(), give_up=None)}
    whole = resumed_like(lambda: make_trainer(epochs=5, unimodal_epochs=5, **own), small_data, tmp_path / "run", **own)
    paused = [row["modality"] for row in whole.record.lineage("decision") if row["action"] == "pause"]
    assert paused == ["b", "a", "b", "a", "b"]


def test_a_give_up_rule(outside, make_trainer, small_data, tmp_path):
    from mmpid import PeakSynergy

    own = {"controller": BalanceController(rule=PeakSynergy(), pause=None, give_up=outside("give_up").AfterProbes())}
    whole = resumed_like(lambda: make_trainer(**own), small_data, tmp_path / "run", **own)
    (switch,) = (row for row in whole.record.lineage("decision") if row["action"] == "switch")
    assert switch["from_scratch"] and whole.record.lineage("epoch", stage="joint")[0]["epoch"] == 1


def test_a_callback(outside, make_trainer, small_data, tmp_path):
    module = outside("callback")
    whole = resumed_like(
        lambda: make_trainer(callbacks=[module.Clip()]), small_data, tmp_path / "run", callbacks=[module.Clip()]
    )
    assert whole.callbacks[0]._clipped > 0
    assert whole.record.metadata["callbacks"]["Clip"] == {"class": "my_callback.Clip", "largest": 0.01}


def test_a_loss_and_a_metric(outside, make_trainer, small_data, tmp_path):
    top = outside("metric").top_two
    own = {"loss": outside("loss").hinge, "metrics": ("accuracy", top), "selection_metric": top}
    whole = resumed_like(lambda: make_trainer(**own), small_data, tmp_path / "run", **own)
    rows = whole.record.lineage("epoch")
    assert all(row["validation_top_two.a"] >= row["validation_accuracy.a"] for row in rows)
    assert whole.record.metadata["settings"]["loss"] == "custom: my_loss.hinge"
    assert whole.record.lineage("result")[-1]["test_top_two.joint"] <= 1


def test_a_fusion(outside, make_trainer, small_data, tmp_path):
    module = outside("fusion")

    def model():
        torch.manual_seed(0)
        return LateFusion.from_data(small_data, fusion=module.Product({"a": 32, "b": 32}, 4), seed=0)

    whole = resumed_like(
        lambda: make_trainer(model=model(), fusion_init="random"), small_data, tmp_path / "run", model=model()
    )
    assert whole.record.metadata["model"]["fusion"] == "my_fusion.Product"


def test_a_data_set(outside):
    outside("dataset")
    assert "noise" in [info.name for info in mmpid.datasets.available()]
    data = mmpid.datasets.load("noise", seed=3, n=120)
    assert data.license == "CC0" and sum(map(len, data.splits.values())) == 120
    frame = mmpid.compare(
        "noise", seeds=[0], methods=["joint"], epochs=1, unimodal_epochs=0, device="cpu", progress=False
    ).to_frame()
    assert len(frame) == 1
    with pytest.raises(ConfigError, match="'m'"):
        mmpid.datasets.load("noise", m=3)
    with pytest.raises(ConfigError, match="av-digits"):
        mmpid.datasets.register("av-digits", lambda seed: data, modalities=(), classes=2, license="")
    with pytest.raises(InputError, match="loader"):
        mmpid.datasets.register("other", "noise.csv", modalities=(), classes=2, license="")


def test_a_proxy(outside, make_trainer, small_data, tmp_path):
    module = outside("proxy")
    assert "spread" in ecs.available() and "Standard deviation" in ecs.available()["spread"].formula
    own = {"ecs": ("mi", "spread")}
    whole = resumed_like(lambda: make_trainer(**own), small_data, tmp_path / "run")
    row = whole.record.lineage("probe")[-1]
    by_class = [row[f"ecs.spread.a.{k}"] for k in range(4)]
    assert row["ecs.spread.a"] == pytest.approx(sum(by_class) / 4, rel=1e-6) and min(by_class) > 0
    logits = {"a": torch.randn(8, 4), "b": torch.randn(8, 4)}
    evidence = ecs.ProxyEvidence(target=torch.arange(8) % 4, unimodal_logits=logits)
    torch.testing.assert_close(ecs.measure("spread", evidence)[0].by_class["b"], logits["b"].std(0))
    ecs.register("spread", lambda evidence: 2 * module.spread(evidence), unit="logit")  # as a cell that is run again
    torch.testing.assert_close(ecs.measure("spread", evidence)[0].by_class["b"], 2 * logits["b"].std(0))


@pytest.mark.parametrize(
    ("name", "answer", "needs", "error"),
    [
        ("mi", torch.zeros(2, 4), "unimodal_logits", ConfigError),
        ("my proxy", torch.zeros(2, 4), "unimodal_logits", ConfigError),
        ("mine", torch.zeros(2, 4), "logits", ConfigError),
        ("mine", torch.zeros(4, 2), "unimodal_logits", ShapeError),
        ("mine", 1.0, "unimodal_logits", ShapeError),
        ("mine", torch.zeros(2, 4), "embeddings", InputError),
    ],
)
def test_a_proxy_that_cannot_be_is_refused(outside, name, answer, needs, error):
    evidence = ecs.ProxyEvidence(
        target=torch.arange(4), unimodal_logits={"a": torch.zeros(4, 4), "b": torch.zeros(4, 4)}
    )
    with pytest.raises(error):
        ecs.register(name, lambda evidence: answer, unit="bit", needs=needs)
        ecs.measure(name, evidence)


def test_a_discretizer(outside):
    module = outside("discretizer")
    x = torch.randn(400, 2, generator=torch.Generator().manual_seed(0))
    y = (x[:, 0] > 0).long()
    result = mmpid.estimate_pid(x, x.clone(), y, discretizer=module.Sign(), n_boot=0, n_null=0, correction="none")
    assert result.pid.redundancy == pytest.approx(1.0, abs=0.1) and result.pid.synergy == pytest.approx(0.0, abs=0.05)
