import numpy as np
import pytest
from scipy.stats import ttest_1samp

import mmpid
from mmpid.errors import ConfigError, InputError
from mmpid.studies.compare import METHODS, run_method
from mmpid.studies.comparison import Comparison, paired_interval
from mmpid.studies.recipes import RECIPES

SMALL = {"epochs": 6, "unimodal_epochs": 3, "n_boot": 0, "n_null": 0, "correction": "none", "device": "cpu"}


def test_paired_interval_is_the_t_interval():
    x = np.random.default_rng(0).normal(size=9)
    mean, low, high = paired_interval(x)
    other = ttest_1samp(x, 0).confidence_interval(0.95)
    assert np.allclose([mean, low, high], [x.mean(), other.low, other.high])
    assert paired_interval(x[:1])[1:] == (-np.inf, np.inf)


def test_baselines_give_one_row_a_classifier(small_data):
    frame = mmpid.baselines(small_data, **SMALL)
    assert frame.index.tolist() == ["a", "b", "ens", "joint", "joint+aux", "frozen", "fixed"]
    assert frame["test_accuracy"].between(0, 1).all()


@pytest.mark.parametrize("method", METHODS)
def test_every_method_spends_the_same_budget_and_repeats(small_data, method):
    one, two = (run_method(method, small_data, seed=3, **SMALL) for _ in range(2))
    assert one == two
    epochs = [row["selected_epoch"] for row in one if row["selected_epoch"] is not None]
    assert all(1 <= epoch <= 6 for epoch in epochs)


def test_unimodal_ens_is_the_average_of_models_trained_alone(small_data):
    """Training both at once without a shared loss is the same as training each alone: `ens` is an ensemble."""
    rows = {row["method"]: row["test_accuracy"] for row in run_method("unimodal", small_data, seed=0, **SMALL)}
    assert rows["ens"] >= max(rows["a"], rows["b"]) - 0.1


def test_compare_pairs_by_seed(small_data):
    result = mmpid.compare(
        lambda seed: small_data, seeds=[0, 1, 2], methods=["joint", "two-stage"], progress=False, **SMALL
    )
    frame = result.to_frame().pivot(index="seed", columns="method", values="test_accuracy")
    assert result.difference("two-stage", "joint")[0] == pytest.approx((frame["two-stage"] - frame["joint"]).mean())
    assert result.summary().loc["joint", "verdict"] == "reference"
    assert "two-stage" in repr(result) and "<table" in result._repr_html_()


def test_verdicts_follow_the_interval():
    values = {"joint": [0.5, 0.6, 0.7], "up": [0.6, 0.71, 0.8], "noise": [0.4, 0.7, 0.7], "down": [0.3, 0.41, 0.5]}
    rows = [{"seed": i, "method": m, "test_accuracy": x} for m, v in values.items() for i, x in enumerate(v)]
    verdicts = Comparison(tuple(rows)).summary()["verdict"].to_dict()
    assert verdicts == {"joint": "reference", "up": "better", "noise": "within noise", "down": "worse"}


def test_unknown_methods_and_no_seeds_are_refused(small_data):
    with pytest.raises(ConfigError, match="Did you mean 'two-stage'"):
        mmpid.baselines(small_data, methods=["two_stage"])
    with pytest.raises(ConfigError, match="`seeds`"):
        mmpid.compare("av-digits", seeds=[])


def test_a_controller_of_ones_own_is_compared_under_its_name(small_data):
    controllers = {"late": mmpid.BalanceController(rule=mmpid.FixedEpoch(epoch=3), pause=None)}
    result = mmpid.compare(
        lambda seed: small_data, seeds=[0], methods=["fixed"], controllers=controllers, progress=False, **SMALL
    )
    accuracy = result.to_frame().set_index("method")["test_accuracy"]
    assert accuracy["late"] == accuracy["fixed"], "the same rule under another name"


def test_all_methods_can_be_asked_for_and_models_and_data_may_be_ones_own(small_data):
    built = []

    def build(data, seed):
        built.append((data.name, seed))
        return mmpid.LateFusion.from_data(data, fusion="sum", seed=seed)

    result = mmpid.compare(
        lambda seed: small_data, seeds=[4], methods="all", model=build, progress=False, **SMALL, ecs=()
    )
    names = result.to_frame()["method"].tolist()
    assert names == ["a", "b", "ens", "joint", "joint+aux", "frozen", "fixed", "two-stage", "random", "mi"]
    assert built == [("small", 4)] * len(METHODS)
    frame = mmpid.baselines(small_data, seed=4, methods="fixed", model=build, **SMALL)
    assert frame["test_accuracy"].tolist() == [row["test_accuracy"] for row in result.rows if row["method"] == "fixed"]


