import pytest
import torch

import mmpid
from mmpid.errors import ConfigError
from tests.small_runs import weights


@pytest.fixture
def recipe(make_trainer):
    return lambda seed: make_trainer(seed=seed, epochs=6, unimodal_epochs=5, stage2="off")


def test_a_branch_of_the_sweep_is_a_run_with_that_fixed_switch(recipe, make_trainer):
    sweep = mmpid.sweep_switch(recipe, at=[2], seeds=[0], progress=False)
    controller = mmpid.BalanceController(rule=mmpid.FixedEpoch(epoch=2), pause=None)
    alone = make_trainer(epochs=6, unimodal_epochs=5, stage2="off", controller=controller)
    alone.fit(progress=False)
    assert sweep.rows[0]["test_accuracy"] == alone.record.lineage("result")[-1]["test_accuracy.joint"]


def test_every_seed_has_every_epoch_and_rules_choose_among_them(recipe):
    rules = {"two": mmpid.FixedEpoch(epoch=2), "never": mmpid.Manual()}
    sweep = mmpid.sweep_switch(recipe, at=[0, 2, 4], seeds=[0, 1], rules=rules, progress=False)
    assert sweep.to_frame().groupby("seed")["epoch"].apply(list).tolist() == [[0, 2, 4]] * 2
    assert sweep.curve().index.tolist() == [0, 2, 4]
    assert sweep.curve().loc[0, "mean"] == 0
    table = sweep.rule_table()
    assert table.loc["two", "mean_epoch"] == 2 and table.loc["never", "mean_epoch"] == 4
    assert (table["mean"] <= 1e-12).all() or table["test_accuracy"].iloc[0] >= table["test_accuracy"].min()
    assert "with hindsight" in repr(sweep) and "<table" in sweep._repr_html_()


def test_sweeping_twice_gives_the_same(recipe):
    one, two = (mmpid.sweep_switch(recipe, at=[1, 3], seeds=[0], progress=False).rows for _ in range(2))
    assert one == two


def test_the_same_epoch_of_two_sweeps_agrees(recipe):
    short = mmpid.sweep_switch(recipe, at=[1], seeds=[0], progress=False).rows[0]
    long = mmpid.sweep_switch(recipe, at=[1, 4], seeds=[0], progress=False).rows[0]
    assert short == long


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"at": []}, "`at` and `seeds` must each hold"),
        ({"at": [1], "seeds": []}, "`at` and `seeds` must each hold"),
        ({"at": [9]}, "`at` must lie below `unimodal_epochs` = 5"),
        ({"at": [1], "epochs": 9}, "belong in the `recipe` function; epochs"),
    ],
)
def test_bad_sweeps_are_refused(recipe, arguments, words):
    with pytest.raises(ConfigError, match=words):
        mmpid.sweep_switch(recipe, progress=False, **arguments)


def test_diff_lists_what_differs_and_nothing_else(make_trainer):
    one, same, other = make_trainer(), make_trainer(), make_trainer(seed=1, lr=0.5)
    assert mmpid.diff(one.record, same.record).empty
    found = mmpid.diff(one.record, other.record)
    assert found.loc["settings.lr"].tolist() == [0.02, 0.5]
    assert {"seed", "settings.lr", "model.spec.seed"} == set(found.index)
    assert torch.equal(weights(one), weights(same))
