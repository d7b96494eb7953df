"""Where no modality knows the label alone, stage 1 is given up and joint training starts from scratch."""

from itertools import product
from math import nan

import numpy as np
import pytest
import torch

import mmpid
from mmpid import BalanceController, FixedEpoch, LateFusion, Manual, MultimodalData, RunRecord, Trainer, replay
from mmpid.rules import NothingLearned, SwitchRule
from mmpid.rules.controller import default_controller
from mmpid.rules.give_up import nothing_to_teach
from mmpid.train.evaluation import prior_loss
from tests.small_runs import weights

QUICK = {"epochs": 10, "ecs": (), "device": "cpu"}
PRIOR = 0.7


def idle(n: int = 4, names=("a", "b")) -> RunRecord:
    """Make a record of `n` epochs in which nothing was learned, with the probe of the untrained network before them."""
    record = RunRecord({"modalities": list(names), "data": {"prior_loss": PRIOR}, "settings": {"epochs": 30}})
    for epoch in range(n + 1):
        at = {"segment": 0, "stage": "unimodal", "epoch": epoch, "step": epoch}
        if epoch:
            record.append("epoch", **at, **{f"validation_loss.{name}": PRIOR + 1e-4 * epoch for name in names})
        atoms = ("redundancy", "synergy", *(f"unique{i + 1}" for i in range(len(names))))
        row = {atom: 0.01 for atom in atoms} | {f"{atom}_null_high": 0.02 for atom in atoms}
        record.append("probe", **at, **row, **{f"active.{name}": True for name in names})
    return record


def rows(record, kind):
    return [row for row in record.rows if row["kind"] == kind]


def actions(controller, record):
    return [decision.action for decision in controller.decide(record)]


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")])
def test_stage_one_is_given_up_at_the_probe_that_makes_the_number_full_and_not_before(names):
    controller = BalanceController(give_up=NothingLearned(probes=4))
    assert all(actions(controller, idle(n, names)) == ["hold"] for n in range(4))
    (decision,) = controller.decide(idle(4, names))
    assert (decision.action, decision.rewind_to, decision.epoch, decision.rule) == ("switch", 0, 4, "give_up_after")
    assert decision.from_scratch and decision.values == {"probes": 4, "redundancy": 0.01}


def test_it_can_be_turned_off_and_is_off_in_the_paper_s_recipe():
    assert actions(BalanceController(give_up=None), idle(8)) == ["hold"]
    assert default_controller("paper").give_up is None


def beyond_the_null(record):
    rows(record, "probe")[2]["unique2"] = 0.03


def redundancy_beyond_the_null(record):
    rows(record, "probe")[-1]["redundancy"] = 0.03


def not_a_number(record):
    rows(record, "probe")[-1]["unique1"] = nan


def no_shuffled_labels(record):
    for row in rows(record, "probe"):
        for key in [key for key in row if key.endswith("_null_high")]:
            del row[key]
        row |= {"redundancy": 0.0, "unique1": 0.0, "unique2": 0.0}


def below_the_class_frequencies_once(record):
    rows(record, "epoch")[0]["validation_loss.b"] = 0.98 * PRIOR


def still_falling(record):
    for row in rows(record, "epoch"):
        row["validation_loss.a"] = PRIOR * (1.02 - 0.002 * row["epoch"])


def somebody_was_paused(record):
    rows(record, "probe")[3]["active.a"] = False


def made_before_the_loss_of_class_frequencies_was_kept(record):
    del record.metadata["data"]


def frozen_encoders(record):
    record.metadata["settings"]["freeze_encoders"] = True


def the_user_came_back(record):
    at = {"segment": 0, "stage": "joint", "epoch": 0, "step": 9}
    gone = record.rows[-1:]
    record.append("decision", action="switch", source="controller", from_scratch=True, modality="", rule="", **at)
    back = at | {"segment": 1, "stage": "unimodal", "parent": 0, "from_row": len(record.rows) - 1}
    record.append("decision", action="rewind", source="user", modality="", rule="", **back)
    record.rows.append(gone[0] | {"segment": 1})


@pytest.mark.parametrize(
    "spoil",
    [
        beyond_the_null,
        redundancy_beyond_the_null,
        not_a_number,
        no_shuffled_labels,
        below_the_class_frequencies_once,
        still_falling,
        somebody_was_paused,
        made_before_the_loss_of_class_frequencies_was_kept,
        frozen_encoders,
        the_user_came_back,
    ],
)
def test_any_sign_of_knowledge_or_of_the_user_keeps_stage_one(spoil):
    record = idle(4)
    assert actions(BalanceController(give_up=NothingLearned(probes=4)), record) == ["switch"]
    spoil(record)
    assert actions(BalanceController(give_up=NothingLearned(probes=4)), record) == ["hold"]


