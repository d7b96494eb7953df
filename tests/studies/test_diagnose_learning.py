"""An encoder that learned nothing is named with the likely cause; the losses are those of real runs of "av-digits"."""

import warnings

import numpy as np
import pytest

import mmpid
from mmpid import MultimodalData, RunRecord

PRIOR = 2.3026
LEARNS = ([2.304, 2.252, 2.156, 1.94, 1.659, 1.457], [2.282, 2.221, 2.085, 1.827, 1.585, 1.47])
COURSES = {
    "scale": ([66.95, 2.307, 2.305, 2.305, 2.304, 2.303], [2.311, 2.305, 2.304, 2.303, 2.303, 2.303]),
    "tiny": ([2.307, 2.305, 2.304, 2.304, 2.304, 2.303], [2.306, 2.304, 2.303, 2.303, 2.303, 2.303]),
    "high rate": ([8.523, 2.733, 2.495, 2.393, 2.388, 2.397], [3.118, 2.584, 2.441, 2.373, 2.39, 2.347]),
    "low rate": ([2.296, 2.297, 2.295, 2.297, 2.296, 2.296], [2.303] * 6),
    "slow": ([2.315, 2.315, 2.315, 2.314, 2.313, 2.312], [2.319, 2.319, 2.318, 2.318, 2.318, 2.317]),
    "labels": ([2.31, 2.3, 2.291, 2.283, 2.273, 2.263], [2.308, 2.307, 2.307, 2.309, 2.309, 2.311]),
    "memorized": ([2.313, 2.303, 2.294, 2.287, 2.278, 2.27], [2.298, 2.307, 2.307, 2.311, 2.311, 2.315]),
    "dead": ([2.309, 2.305, 2.304, 2.303, 2.303, 2.303], [2.308, 2.305, 2.304, 2.303, 2.303, 2.303]),
}
WHY = {
    "scale": ("the scale of the input", "standardize={'image': True}"),
    "tiny": ("the scale of the input", "standardize={'image': True}"),
    "high rate": ("too high a learning rate", "lr=0.3"),
    "low rate": ("too low a learning rate", "lr=30"),
    "slow": ("training has not converged", "lr=30"),
    "labels": ("labels that do not belong to the samples", "rows of all arrays"),
    "memorized": ("labels that do not belong to the samples", "rows of all arrays"),
    "dead": ("dead units", "check_encoder"),
}


def run_of(courses, scale=None, **settings):
    """Return the record of six epochs of stage 1 in which modalities took these courses."""
    data = {"prior_loss": PRIOR, "scale": scale or {}}
    settings = {"lr": 3.0, "aux_weight": 1.0, **settings}
    names = {"modalities": list(courses), "class_names": list("0123456789")}
    record = RunRecord({**names, "data": data, "settings": settings})
    for epoch in range(1, 7):
        row = {}
        for name, (losses, held_out) in courses.items():
            row |= {f"loss.{name}": losses[epoch - 1], f"validation_loss.{name}": held_out[epoch - 1]}
        record.append("epoch", segment=0, stage="unimodal", epoch=epoch, step=epoch, **row)
    return record


@pytest.mark.parametrize("case", COURSES)
def test_the_encoder_and_the_likely_cause_are_named(case):
    scale = {"image": "values run from 0 to 255"} if case in ("scale", "tiny") else None
    (finding,) = mmpid.diagnose(run_of({"audio": LEARNS, "image": COURSES[case]}, scale))
    cause, advice = WHY[case]
    assert finding.name == "an encoder learned nothing" and "of image was" in finding.evidence
    assert f"likely cause: {cause}" in finding.advice and advice in finding.advice


def test_what_learns_is_not_named_whatever_its_scale():
    strange = {"audio": "values run from 0 to 255", "image": "values run from 0 to 255"}
    assert mmpid.diagnose(run_of({"audio": LEARNS, "image": LEARNS}, strange)) == ()
    early = run_of({"audio": LEARNS, "image": COURSES["slow"]})
    del early.rows[2:]
    assert mmpid.diagnose(early) == ()  # two epochs tell nothing
    untrained = run_of({"audio": LEARNS, "image": COURSES["low rate"]}, aux_weight=0.0)
    for row in untrained.rows:
        row["stage"] = "joint"  # with no loss of their own, heads stay as they were made
    assert mmpid.diagnose(untrained) == ()


def test_training_that_failed_is_not_taken_for_data_without_information():
    record = run_of({"audio": LEARNS, "image": COURSES["scale"]}, {"image": "values run from 0 to 255"})
    for epoch in (0, 6):
        atoms = {"redundancy": 0.0, "unique1": 0.0, "unique2": 0.0, "synergy": 0.0, "synergy_identified": True}
        record.append("probe", segment=0, stage="unimodal", epoch=epoch, step=epoch, **atoms, gap=0.0)
    names = [finding.name for finding in mmpid.diagnose(record)]
    assert names == ["an encoder learned nothing"]
    both = run_of({"audio": COURSES["dead"], "image": COURSES["labels"]})
    for row in record.probes():
        both.append("probe", **{key: x for key, x in row.row.items() if key != "kind"})
    assert [finding.name for finding in mmpid.diagnose(both)] == ["no modality knows the label alone"]


def test_pixels_from_0_to_255_are_named_by_a_real_run_and_standardizing_helps():
    base = mmpid.datasets.load("av-digits", seed=0)
    x = {name: values.numpy() for name, values in base.inputs.items()}
    low, high = x["image"].min(), x["image"].max()
    x["image"] = np.round((x["image"] - low) / (high - low) * 255).astype(np.uint8)
    split = {name: index.numpy() for name, index in base.splits.items()}
    found = {}
    for standardize in (False, {"image": True}):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            data = MultimodalData.from_arrays(x, base.target.numpy(), split=split, standardize=standardize)
        settings = {"epochs": 4, "unimodal_epochs": 4, "n_boot": 0, "n_null": 0, "correction": "none", "ecs": ()}
        trainer = mmpid.Trainer(mmpid.LateFusion.from_data(data), data, probe_every=4, device="cpu", **settings)
        trainer.step(epochs=3)
        found[bool(standardize)] = [f for f in mmpid.diagnose(trainer) if f.name == "an encoder learned nothing"]
    (finding,) = found[False]
    assert not found[True] and "of image" in finding.evidence and "the scale of the input" in finding.advice


def test_a_loss_that_broke_is_named(make_trainer):
    trainer = make_trainer(lr=1e6)
    with pytest.raises(mmpid.errors.TrainingError):
        trainer.fit(progress=False)
    found = {finding.name: finding.advice for finding in mmpid.diagnose(trainer)}
    assert "too high a learning rate. Try lr=1e+05" in found["training broke off"]
