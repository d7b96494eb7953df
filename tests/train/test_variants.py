"""The paper's recipe in two variants: each fact of the released script, on small data."""

import numpy as np
import pytest
import torch

from mmpid import BalanceController, FixedEpoch, LateFusion, MultimodalData, RunRecord, Trainer, decompose, diff
from mmpid.errors import ConfigError, InputError
from mmpid.rules.controller import default_controller
from mmpid.train.config import TrainConfig
from mmpid.train.released import fit, released_atoms
from tests.small_runs import weights

RULE = BalanceController(rule=FixedEpoch(epoch=2), pause=None, give_up=None)
SHORT = {
    "preset": "paper", "epochs": 4, "unimodal_epochs": 3, "joint_epochs": 2, "probe_every": 1, "n_clusters": 4,
    "ecs": (), "controller": RULE, "pid_method": "exact", "lr_step": 0,
}  # fmt: skip
DIFFERENT = {"lr_step", "probe_order", "pid_method", "paused_encoders", "stage2"}


def joint(seed=0, shape=(6, 5, 3)) -> torch.Tensor:
    p = torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64) ** 4
    return p / p.sum()


def probes(*unique_and_synergy) -> RunRecord:
    """Return a record with one probe per (U1, U2, S), and what the controller decided so far."""
    record = RunRecord({"modalities": ["a", "b"], "settings": {"epochs": 300, "unimodal_epochs": 200}})
    active = {"a": True, "b": True}
    for i, (u1, u2, synergy) in enumerate(unique_and_synergy):
        where = {"segment": 0, "stage": "unimodal", "step": 0, "epoch": 5 * i}
        flags = {f"active.{name}": on for name, on in active.items()}
        record.append("probe", redundancy=0.1, unique1=u1, unique2=u2, synergy=synergy, **flags, **where)
        for decision in default_controller("paper", "released").decide(record):
            record.append("decision", **where, **decision.to_row("controller"))
            if decision.action == "pause":
                active[decision.modality] = False
    return record


def told(*unique_and_synergy) -> list[str]:
    rows = [row for row in probes(*unique_and_synergy).rows if row["kind"] == "decision"]
    return [row["action"] + row["modality"] for row in rows if row["epoch"] == 5 * (len(unique_and_synergy) - 1)]


# ---- settings --------------------------------------------------------------------------------------------------------


def test_the_variants_differ_in_what_is_listed_and_the_difference_shows(make_trainer):
    paper, released = TrainConfig.make("paper"), TrainConfig.make("paper", "released")
    assert {name for name, x in paper.values().items() if x != getattr(released, name)} == DIFFERENT
    assert TrainConfig.make("paper", "paper") == paper and TrainConfig.from_dict(released.to_dict()) == released
    one, two = make_trainer(preset="paper"), make_trainer(preset="paper", variant="released")
    assert two.record.metadata["variant"] == "released" and "variant" not in one.record.metadata
    shown = set(diff(one, two).index)
    assert {"variant", *(f"settings.{name}" for name in DIFFERENT)} <= shown
    assert any("PauseForGood" in str(value) for value in diff(one, two).to_numpy().ravel())
    for wrong in ({"variant": "released"}, {"preset": "paper", "variant": "code"}):
        with pytest.raises(ConfigError, match="`variant`"):
            make_trainer(**wrong)


def test_a_released_run_goes_on_bit_for_bit_and_its_branch_says_what_it_is(make_trainer, small_data, tmp_path):
    own = {**SHORT, "variant": "released", "pid_method": "released"}
    whole, first = make_trainer(**own), make_trainer(**own)
    first.step(batches=9)
    resumed = Trainer.load(first.save(tmp_path / "run"), small_data, device="cpu")
    for trainer in (whole, resumed):
        trainer.fit(progress=False)
    assert resumed.record == whole.record and torch.equal(weights(resumed), weights(whole))
    assert resumed.record.metadata["variant"] == "released" == whole.branch(at=1).record.metadata["variant"]
    assert whole.record.lineage("probe", stage="joint"), "probes of stage 2 are logged"


# ---- probe -----------------------------------------------------------------------------------------------------------


def test_the_released_probe_takes_the_first_samples(make_trainer):
    first = make_trainer(**SHORT, variant="released", probe_samples=50)._run.prober.split
    drawn = make_trainer(**SHORT, probe_samples=50)._run.prober.split
    train = make_trainer(**SHORT)._run.splits["train"]
    assert torch.equal(first.target, train.target[:50]) and not torch.equal(first.target, drawn.target)


def test_the_released_solver_violates_the_second_source_and_depends_on_the_order():
    p = joint()
    q = fit(p).double()
    first, second = (q.sum(1) - p.sum(1)).abs().max(), (q.sum(0) - p.sum(0)).abs().max()
    assert first < 1e-6 < second and abs(float(q.sum()) - 1) < 1e-6
    one, other = released_atoms(p), released_atoms(p.transpose(0, 1))
    assert abs(one["synergy"] - other["synergy"]) > 1e-4
    exact = decompose(p)
    assert all(abs(one[name] - float(getattr(exact, name))) < 0.3 for name in one)


