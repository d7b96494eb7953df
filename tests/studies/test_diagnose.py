import pytest

import mmpid
from mmpid import BalanceController, RunRecord
from mmpid.errors import InputError
from mmpid.rules import LeadPause

UNIQUE = (0.4, 0.3, 0.35)


def healthy(names=("audio", "image")) -> RunRecord:
    record = RunRecord({"modalities": list(names)})
    for epoch in range(6):
        atoms = {"redundancy": 1.0, "synergy": 0.1, "gap": 1e-8}
        atoms |= {f"unique{i + 1}": UNIQUE[i] for i in range(len(names))}
        place = {"segment": 0, "stage": "unimodal", "epoch": epoch, "step": epoch}
        losses = {f"validation_loss.{name}": 1.0 - 0.1 * epoch for name in names}
        losses |= {f"loss.{name}": 0.9 - 0.1 * epoch for name in names}
        flags = {f"active.{name}": True for name in names}
        record.append("epoch", **place, **losses, **flags)
        record.append(
            "probe", **place, **atoms, **flags, synergy_identified=True, n_samples=9000, unique2_null_high=0.05
        )
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
    last = rows(record, "probe")[-1]
    last |= {f"unique{i + 1}": 0.01 for i in range(1, len(record.metadata["modalities"]))}


def nothing_alone(record):
    """What shuffled labels give is the bar, and where it was not measured only nothing at all is nothing."""
    last = rows(record, "probe")[-1]
    last |= {"redundancy": 0.02, "redundancy_null_high": 0.02, "unique2_null_high": 0.03}
    last |= {f"unique{i + 1}": 0.02 * (i == 1) for i in range(len(record.metadata["modalities"]))}


def paused(record):
    for row in rows(record, "epoch")[1:]:
        row["active.audio"] = False


def unanswered(record, n=3):
    for row in rows(record, "probe")[-n:]:
        row |= {"unique1": 1.3}


def paused_too_long(record, n=3):
    for row in rows(record, "probe")[-n:]:
        row |= {"active.audio": False, "unique1": 0.1}


TWO, THREE = ("audio", "image"), ("audio", "image", "text")


@pytest.mark.parametrize("names", [TWO, THREE])
def test_a_healthy_run_has_no_findings(names):
    assert mmpid.diagnose(healthy(names)) == ()
    assert "nothing stands out" in repr(mmpid.diagnose(healthy(names)))


@pytest.mark.parametrize("names", [TWO, THREE])
@pytest.mark.parametrize(
    ("spoil", "name", "evidence"),
    [
        (still_rising, "stage 1 was short", "rose by 0.60 bit over the last 3 probes"),
        (too_few, "synergy is not identified", "in 1 of 6 probes 240 samples"),
        (uncertified, "a decomposition is not certified", "2.0e-02 bit"),
        (unanswered, "the controller lags behind", "audio ran ahead by more than 3 times for 3 probes in a row"),
        (paused_too_long, "the controller lags behind", "audio was kept paused for 3 probes"),
        (memorized, "training samples are memorized", "of image is 2.00 nats, 1.40 above its lowest at epoch 4"),
        (memorized, "training samples are memorized", "held-out information part ways by 2.31 bit"),
        (nothing_unique, "two stages cannot help much", "image had 0.01 bit"),
        (nothing_alone, "no modality knows the label alone", "of stage 1 redundancy was 0.02 bit"),
        (paused, "a modality was mostly paused", "audio did not train in 5 of 6 epochs"),
    ],
)
def test_each_signature_is_found_alone_and_with_its_evidence(spoil, name, evidence, names):
    record = healthy(names)
    spoil(record)
    (finding,) = mmpid.diagnose(record)
    assert finding.name == name and evidence in finding.evidence and finding.advice
    assert mmpid.diagnose(record).to_frame()["name"].tolist() == [name]


def noisy_rise(record):
    still_rising(record)
    for row in rows(record, "probe"):
        row |= {"redundancy_low": row["redundancy"] - 0.7, "redundancy_high": row["redundancy"] + 0.7}


