import numpy as np
import pytest
import torch

from mmpid import BalanceController, FixedEpoch, LateFusion, Manual, MultimodalData, PeakSynergy, Trainer, replay
from mmpid.errors import ConfigError, InputError, TrainingError
from mmpid.models import MLP
from mmpid.rules.controller import default_controller
from mmpid.train.evaluation import evaluate
from tests.small_runs import weights


def by_hand(**settings):
    return BalanceController(rule=Manual(), pause=None, **settings)


def test_the_same_seed_gives_the_same_record_and_weights(make_trainer):
    one, two, other = make_trainer(), make_trainer(), make_trainer(seed=1)
    for trainer in (one, two, other):
        trainer.fit(progress=False)
    assert one.record == two.record and torch.equal(weights(one), weights(two))
    assert one.record != other.record


def test_the_global_random_state_is_neither_used_nor_changed(make_trainer):
    one = make_trainer(model=dropout_model())
    one.step(epochs=2)
    torch.manual_seed(99)
    state = torch.get_rng_state()
    two = make_trainer(model=dropout_model())
    two.step(epochs=2)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(weights(one), weights(two))


def dropout_model():
    with torch.random.fork_rng():
        torch.manual_seed(5)
        encoders = {name: torch.nn.Sequential(MLP((6,), dim=8), torch.nn.Dropout(0.5)) for name in ("a", "b")}
        return LateFusion(encoders, n_classes=4, dims={"a": 8, "b": 8})


@pytest.mark.parametrize("pieces", [[1] * 12, [5, 7], [3, 1, 8]])
def test_batches_and_epochs_are_the_same_road(make_trainer, pieces):
    whole, parts = make_trainer(batch_size=40), make_trainer(batch_size=40)
    whole.step(epochs=2)
    for n in pieces:
        parts.step(batches=n)
    assert parts.epoch == whole.epoch == 2
    assert parts.record == whole.record and torch.equal(weights(parts), weights(whole))


def test_a_paused_modality_does_not_move_and_the_other_one_does(make_trainer):
    trainer = make_trainer(controller=by_hand())
    trainer.step(epochs=1)
    trainer.pause("a")
    before = {m: [p.clone() for p in trainer.model.modality_parameters(m)] for m in ("a", "b")}
    trainer.step(epochs=1)
    after = {m: trainer.model.modality_parameters(m) for m in ("a", "b")}
    assert all(torch.equal(p, q) for p, q in zip(before["a"], after["a"], strict=True))
    assert not any(torch.equal(p, q) for p, q in zip(before["b"], after["b"], strict=True))
    trainer.resume("a")
    assert trainer.active == ("a", "b")
    actions = [(row["action"], row["modality"], row["source"]) for row in trainer.record.lineage("decision")]
    assert ("pause", "a", "user") in actions and ("resume", "a", "user") in actions


def test_a_pause_does_not_touch_what_the_other_modality_learns(make_trainer):
    free, paused = make_trainer(controller=by_hand()), make_trainer(controller=by_hand())
    paused.pause("a")
    for trainer in (free, paused):
        trainer.step(epochs=2)
    pairs = zip(free.model.modality_parameters("b"), paused.model.modality_parameters("b"), strict=True)
    assert all(torch.equal(p, q) for p, q in pairs)


def test_the_last_active_modality_cannot_be_paused(make_trainer):
    trainer = make_trainer()
    trainer.pause("a")
    with pytest.raises(ConfigError, match="'b' is the only active modality"):
        trainer.pause("b")
    with pytest.raises(InputError, match="`modality` must be one of 'a', 'b'; it was 'sound'"):
        trainer.pause("sound")


def test_joint_training_starts_from_the_average_of_the_heads(make_trainer):
    trainer = make_trainer(controller=by_hand())
    trainer.step(epochs=2)
    trainer.switch_to_joint(rewind=False)
    seen = evaluate(trainer.model, trainer.data.split("validation"))
    assert torch.allclose(seen.logits["joint"], seen.logits["ens"], atol=1e-5)
    assert trainer.stage == "joint" and trainer.active == ("a", "b")


