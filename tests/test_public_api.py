"""The public names are a contract; an accidental export is a failure."""

import importlib

import pytest

import mmpid

PUBLIC = {
    "mmpid": """BalanceController Callback FixedEpoch LateFusion Manual MultimodalData PIDResult PeakSynergy
        RedundancyPlateau RunRecord Trainer baselines compare compare_discretizers datasets
        decompose decompose_marginals diagnose diff ecs errors estimate_cost estimate_marginals
        estimate_pid estimate_pid_multi joints linear_probe methods pause_all protocols publish replay sessions soft_pid
        sweep_switch theory to_mlflow to_tensorboard train_seeds""",
    "mmpid.datasets": """Inspection MultimodalData Preprocessing Split available inspect_folder load
        make_folder read register""",
    "mmpid.models": "ConvNet First Flat LateFusion MLP Output Pool ResNet18 Take Tokens linear_probe",
    "mmpid.pid": """CostEstimate DualMultipliers MarginalPID PIDResult decompose decompose_marginals dual_multipliers
        estimate_cost information joints""",
    "mmpid.live": "Session pause_all sessions",
    "mmpid.rules": """BalanceController Decision FallenSynergy FixedEpoch GiveUpRule LeadPause Manual
        NothingLearned PauseForGood PausePolicy PeakSynergy RedundancyPlateau SwitchRule replay""",
    "mmpid.protocols": "RunProtocol available get read",
    "mmpid.runs": "RunRecord diff to_mlflow to_tensorboard",
    "mmpid.studies": "Recipe Search baselines compare diagnose register sweep_switch train_seeds",
    "mmpid.methods": " ".join(["available", *mmpid.methods.available()]),  # one file each, found by itself
    "mmpid.train": "Callback Context TrainConfig Trainer",
}


@pytest.mark.parametrize("module", PUBLIC)
def test_public_names(module):
    assert sorted(importlib.import_module(module).__all__) == sorted(PUBLIC[module].split())


@pytest.mark.parametrize("name", PUBLIC["mmpid"].split())
def test_every_public_name_is_documented(name):
    assert (getattr(mmpid, name).__doc__ or "").strip()


@pytest.mark.parametrize(
    "name",
    [
        "Trainer",
        "decompose",
        "estimate_pid",
        "replay",
        "baselines",
        "compare",
        "diagnose",
        "diff",
        "sweep_switch",
        "publish",
    ],
)
def test_public_callables_show_an_example(name):
    assert ">>>" in getattr(mmpid, name).__doc__


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'trainer_'"):
        mmpid.trainer_  # noqa: B018