def a_plateau_from_which_it_went_back(record):
    """Joint training starts from the best probe, after which stage 1 had gone on without a gain."""
    still_rising(record)
    switch = record.rows.pop()
    for epoch in (6, 7, 8):
        record.rows.append(rows(record, "probe")[-1] | {"epoch": epoch, "redundancy": 0.99})
    record.append("decision", segment=1, stage="unimodal", epoch=5, step=8, action="rewind", parent=0, from_row=12)
    record.rows.append(switch | {"segment": 1})


def identified_again(record):
    too_few(record)
    rows(record, "probe")[-1]["synergy_identified"] = True


def certified_well_enough(record):
    rows(record, "probe")[2]["gap"] = 9e-7


def answered_within_two_probes(record):
    unanswered(record, n=2)
    paused_too_long(record, n=2)


def ahead_within_noise(record):
    unanswered(record)
    for row in rows(record, "probe"):
        row |= {"unique1_low": 0.0, "unique1_high": 2.6}


def ahead_with_nobody_to_be_paused(record):
    unanswered(record)
    record.metadata["controller"] = {"uniqueness_ratio": 1e9}


def ahead_of_a_larger_ratio(record):
    unanswered(record)
    record.metadata["controller"] = BalanceController(pause=LeadPause(ratio=9)).to_dict()


def ahead_without_a_pause_policy(record):
    unanswered(record)
    record.metadata["controller"] = BalanceController(pause=None).to_dict()


def ahead_by_the_ratio_of_a_policy_of_ones_own(record):
    class Mine(LeadPause):
        pass

    unanswered(record)
    record.metadata["controller"] = BalanceController(pause=Mine()).to_dict()


def ahead_in_a_stage_that_is_only_watched(record):
    unanswered(record)
    for row in rows(record, "probe")[-3:]:
        row["stage"] = "joint"


def validation_wobbles(record):
    rows(record, "epoch")[-1]["validation_loss.image"] = 0.65


def training_is_far_better_but_both_improve(record):
    rows(record, "epoch")[-1]["loss.image"] = 0.0


def little_but_real(record):
    rows(record, "probe")[-1]["unique2"] = 0.06


@pytest.mark.parametrize(
    "spoil",
    [
        noisy_rise,
        a_plateau_from_which_it_went_back,
        identified_again,
        certified_well_enough,
        answered_within_two_probes,
        ahead_within_noise,
        ahead_with_nobody_to_be_paused,
        ahead_of_a_larger_ratio,
        ahead_without_a_pause_policy,
        ahead_by_the_ratio_of_a_policy_of_ones_own,
        ahead_in_a_stage_that_is_only_watched,
        validation_wobbles,
        training_is_far_better_but_both_improve,
        little_but_real,
    ],
)
def test_what_only_looks_like_a_signature_is_no_finding(spoil):
    record = healthy()
    spoil(record)
    assert mmpid.diagnose(record) == ()


@pytest.mark.parametrize("atom", ["redundancy", "unique1", "unique2"])
def test_a_little_more_than_shuffled_labels_give_is_not_nothing(atom):
    record = healthy()
    nothing_alone(record)
    rows(record, "probe")[-1][atom] = rows(record, "probe")[-1].get(f"{atom}_null_high", 0.0) + 0.01
    assert [finding.name for finding in mmpid.diagnose(record)] == ["two stages cannot help much"]


def test_a_target_that_needs_both_modalities_is_named_by_a_real_run():
    data = mmpid.datasets.load("av-match", seed=0, pairings=1)
    settings = {"epochs": 3, "unimodal_epochs": 2, "device": "cpu"}
    trainer = mmpid.Trainer(mmpid.LateFusion.from_data(data, fusion="film", seed=0), data, seed=0, **settings)
    trainer.fit(progress=False)
    names = [finding.name for finding in mmpid.diagnose(trainer)]
    assert "no modality knows the label alone" in names and "two stages cannot help much" not in names


