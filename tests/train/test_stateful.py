"""Any sequence of commands leaves a run that the same commands make again, with and without saving on the way."""

import tempfile
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from mmpid import BalanceController, LateFusion, MultimodalData, PeakSynergy, Trainer
from mmpid.bench.drift import Drift
from mmpid.errors import MMPIDError
from mmpid.rules import LeadPause
from tests.small_runs import QUICK, weights

EPOCHS = 12


@cache
def tiny_data() -> MultimodalData:
    rng = np.random.default_rng(0)
    y = np.arange(160) % 2
    inputs = {name: (2 * y - 1)[:, None] * 0.6 + s * rng.normal(size=(160, 3)) for name, s in (("a", 0.7), ("b", 1.2))}
    return MultimodalData.from_arrays(inputs, y, seed=0, name="tiny")


def fresh() -> Trainer:
    """Return the run at its start: automatic pauses and switches, a stateful callback, momentum, a schedule."""
    controller = BalanceController(
        rule=PeakSynergy(warmup=2, noise_aware=False), pause=LeadPause(ratio=1.1, warmup=1, dwell=1), give_up=None
    )
    return Trainer(
        LateFusion.from_data(tiny_data(), seed=0), tiny_data(), controller=controller, callbacks=[Drift()],
        epochs=EPOCHS, unimodal_epochs=7, batch_size=32, scheduler="cosine", ecs=(), log_every=2, **QUICK,
    )  # fmt: skip


def carry_out(trainer: Trainer, name: str, arguments: tuple) -> tuple[Trainer, str]:
    """Carry out one command; return the trainer that goes on, and the error that refused the command, or ""."""
    try:
        if name == "branch":
            return trainer.branch(*arguments), ""
        if name == "batches":
            trainer.step(batches=arguments[0])
        elif name == "auto":
            trainer.auto = arguments[0]
        else:
            getattr(trainer, name)(*arguments)
    except MMPIDError as problem:
        return trainer, f"{type(problem).__name__}: {problem}"
    return trainer, ""


def save_and_load(trainer: Trainer) -> Trainer:
    with tempfile.TemporaryDirectory() as folder:
        return Trainer.load(trainer.save(Path(folder) / "run"), tiny_data(), callbacks=[Drift()], device="cpu")


def check_same(one: Trainer, other: Trainer) -> None:
    assert one.record == other.record
    assert torch.equal(weights(one), weights(other))
    assert one.learning_rates == other.learning_rates and one.batch_size == other.batch_size
    assert (one.finished, one.auto, one.progress) == (other.finished, other.auto, other.progress)
    states = [each.callbacks[0].state_dict() for each in (one, other)]
    assert states[0]["batches"] == states[1]["batches"] and states[0]["means"].keys() == states[1]["means"].keys()


class Commands(RuleBasedStateMachine):
    """A user who may do anything at any time."""

    def __init__(self):
        super().__init__()
        self.trainer, self.script = fresh(), []

    def do(self, name, *arguments):
        self.trainer, refused = carry_out(self.trainer, name, arguments)
        self.script.append((name, arguments, refused))

    @rule(n=st.integers(1, 5))
    def train_batches(self, n):
        self.do("batches", n)

    @rule(n=st.integers(1, 2))
    def train_epochs(self, n):
        self.do("step", n)

    @rule(name=st.sampled_from(["a", "b"]))
    def pause(self, name):
        self.do("pause", name)

    @rule(name=st.sampled_from(["a", "b"]))
    def resume(self, name):
        self.do("resume", name)

    @rule(to=st.integers(0, 6))
    def rewind(self, to):
        self.do("rewind", to)

    @rule(at=st.none() | st.integers(0, 6))
    def branch(self, at):
        self.do("branch", at)

    @rule(rewind=st.booleans() | st.integers(0, 4))
    def switch(self, rewind):
        self.do("switch_to_joint", rewind)

    @rule(lr=st.sampled_from([0.003, 0.01, 0.05]), name=st.sampled_from([None, "a", "joint"]))
    def set_learning_rate(self, lr, name):
        self.do("set_learning_rate", lr, name)

    @rule(n=st.sampled_from([16, 32, 50]))
    def set_batch_size(self, n):
        self.do("set_batch_size", n)

    @rule(on=st.booleans())
    def set_auto(self, on):
        self.do("auto", on)

    @rule()
    def probe(self):
        self.do("probe")

    @rule()
    def save_and_load(self):
        self.trainer = save_and_load(self.trainer)

    @invariant()
    def the_lineage_is_one_path(self):
        record = self.trainer.record
        path = record.lineage()
        epochs = record.lineage("epoch")
        assert [row["epoch"] for row in epochs] == list(range(1, self.trainer.epoch + 1))
        stages = [row["stage"] for row in epochs]
        assert stages == sorted(stages, reverse=True)  # "unimodal" before "joint"
        for before, after in pairwise(path):
            assert before["segment"] <= after["segment"] and before["step"] <= after["step"]
        assert sum(row["kind"] == "epoch" for row in record.rows) == self.trainer.progress[0] <= EPOCHS
        assert bool(record.lineage("result")) == self.trainer.finished

    def teardown(self):
        again = fresh()
        for name, arguments, refused in self.script:
            again, now = carry_out(again, name, arguments)
            assert now == refused
        check_same(self.trainer, again)
        loaded = save_and_load(self.trainer)
        for each in (again, loaded, self.trainer):
            each.step(epochs=2)
        check_same(again, self.trainer)
        check_same(loaded, again)


def explore(examples: int, steps: int) -> None:
    profile = settings(
        max_examples=examples, stateful_step_count=steps, deadline=None, derandomize=True, database=None,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    run_state_machine_as_test(Commands, settings=profile)


def test_a_few_sequences_of_commands_replay():
    explore(examples=8, steps=10)


@pytest.mark.slow
def test_hundreds_of_commands_replay():
    explore(examples=30, steps=30)
