import pytest

import mmpid
from mmpid import RunRecord
from mmpid.errors import InputError


def healthy() -> RunRecord:
    record = RunRecord({"modalities": ["audio", "image"]})
    for epoch in range(6):
        atoms = {"redundancy": 1.0, "unique1": 0.4, "unique2": 0.3, "synergy": 0.1, "gap": 1e-8}
        place = {"segment": 0, "stage": "unimodal", "epoch": epoch, "step": epoch}
        losses = {"validation_loss.audio": 1.0 - 0.1 * epoch, "validation_loss.image": 1.0 - 0.1 * epoch}
        flags = {"active.audio": True, "active.image": True}
        record.append("epoch", **place, **losses, **flags)
        record.append("probe", **place, **atoms, synergy_identified=True, n_samples=9000, unique2_null_high=0.05)
    record.append("decision", segment=0, stage="joint", epoch=5, step=5, action="switch", modality="")
    return record


def rows(record, kind):
    return [row for row in record.rows if row["kind"] == kind]


def still_rising(record):
    for i, row in enumerate(rows(record, "probe")):
        row["redundancy"] = 0.2 * i


def too_few(record):
    rows(record, "probe")[-1] |= {"synergy_identified": False, "n_samples": 240}


def uncertified(record):
    rows(record, "probe")[2]["gap"] = 0.02


def memorized(record):
    rows(record, "epoch")[-1]["validation_loss.image"] = 2.0


def nothing_unique(record):
    rows(record, "probe")[-1]["unique2"] = 0.01


def paused(record):
    for row in rows(record, "epoch")[1:]:
        row["active.audio"] = False


def test_a_healthy_run_has_no_findings():
    assert mmpid.diagnose(healthy()) == ()
    assert "nothing stands out" in repr(mmpid.diagnose(healthy()))


@pytest.mark.parametrize(
    ("spoil", "name", "evidence"),
    [
        (still_rising, "stage 1 was short", "rose by 0.60 bit over the last 3 probes"),
        (too_few, "synergy is not identified", "in 1 of 6 probes 240 samples"),
        (uncertified, "a decomposition is not certified", "2.0e-02 bit"),
        (memorized, "training samples are memorized", "of image is 2.00 nats, 1.40 above its lowest at epoch 4"),
        (nothing_unique, "two stages cannot help much", "image had 0.01 bit"),
        (paused, "a modality was mostly paused", "audio did not train in 5 of 6 epochs"),
    ],
)
def test_each_signature_is_found_alone_and_with_its_evidence(spoil, name, evidence):
    record = healthy()
    spoil(record)
    (finding,) = mmpid.diagnose(record)
    assert finding.name == name and evidence in finding.evidence and finding.advice
    assert mmpid.diagnose(record).to_frame()["name"].tolist() == [name]


def test_a_trainer_is_diagnosed_through_its_record_and_nothing_is_changed(make_trainer):
    trainer = make_trainer()
    trainer.fit(progress=False)
    before = trainer.record.content()
    assert mmpid.diagnose(trainer) == mmpid.diagnose(trainer.record)
    assert trainer.record.content() == before
    assert mmpid.diagnose(RunRecord()) == ()
    with pytest.raises(InputError, match="must be a Trainer or a RunRecord"):
        mmpid.diagnose({"rows": []})


def test_an_imbalance_in_stage_two_is_answered_within_two_probes(make_trainer):
    """The controller goes on in stage 2 when it may: noise in one modality makes the other one run ahead."""
    settings = {"epochs": 24, "unimodal_epochs": 23, "stage2": "balance", "joint_lr_scale": 1.0, "aux_weight": 1.0}
    trainer = make_trainer(controller=mmpid.BalanceController(rule=mmpid.FixedEpoch(epoch=6), warmup=9), **settings)
    trainer.step(epochs=9)
    assert trainer.stage == "joint"
    before = [row for row in trainer.record.rows if row.get("action") == "pause"]
    inputs = trainer._prober.split.inputs
    inputs["b"].copy_(inputs["b"].flip(0))  # what b shows no longer belongs to the label
    trainer.step(epochs=2)
    paused = [row for row in trainer.record.rows if row.get("action") == "pause"]
    assert not before and [(row["modality"], row["stage"]) for row in paused] == [("a", "joint")]
    assert "ratio" in paused[0]["reason"]