def test_of_three_two_with_unique_information_are_enough():
    record = healthy(THREE)
    rows(record, "probe")[-1]["unique3"] = 0.0
    assert mmpid.diagnose(record) == ()


def test_a_trainer_is_diagnosed_through_its_record_and_nothing_is_changed(make_trainer, tmp_path):
    trainer = make_trainer()
    trainer.fit(progress=False)
    before = trainer.record.content()
    assert mmpid.diagnose(trainer) == mmpid.diagnose(trainer.record) == mmpid.diagnose(trainer.save(tmp_path / "run"))
    assert trainer.record.content() == before
    assert mmpid.diagnose(RunRecord()) == ()
    with pytest.raises(InputError, match="`run`"):
        mmpid.diagnose({"rows": []})


def test_the_evidence_for_memorizing_names_both_accuracies_and_what_is_no_number_is_passed_over():
    record = RunRecord({"modalities": ["audio", "image"]})
    at = {"segment": 0, "stage": "unimodal", "step": 0}
    for epoch in range(1, 7):
        atoms = {name: float("nan") for name in ("redundancy", "unique1", "unique2", "synergy", "gap")}
        atoms |= {"unique1": 0.5, "unique2": 0.5} if epoch == 6 else {}
        record.append("probe", epoch=epoch, **at, **atoms)
        row = {"validation_loss.audio": 0.5 * epoch, "loss.audio": 0.1}
        row |= {"train_accuracy.audio": 1.0, "validation_accuracy.audio": 0.6}
        record.append("epoch", epoch=epoch, **at, **row)
    record.append("decision", epoch=6, **at | {"stage": "joint"}, action="switch", modality="", reason="")
    found = {finding.name: finding.evidence for finding in mmpid.diagnose(record)}
    assert "100% of the training samples are right, 60% of the held-out ones" in found["training samples are memorized"]
    assert "inf bit" in found["a decomposition is not certified"]
    assert set(found) == {"training samples are memorized", "a decomposition is not certified"}


def held_out(record):
    """The same run with held-out probes: no shuffled labels, and what is proven beside each atom."""
    for row in rows(record, "probe"):
        row |= {f"{atom}_proven": True for atom in ("redundancy", "unique1", "unique2")} | {"estimator": "held-out"}
        del row["unique2_null_high"]
    return record


@pytest.mark.parametrize(("proven", "lags"), [(True, True), (False, False)])
def test_only_a_proven_lead_should_have_been_paused(proven, lags):
    record = held_out(healthy())
    for row in rows(record, "probe"):
        row |= {"unique1": 0.9, "unique2": 0.1, "unique1_proven": proven}
    assert ("the controller lags behind" in {finding.name for finding in mmpid.diagnose(record)}) is lags


def test_held_out_probes_that_prove_nothing_need_no_shuffled_labels():
    record = held_out(healthy())
    last = rows(record, "probe")[-1]
    last |= {"redundancy": 0.04, "unique1": 0.02, "unique2": 0.0}
    last |= {f"{atom}_proven": False for atom in ("redundancy", "unique1", "unique2")}
    evidence = {finding.name: finding.evidence for finding in mmpid.diagnose(record)}
    assert "none of it proven" in evidence["no modality knows the label alone"]
    record.metadata["data"] = {"prior_loss": 1.0}  # the losses have fallen to half of it
    assert "no modality knows the label alone" not in {finding.name for finding in mmpid.diagnose(record)}
    del record.metadata["data"]
    last["unique1_proven"] = True
    assert "no modality knows the label alone" not in {finding.name for finding in mmpid.diagnose(record)}


def test_a_synergy_that_is_proven_but_not_identified_has_a_lower_end_to_read():
    record = held_out(healthy())
    too_few(record)
    rows(record, "probe")[-1]["synergy_proven"] = True
    (finding,) = [each for each in mmpid.diagnose(record) if each.name == "synergy is not identified"]
    assert "proven in 1 of them" in finding.evidence and "lower end" in finding.advice