def test_a_rule_that_says_itself_when_joint_training_starts_is_not_overruled_but_one_of_your_own_is():
    class Mine(SwitchRule):
        pass

    for rule in (Manual(), FixedEpoch(epoch=20)):
        assert actions(BalanceController(rule=rule, give_up=NothingLearned(probes=4)), idle(4)) == ["hold"]
    assert actions(BalanceController(rule=Mine(), give_up=NothingLearned(probes=4)), idle(4)) == ["switch"]


def test_probes_asked_for_by_hand_do_not_count():
    record = idle(3)
    record.rows.append(dict(record.rows[-1]))
    assert nothing_to_teach(record, 4) is None and nothing_to_teach(record, 3) is not None


@pytest.mark.parametrize("weight", [None, torch.tensor([0.5, 1.0, 4.0])])
def test_the_loss_of_class_frequencies_is_the_least_that_a_constant_answer_reaches(weight):
    labels = torch.tensor([0] * 50 + [1] * 30 + [2] * 20)
    least = prior_loss(labels, labels, 3, weight)
    loss, steps = torch.nn.CrossEntropyLoss(weight=weight), np.linspace(-4, 4, 81)
    around = [float(loss(torch.tensor([a, b, 0.0]).float().expand(100, 3), labels)) for a, b in product(steps, steps)]
    assert least <= min(around) + 1e-6 and least == pytest.approx(min(around), abs=1e-3)


# ---- real runs -----------------------------------------------------------------------------------------------