def test_rewinding_restores_the_weights_of_that_probe(make_trainer):
    short, long = (
        make_trainer(controller=by_hand(), unimodal_epochs=9),
        make_trainer(controller=by_hand(), unimodal_epochs=9),
    )
    short.step(epochs=2)
    long.step(epochs=4)
    long.rewind(to=2)
    assert torch.equal(weights(short), weights(long)) and long.epoch == 2
    assert [row["epoch"] for row in long.record.lineage("epoch")] == [1, 2]
    assert [row["epoch"] for row in long.record.to_frame("epoch", lineage=False).to_dict("records")] == [1, 2, 3, 4]
    short.step(epochs=1)
    long.step(epochs=1)
    assert torch.equal(weights(short), weights(long))
    assert long.progress[0] == 5, "epochs of a discarded future stay spent"


def test_switching_with_rewind_starts_from_the_rules_best_probe(make_trainer):
    trainer = make_trainer(controller=by_hand(), unimodal_epochs=9)
    trainer.step(epochs=4)
    best = max(trainer.record.lineage("probe"), key=lambda row: row["synergy"])["epoch"]
    trainer.controller = BalanceController(rule=PeakSynergy(warmup=0))
    trainer.switch_to_joint(rewind=True)
    assert trainer.epoch == best
    assert trainer.record.rows[-1]["action"] == "switch"


def test_a_branch_leaves_its_parents_future_unchanged(make_trainer):
    alone, parent = make_trainer(), make_trainer()
    parent.step(epochs=3)
    child = parent.branch(at=1)
    child.step(epochs=2)
    parent.fit(progress=False)
    alone.fit(progress=False)
    assert parent.record == alone.record and torch.equal(weights(parent), weights(alone))


def test_a_branch_with_the_same_rule_repeats_the_parent(make_trainer):
    parent = make_trainer(controller=BalanceController(rule=FixedEpoch(epoch=2)))
    parent.fit(progress=False)
    child = parent.branch(at=1)
    child.fit(progress=False)
    assert torch.equal(weights(parent), weights(child))


def test_fit_ends_with_one_result_and_leaves_a_finished_run(make_trainer):
    trainer = make_trainer()
    record = trainer.fit(progress=False)
    (result,) = record.lineage("result")
    assert trainer.finished and trainer.progress == (6, 6)
    assert result["selection"] == "validation" and 0 < result["test_accuracy.joint"] <= 1
    before = len(record.rows)
    trainer.step(epochs=3)
    assert len(record.rows) == before


def test_the_result_belongs_to_the_best_validation_epoch(make_trainer):
    trainer = make_trainer(epochs=8)
    trainer.fit(progress=False)
    rows = [row for row in trainer.record.lineage("epoch") if row["stage"] == "joint"]
    key = lambda row: (row["validation_accuracy.joint"], -row["validation_loss.joint"])  # noqa: E731
    result = trainer.record.lineage("result")[-1]
    assert result["selected_epoch.joint"] == max(rows, key=key)["epoch"]
    judged = evaluate(trainer.selected_model(), trainer.data.split("test"))
    assert judged.accuracy("joint") == result["test_accuracy.joint"]


def test_rows_are_flat_json_and_probes_are_certified(make_trainer):
    trainer = make_trainer(n_boot=10, n_null=5, correction="auto")
    trainer.fit(progress=False)
    for row in trainer.record.rows:
        assert all(value is None or isinstance(value, bool | int | float | str) for value in row.values())
    probes = trainer.record.to_frame("probe")
    assert (probes["gap"] <= 1e-6).all()
    assert np.allclose(probes[["redundancy", "unique1", "unique2", "synergy"]].sum(axis=1), probes["total"])
    assert {"ecs.mi.a", "ecs.mi.b", "ecs.class_logit.a.3", "synergy_low", "synergy_null_high"} <= set(probes)