def test_the_released_atoms_are_read_off_its_own_q_and_are_not_clipped():
    p = joint(3)
    atoms, exact = released_atoms(p), decompose(p)
    known = float(exact.redundancy + exact.unique1)  # I(Y; X1), whatever q
    assert abs(sum(atoms.values()) - float(exact.total)) < 1e-4
    assert abs(atoms["redundancy"] + atoms["unique1"] - known) < 1e-4, "the first marginal is kept"
    assert abs(atoms["redundancy"] + atoms["unique2"] - float(exact.redundancy + exact.unique2)) > 1e-4
    redundant = torch.zeros(3, 3, 3, dtype=torch.float64)
    redundant[range(3), range(3), range(3)] = 1 / 3
    assert abs(released_atoms(redundant)["unique2"]) < 1e-3


def test_a_released_row_has_these_atoms_and_their_distance_to_the_exact_ones(make_trainer):
    trainer = make_trainer(**{**SHORT, "pid_method": "released"})
    row, exact = trainer.probe(), make_trainer(**SHORT).probe()
    apart = max(abs(row[name] - exact[name]) for name in ("redundancy", "unique1", "unique2", "synergy"))
    assert row["gap"] == pytest.approx(apart, abs=1e-4) and row["n_samples"] == exact["n_samples"]
    assert row["unique1"] == row["unique1_plugin"] != exact["unique1"]


def test_the_released_solver_takes_two_modalities_and_clusters(make_trainer):
    rng = np.random.default_rng(0)
    data = MultimodalData.from_arrays({name: rng.normal(size=(80, 4)) for name in "abc"}, np.arange(80) % 4)
    with pytest.raises(InputError, match="two modalities"):
        Trainer(LateFusion.from_data(data), data, preset="paper", variant="released", device="cpu")
    with pytest.raises(InputError, match="'prediction'"):
        make_trainer(pid_method="released")


# ---- decisions -------------------------------------------------------------------------------------------------------


def test_nobody_is_resumed_and_the_other_s_lead_ends_stage_one():
    start = (0.5, 0.1, 0.1)
    assert told(start) == ["hold"], "the untrained network decides nothing"
    assert told(start, (0.5, 0.1, 0.1)) == ["pausea", "hold"]
    assert told(start, (0.5, 0.1, 0.1), (0.1, 0.2, 0.1)) == ["hold"], "the preset's paper variant would resume"
    assert told(start, (0.5, 0.1, 0.1), (0.9, 0.1, 0.1)) == ["hold"], "already paused"
    assert told(start, (0.5, 0.1, 0.1), (0.1, 0.4, 0.1)) == ["pauseb", "switch"]


@pytest.mark.parametrize("u2", [0.0, -0.1])
def test_a_probe_without_unique_information_of_the_second_source_is_skipped_altogether(u2):
    assert told((0.1, 0.1, 0.1), (0.1, 0.1, 0.5), (0.5, u2, 0.1)) == ["hold"]
    assert told((0.1, 0.1, 0.1), (0.1, u2, 0.9), (0.1, 0.1, 0.5)) == ["hold"], "its synergy is no best"
    assert told((0.1, 0.1, 0.1), (0.1, 0.1, 0.5), (0.1, 0.1, 0.3)) == ["switch"]
    assert told((0.1, 0.1, 0.1), (0.0, 0.1, 0.1)) == ["hold"], "the script crashes there"


def test_the_best_synergy_includes_the_present_probe_and_must_be_above_zero():
    assert told((0.1, 0.1, 0.1), (0.1, 0.1, -0.2), (0.1, 0.1, -0.3)) == ["hold"]
    assert told((0.1, 0.1, 0.1), (0.1, 0.1, -0.2), (0.1, 0.1, 0.3)) == ["hold"]
    record = probes((0.1, 0.1, 0.1), (0.1, 0.1, 0.5), (0.1, 0.1, 0.3))
    assert default_controller("paper", "released").decide(record)[-1].rewind_to == 10, "from where it is"


# ---- training --------------------------------------------------------------------------------------------------------


def test_stage_two_never_decays_in_the_released_variant(make_trainer):
    own = {**SHORT, "joint_epochs": 3, "epochs": 5}
    del own["lr_step"]
    assert TrainConfig.make(**{k: v for k, v in own.items() if k != "controller"}).lr_step == 70
    trainer = make_trainer(**own, variant="released")
    trainer.fit(progress=False)
    assert {row["lr.joint"] for row in trainer.record.lineage("epoch", stage="joint")} == {5e-4}


def test_a_paused_encoder_of_the_released_variant_runs_on_and_its_statistics_move(small_data):
    def paused(variant):
        torch.manual_seed(0)
        encoders = {
            name: torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.BatchNorm1d(4), torch.nn.Linear(4, 4))
            for name in ("a", "b")
        }
        model = LateFusion(encoders, 4, dims={"a": 4, "b": 4})
        trainer = Trainer(model, small_data, device="cpu", **SHORT, variant=variant)
        trainer.pause("a")
        before = {key: x.clone() for key, x in model.state_dict().items()}
        trainer.step(batches=2)
        return {key: not torch.equal(x, before[key]) for key, x in model.state_dict().items() if ".a." in key}

    moved = {variant: paused(variant) for variant in ("paper", "released")}
    assert not any(moved["paper"].values())
    assert {key for key, x in moved["released"].items() if x} == {
        f"encoders.a.1.{name}" for name in ("running_mean", "running_var", "num_batches_tracked")
    }