def make_data(joint: bool, n: int = 240, seed: int = 0) -> MultimodalData:
    """Return pairs of noisy signs about their product, or about the first sign.

    Every sample of a modality meets one of each sign of the other: alone it stands for one class as often as for two.
    """
    rng = np.random.default_rng(seed)
    signs = np.array(list(product((-1, 1), repeat=2)))[np.arange(4 * n) % 4]
    alone = rng.normal(size=(2, n, 2, 6)) + 2 * np.array([[-1], [1]]) * np.eye(1, 6)  # modality, block, sign
    block = np.arange(4 * n) // 4
    inputs = {name: alone[i, block, (signs[:, i] + 1) // 2] for i, name in enumerate("ab")}
    split = np.repeat(["train", "probe", "validation", "test"], n)
    label = signs.prod(1) if joint else signs[:, 0]
    return MultimodalData.from_arrays(inputs, (label > 0).astype(int), split=split, seed=seed, name="signs")


@pytest.fixture(scope="module")
def product_of_signs():
    return make_data(joint=True)


def make_run(data, cls=Trainer, **settings):
    model = LateFusion.from_data(data, fusion="film", seed=0)
    return cls(model, data, seed=0, **{**QUICK, **settings})


def finished(data, **settings):
    trainer = make_run(data, **settings)
    trainer.fit(progress=False)
    return trainer


def the_switch(record):
    return next(row for row in rows(record, "decision") if row["action"] == "switch")


def without(record, *names):
    return [{key: x for key, x in row.items() if key not in ("seconds", *names)} for row in record.rows]


def test_joint_training_then_is_what_it_is_without_a_stage_one(product_of_signs):
    given_up = finished(product_of_signs)
    switch = the_switch(given_up.record)
    spent = switch["step"] // 4  # four batches per epoch
    assert (switch["rule"], switch["from_scratch"], switch["epoch"]) == ("give_up_after", True, 0)
    scratch = finished(product_of_signs, unimodal_epochs=0, epochs=QUICK["epochs"] - spent)
    assert torch.equal(weights(given_up), weights(scratch))
    one, two = (t.record.lineage("result")[-1]["test_accuracy.joint"] for t in (given_up, scratch))
    assert one == two
    assert given_up.learning_rates == scratch.learning_rates


def test_what_the_user_set_for_other_switches_stays_in_the_settings(product_of_signs):
    trainer = finished(product_of_signs, joint_lr_scale=0.1)
    assert trainer.config.joint_lr_scale == 0.1 and trainer.config.fusion_init == "heads"
    assert trainer.learning_rates["joint"] == trainer.config.lr


def test_the_run_decided_what_a_replay_says(product_of_signs):
    trainer = finished(product_of_signs)
    answers = [(d.epoch, d.action, d.reason) for d in replay(trainer.record, trainer.controller)]
    made = [row for row in trainer.record.rows if row["kind"] == "decision" and row["action"] in ("hold", "switch")]
    held = [(row["epoch"], row["action"], row["reason"]) for row in made[:-1]]
    assert answers[:-1] == held and answers[-1][1:] == ("switch", made[-1]["reason"])
    patient = BalanceController(give_up=None)
    assert "switch" not in [d.action for d in replay(trainer.record, patient)]


def test_where_a_modality_knows_something_every_row_is_as_if_there_were_no_guard():
    data = make_data(joint=False)
    controllers = (BalanceController(give_up=rule) for rule in (NothingLearned(probes=2), None))
    guarded, unguarded = (finished(data, controller=controller) for controller in controllers)
    assert without(guarded.record) == without(unguarded.record)
    assert the_switch(guarded.record)["rule"] != "give_up_after"


def test_in_manual_mode_nothing_is_decided_but_diagnose_says_it(product_of_signs):
    trainer = make_run(product_of_signs)
    trainer.auto = False
    trainer.step(epochs=8)
    assert trainer.stage == "unimodal" and not rows(trainer.record, "decision")
    assert "no modality knows the label alone" in [finding.name for finding in mmpid.diagnose(trainer)]


def test_the_advice_is_another_one_once_it_was_followed(product_of_signs):
    found = {f.name: f.advice for f in mmpid.diagnose(finished(product_of_signs))}
    assert found["no modality knows the label alone"].startswith("joint training was started from scratch")


def test_by_hand_joint_training_starts_from_scratch_as_well(product_of_signs):
    trainer = make_run(product_of_signs)
    trainer.auto = False
    trainer.step(epochs=3)
    trainer.switch_to_joint(from_scratch=True)
    assert (trainer.stage, trainer.epoch, the_switch(trainer.record)["from_scratch"]) == ("joint", 0, True)
    trainer.fit(progress=False)
    assert torch.equal(weights(trainer), weights(finished(product_of_signs, unimodal_epochs=0, epochs=7)))


def test_who_goes_back_is_not_overruled(product_of_signs):
    trainer = make_run(product_of_signs)
    while trainer.stage == "unimodal":
        trainer.step(epochs=1)
    spent = trainer.progress[0]
    trainer.rewind(to=0)
    trainer.step(epochs=QUICK["epochs"] - spent - 1)
    assert trainer.stage == "unimodal"


def test_without_rewinds_it_goes_on_from_the_present_encoders(product_of_signs):
    trainer = finished(product_of_signs, rewind=False)
    switch = the_switch(trainer.record)
    assert switch["from_scratch"] and switch["epoch"] > 0 and not switch["segment"]


@pytest.mark.parametrize("batches", [3, 7, 21, 22, 23])
def test_a_resumed_run_gives_up_and_goes_on_exactly_as_the_uninterrupted_one(product_of_signs, tmp_path, batches):
    """Stops within stage 1, at the batch before it is given up, at the first of joint training, and within it."""
    whole = finished(product_of_signs)
    trainer = make_run(product_of_signs)
    trainer.step(batches=batches)
    trainer.save(tmp_path / "run")
    resumed = Trainer.load(tmp_path / "run", product_of_signs, device="cpu")
    branch = make_run(product_of_signs)
    branch.step(batches=batches)
    branch = branch.branch(at=0)
    for each in (trainer, resumed, branch):
        each.fit(progress=False)
    assert resumed.record == whole.record == trainer.record
    assert torch.equal(weights(resumed), weights(whole)) and torch.equal(weights(branch), weights(whole))


@pytest.mark.parametrize("batches", [20, 21, 30])
def test_a_run_that_dies_goes_on_from_what_is_on_disk_as_if_nothing_had_been(product_of_signs, tmp_path, batches):
    """Nothing is saved by hand: after the last batch before giving up, the first after it, and some epochs later."""
    whole = finished(product_of_signs)
    make_run(product_of_signs, out_dir=tmp_path / "run").step(batches=batches)
    resumed = Trainer.load(tmp_path / "run", product_of_signs, device="cpu")
    assert resumed.updates <= batches
    resumed.fit(progress=False)
    assert resumed.record == whole.record and torch.equal(weights(resumed), weights(whole))


def test_a_branch_and_a_rewind_within_joint_training_keep_its_rate(product_of_signs):
    trainer = finished(product_of_signs)
    branch = trainer.branch(at=2)
    assert branch.stage == "joint" and branch.learning_rates["joint"] == trainer.config.lr
    trainer.rewind(to=1)
    assert trainer.stage == "joint" and trainer.learning_rates["joint"] == trainer.config.lr


@pytest.mark.slow
def test_av_match_is_learned():
    data = mmpid.datasets.load("av-match", seed=0)
    trainer = finished(data, epochs=30)
    assert the_switch(trainer.record)["rule"] == "give_up_after"
    assert trainer.record.lineage("result")[-1]["test_accuracy.joint"] > 0.65  # of 800; chance is 0.5 +- 0.035