@pytest.mark.parametrize("observable", ["prediction", "kmeans", "soft"])
def test_every_observable_can_be_probed(make_trainer, observable):
    trainer = make_trainer(observable=observable)
    trainer.step(epochs=2)
    assert set(trainer.record.to_frame("probe")["observable"]) == {observable}


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_state(make_trainer):
    trainer = make_trainer(controller=by_hand(), unimodal_epochs=9)
    trainer.step(epochs=2)
    good = weights(trainer)
    with torch.no_grad():
        trainer.model.heads["b"].weight[0, 0] = float("nan")
    with pytest.raises(
        TrainingError, match="loss of 'b' was not finite at batch 1 of epoch 3.*epoch 2 has been restored"
    ):
        trainer.step(epochs=1)
    assert torch.equal(weights(trainer), good) and trainer.epoch == 2
    trainer.step(epochs=1)
    assert trainer.epoch == 3


@pytest.mark.parametrize("stage", ["unimodal", "joint"])
def test_a_broken_loss_is_named_by_its_batch_even_if_it_is_read_later(make_trainer, stage):
    trainer = make_trainer(controller=by_hand(), unimodal_epochs=9, batch_size=24, log_every=10)
    trainer.step(epochs=1)
    if stage == "joint":
        trainer.switch_to_joint(rewind=False)
    trainer.step(epochs=1)
    good = weights(trainer)
    trainer.step(batches=3)
    trainer.set_learning_rate(1e30)
    with pytest.raises(TrainingError, match="not finite at batch 5 of epoch 3.*state of epoch 2 has been restored"):
        trainer.step(epochs=1)
    assert torch.equal(weights(trainer), good) and trainer.stage == stage
    trainer.step(epochs=1)
    assert trainer.epoch == 3, "the rate of the checkpoint is in force again"


def test_a_broken_loss_passes_over_a_checkpoint_that_cannot_be_read(make_trainer, tmp_path):
    trainer = make_trainer(controller=by_hand(), unimodal_epochs=9, out_dir=tmp_path / "run")
    trainer.step(epochs=2)
    (trainer.checkpoints.folder / "s000-e000002.safetensors").write_bytes(b"cut")
    trainer.set_learning_rate(1e30)
    with pytest.raises(TrainingError, match="state of epoch 1 has been restored"):
        trainer.step(epochs=1)
    assert trainer.epoch == 1


def test_the_paper_preset_runs_its_own_recipe(make_trainer):
    trainer = make_trainer(preset="paper", epochs=12, unimodal_epochs=10, probe_every=2, n_clusters=6)
    trainer.fit(progress=False)
    probe = trainer.record.lineage("probe")[0]
    assert (probe["observable"], probe["split"], probe["correction"]) == ("kmeans", "train", "none")
    assert trainer.record.lineage("result")[0]["selection"] == "test"
    assert not [row for row in trainer.record.rows if row.get("action") == "rewind"]


def test_the_paper_preset_ends_stage_one_at_the_second_pause(make_trainer, small_data, tmp_path):
    """A pause, a resume and another pause, forced by what the probes are made to see; saved between the two."""

    def start():
        trainer = make_trainer(preset="paper", epochs=12, unimodal_epochs=10, probe_every=1, n_clusters=6)
        seen = iter([(0.2, 0.2), (0.9, 0.1), (0.2, 0.2), (0.1, 0.9), (0.2, 0.2)])
        see(trainer, seen)
        return trainer, seen

    def see(trainer, seen):
        def measure(model):
            one, two = next(seen, (0.2, 0.2))
            return {"redundancy": 0.1, "unique1": one, "unique2": two, "synergy": 0.5}

        trainer._run.prober.measure = measure

    trainer, _ = start()
    trainer.fit(progress=False)
    rows = [row for row in trainer.record.lineage("decision") if row["action"] != "hold"]
    told = [(row["action"], row["modality"], row["epoch"]) for row in rows]
    assert told == [("pause", "a", 1), ("resume", "a", 2), ("pause", "b", 3), ("switch", "", 3)]
    assert rows[-1]["rule"] == "max_reversals" and "seen 2 pauses, the most allowed" in rows[-1]["reason"]
    stage_one = [row for row in trainer.record.rows if row["kind"] == "decision" and row["stage"] == "unimodal"]
    expected = [(row["action"], row["reason"]) for row in stage_one]
    switched = (rows[-1]["action"], rows[-1]["reason"])
    assert [(d.action, d.reason) for d in replay(trainer.record, trainer.controller)] == [*expected, switched]
    stopped, seen = start()
    stopped.step(epochs=2)
    loaded = Trainer.load(stopped.save(tmp_path / "run"), small_data, device="cpu")
    assert loaded.controller == default_controller("paper")
    see(loaded, seen)
    assert loaded.fit(progress=False) == trainer.record


