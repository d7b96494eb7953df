"""The table of proxies, and what bad input is told."""

import pytest
import torch

from mmpid import ecs
from mmpid.errors import ConfigError, InputError, ShapeError

LOGITS = {"image": torch.zeros(4, 2), "audio": torch.zeros(4, 2)}
TARGET = torch.tensor([0, 1, 0, 1])


def test_table_lists_names_with_formula_and_cost():
    table = ecs.available()
    assert set(ecs.DEFAULT_PROXIES) <= set(table)
    assert len(table) == len(set(table)) >= 11
    assert all(table[name].formula and table[name].unit for name in table)
    assert table["mi"].cost == 0 < table["gradient_share"].cost < table["look_ahead"].cost
    assert "gradient_share" in repr(table)
    assert table._repr_html_().count("<tr>") == len(table) + 1
    assert list(table.to_frame()["name"]) == list(table)
    with pytest.raises(KeyError):
        table["nothing"]


def test_result_becomes_a_frame(evidence):
    frame = ecs.measure("mi", evidence)[0].to_frame()
    assert list(frame.columns) == ["proxy", "modality", "class", "value", "unit"]
    assert len(frame) == 2 * 3


def test_results_come_in_the_order_asked(evidence):
    assert [r.name for r in ecs.measure(["ogm", "mi"], evidence)] == ["ogm", "mi"]


def test_all_leaves_out_what_the_evidence_cannot_give():
    names = [r.name for r in ecs.measure("all", ecs.ProxyEvidence(target=TARGET, unimodal_logits=LOGITS))]
    assert "mi" in names
    assert not {"linear_probe", "look_ahead"} & set(names)


def test_unknown_name_suggests_the_closest():
    with pytest.raises(ConfigError, match="names.*margin"):
        ecs.measure("margn", ecs.ProxyEvidence(target=TARGET, unimodal_logits=LOGITS))


def test_model_without_scorers_is_told_so_with_a_way_out(model, batch):
    inputs, target = batch
    with torch.no_grad():
        embeddings = model.eval()(inputs).embeddings
    evidence = ecs.ProxyEvidence(target=target, embeddings=embeddings, model=model, inputs=inputs)
    with pytest.raises(
        InputError, match="unimodal_logits.*'mi'.*scorer for each modality.*'gradient_share', 'linear_probe'"
    ):
        ecs.measure("mi", evidence)
    assert ecs.measure(["gradient_share", "linear_probe"], evidence)


@pytest.mark.parametrize(
    ("name", "missing"), [("linear_probe", "embeddings"), ("look_ahead", "model"), ("gradient_share", "model")]
)
def test_missing_evidence_is_named(name, missing):
    with pytest.raises(InputError, match=f"`{missing}`.*{name}"):
        ecs.measure(name, ecs.ProxyEvidence(target=TARGET, unimodal_logits=LOGITS))


def test_model_without_inputs_is_told_so(model):
    with pytest.raises(InputError, match="`inputs`"):
        ecs.measure("look_ahead", ecs.ProxyEvidence(target=TARGET, unimodal_logits=LOGITS, model=model))


def test_model_without_encoders_is_told_so(batch):
    inputs, target = batch
    logits = {m: torch.zeros(12, 3) for m in inputs}
    stranger = torch.nn.Linear(2, 2)
    with pytest.raises(InputError, match="encoders.*Linear"):
        ecs.measure(
            "look_ahead", ecs.ProxyEvidence(target=target, unimodal_logits=logits, model=stranger, inputs=inputs)
        )


def test_ratio_of_one_modality_is_refused():
    with pytest.raises(InputError, match="two modalities"):
        ecs.measure("ogm", ecs.ProxyEvidence(target=TARGET, unimodal_logits={"image": LOGITS["image"]}))


@pytest.mark.parametrize(
    ("change", "error", "match"),
    [
        ({"target": torch.tensor([], dtype=torch.int64)}, ShapeError, "at least one sample"),
        ({"target": torch.tensor([0, 1, 2, 5])}, InputError, "0..1"),
        ({"target": torch.tensor([0, 1, -1, 1])}, InputError, "from -1"),
        ({"target": torch.tensor([0.5, 1, 0, 1])}, InputError, "fractions"),
        ({"target": torch.tensor([0, 1])}, ShapeError, "image"),
        ({"unimodal_logits": {"image": torch.zeros(4)}}, ShapeError, r"\(4, d\)"),
        ({"unimodal_logits": {"a": torch.zeros(4, 2), "b": torch.zeros(4, 3)}}, ShapeError, "same number of classes"),
        ({"unimodal_logits": {"a": torch.full((4, 2), torch.nan)}}, InputError, "finite"),
    ],
)
def test_bad_evidence_is_refused(change, error, match):
    with pytest.raises(error, match=match):
        ecs.ProxyEvidence(**({"target": TARGET, "unimodal_logits": LOGITS} | change))