def test_the_random_switch_is_seeded_and_spread_over_stage_one():
    config = mmpid.train.TrainConfig(unimodal_epochs=6)
    epochs = [RECIPES["random"].plan(config, seed)["controller"].rule.epoch for seed in range(60)]
    assert epochs == [RECIPES["random"].plan(config, seed)["controller"].rule.epoch for seed in range(60)]
    assert set(epochs) == {1, 2, 3, 4, 5, 6}


def test_the_mi_controller_sees_shared_knowledge_where_the_other_sees_none():
    """Both know 1 bit together; a knows .4 bit more: a ratio of 1.4 by information, and of 8 by uniqueness."""
    record = mmpid.RunRecord({"modalities": ["a", "b"], "settings": {"unimodal_epochs": 9}})
    atoms = {"redundancy": 1.0, "unique1": 0.4, "unique2": 0.0, "synergy": 0.0}
    for epoch in range(4):
        record.append("probe", segment=0, stage="unimodal", epoch=epoch, step=epoch, **atoms)
    policies = (mmpid.rules.LeadPause(measure=measure) for measure in ("uniqueness", "information"))
    by_uniqueness, by_information = (mmpid.BalanceController(pause=policy) for policy in policies)
    assert [d.action for d in by_uniqueness.decide(record)] == ["pause", "hold"]
    assert [d.action for d in by_information.decide(record)] == ["hold"]
    record.rows[-1] |= {"redundancy": 0.1}
    pause, _ = by_information.decide(record)
    assert pause.modality == "a" and pause.values["weakest"] == "b"
    told = [pause.values[name] for name in ("information", "least", "ratio", "threshold")]
    assert told == pytest.approx([0.5, 0.1, 5.0, 3.0])
    record.metadata["modalities"] = ["a", "b", "c"]
    record.rows[-1] |= {"unique3": 0.3, "redundancy.a": 0.1, "redundancy.b": 0.1, "redundancy.c": 0.5}
    assert [d.modality for d in by_information.decide(record)] == ["a", "c", ""]


@pytest.mark.parametrize("method", ["fixed", "frozen", "random"])
@pytest.mark.parametrize("unimodal_epochs", [0, 6, 9])
def test_a_switch_that_leaves_nothing_on_one_side_is_refused_before_anything_is_trained(
    small_data, method, unimodal_epochs
):
    with pytest.raises(ConfigError, match=f"must lie between 1 and `epochs` - 1 = 5 for method {method!r}"):
        mmpid.baselines(small_data, methods=[method], **SMALL | {"unimodal_epochs": unimodal_epochs})


def test_a_run_that_never_started_joint_training_says_so(small_data):
    with pytest.raises(ConfigError, match="'two-stage' never started joint training.*Lower `unimodal_epochs`"):
        mmpid.baselines(small_data, methods=["two-stage"], **SMALL | {"epochs": 2, "unimodal_epochs": 2})
    with pytest.raises(ConfigError, match="`methods`"):
        mmpid.baselines(small_data, methods=[], **SMALL)
    with pytest.raises(ConfigError, match="`methods`"):
        mmpid.compare(lambda seed: small_data, seeds=[0], methods=[], progress=False, **SMALL)
    own = {"early": mmpid.BalanceController(rule=mmpid.FixedEpoch(epoch=1))}
    rows = mmpid.compare(lambda seed: small_data, seeds=[0], methods=(), controllers=own, progress=False, **SMALL).rows
    assert [row["method"] for row in rows] == ["early"], "controllers alone can be compared"


def test_methods_are_paired_by_seed_whatever_the_order_of_the_rows():
    accuracies = {"joint": [0.7, 0.8, 0.9], "two-stage": [0.75, 0.82, 0.97]}
    rows = [
        {"seed": seed, "method": method, "test_accuracy": x, "selected_epoch": 1}
        for method, values in accuracies.items()
        for seed, x in enumerate(values)
    ]
    straight = Comparison(tuple(rows)).difference("two-stage")
    for order in ([5, 0, 3, 2, 4, 1], [2, 1, 0, 5, 3, 4]):
        assert Comparison(tuple(rows[i] for i in order)).difference("two-stage") == pytest.approx(straight)
    with pytest.raises(InputError, match="'joint' lacks 1"):
        Comparison(tuple(row for row in rows if (row["method"], row["seed"]) != ("joint", 1))).difference("two-stage")
    with pytest.raises(InputError, match="more than once"):
        Comparison((*rows, rows[0]))