def test_frozen_encoders_stay_as_stage_one_left_them(make_trainer):
    trainer = make_trainer(controller=BalanceController(rule=FixedEpoch(epoch=2)), freeze_encoders=True)
    trainer.step(epochs=2)
    before = [p.clone() for p in trainer.model.encoders.parameters()]
    trainer.fit(progress=False)
    assert trainer.stage == "joint"
    assert all(torch.equal(p, q) for p, q in zip(before, trainer.model.encoders.parameters(), strict=True))


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"epoch": 3}, ConfigError, "Did you mean 'epochs'"),
        ({"epochs": 0}, ConfigError, "`epochs` must be an integer of at least 1; it was 0"),
        ({"lr": "fast"}, ConfigError, "`lr` must be a number.*'fast'"),
        ({"observable": "k-means"}, ConfigError, "Did you mean 'kmeans'"),
        ({"device": "gpu"}, ConfigError, "`device` must be one of"),
        ({"preset": "papers"}, ConfigError, "Did you mean 'paper'"),
        ({"ecs": "mii"}, ConfigError, "`ecs` must be one of.*Did you mean 'mi'"),
        ({"ecs": ["mi", "nonsense"]}, ConfigError, "`ecs` must be one of.*'nonsense'"),
        ({"correction": "nothing"}, ConfigError, "`correction` must be one of"),
        ({"n_clusters": 2.5}, ConfigError, "`n_clusters` must be an integer"),
        ({"observable": "kmeans", "n_clusters": 500}, InputError, "the probe split must have at least 500"),
        ({"ecs": ("mutual_information",)}, InputError, "mutual_information"),
    ],
)
def test_bad_settings_are_refused(make_trainer, settings, error, words):
    with pytest.raises(error, match=words):
        make_trainer(**settings).step(batches=1)


def test_a_model_of_other_data_is_refused(small_data):
    other = LateFusion({"a": MLP((6,)), "c": MLP((6,))}, n_classes=4, dims={"a": 32, "c": 32})
    with pytest.raises(InputError, match="modalities a, c and 4 classes, the data a, b and 4"):
        Trainer(other, small_data)


def test_encoders_that_share_parameters_are_refused(make_trainer):
    shared = torch.nn.Linear(6, 4)
    with pytest.raises(InputError, match="must not share parameters.*deepcopy"):
        make_trainer(model=LateFusion({"a": shared, "b": shared}, n_classes=4))


def test_one_proxy_may_be_named_without_a_list(make_trainer):
    trainer = make_trainer(ecs="mi")
    assert trainer.config.ecs == ("mi",) and "ecs.mi.a" in trainer.probe()


def test_seven_modalities_are_refused_in_words(small_data):
    inputs = {f"m{i}": small_data.inputs["a"] + i for i in range(7)}
    data = MultimodalData.from_arrays(inputs, small_data.target)
    with pytest.raises(InputError, match="decomposes two to 6 modalities; the data have 7: m0, m1, .*Leave some out"):
        Trainer(LateFusion.from_data(data), data)