def test_later_evidence_of_the_same_samples_gives_the_same_numbers(model, batch):
    inputs, target = batch
    fresh = ecs.ProxyEvidence.from_model(model, inputs, target)
    samples = ecs.ProxyEvidence(target=target, inputs=inputs, n_classes=3)
    given = {"unimodal_logits": fresh.unimodal_logits, "embeddings": fresh.embeddings, "model": model}
    for _ in range(2):
        for one, two in zip(ecs.measure("all", fresh), ecs.measure("all", samples.seen(**given)), strict=True):
            assert one.by_modality == two.by_modality
            assert all(torch.equal(one.by_class[name], two.by_class[name]) for name in one.by_class)


def test_later_evidence_is_checked():
    samples = ecs.ProxyEvidence(target=TARGET)
    with pytest.raises(ShapeError, match="2; they had.*3.*n_classes"):
        samples.seen(unimodal_logits={name: torch.zeros(4, 3) for name in LOGITS})
    with pytest.raises(InputError, match="finite"):
        samples.seen(unimodal_logits={"a": torch.full((4, 2), torch.nan)})
    with pytest.raises(ShapeError, match=r"\(4, d\)"):
        samples.seen(embeddings={"a": torch.zeros(3, 2)})


@pytest.mark.parametrize(
    "setting",
    [{"look_ahead_steps": 0}, {"learning_rate": 0.0}, {"n_clusters": 1}, {"ridge": -1.0}, {"max_samples": 0}],
)
def test_bad_settings_are_refused(setting):
    with pytest.raises(ConfigError, match=next(iter(setting))):
        ecs.ProxySettings(**setting)


def test_numbers_go_by_name_where_embeddings_come_in_another_order_than_logits():
    torch.manual_seed(0)
    target = torch.arange(60) % 3
    logits = {"a": torch.randn(60, 3), "b": torch.randn(60, 3)}
    seen = {"b": torch.randn(60, 4), "a": torch.randn(60, 4) + 9 * torch.nn.functional.one_hot(target, 4)}
    alone = ecs.measure("linear_probe", ecs.ProxyEvidence(target=target, embeddings=seen))[0].by_modality
    samples = ecs.ProxyEvidence(target=target)
    both = {"unimodal_logits": logits, "embeddings": seen}
    for evidence in (ecs.ProxyEvidence(target=target, **both), samples.seen(**both)):
        found = ecs.measure("linear_probe", evidence)[0].by_modality
        assert dict(found) == pytest.approx(dict(alone)) and found["a"] > 0.9 > found["b"]
    with pytest.raises(ShapeError, match="`embeddings`"):
        ecs.ProxyEvidence(target=target, unimodal_logits=logits, embeddings={"a": seen["a"], "c": seen["b"]})


@pytest.mark.parametrize(
    ("fields", "match"),
    [
        ({"unimodal_logits": [torch.zeros(4, 2)]}, "`unimodal_logits` must be a mapping .*it was list"),
        ({"n_classes": "2"}, "`n_classes` must be an integer"),
        ({"model": "net"}, "`model` must be a module of torch; it was str"),
    ],
)
def test_evidence_of_another_kind_is_refused(fields, match):
    with pytest.raises(InputError, match=match):
        ecs.ProxyEvidence(target=torch.tensor([0, 1, 0, 1]), **fields)


def test_what_is_no_evidence_no_settings_or_no_name_is_refused():
    evidence = ecs.ProxyEvidence(target=torch.tensor([0, 1]), unimodal_logits={"a": torch.eye(2), "b": torch.eye(2)})
    with pytest.raises(InputError, match="`evidence`"):
        ecs.measure("mi", {})
    with pytest.raises(InputError, match="`settings`"):
        ecs.measure("mi", evidence, settings={"seed": 1})
    with pytest.raises(InputError, match="`names`"):
        ecs.measure(3, evidence)
    with pytest.raises(InputError, match="`seed`"):
        ecs.ProxySettings(seed="x")
