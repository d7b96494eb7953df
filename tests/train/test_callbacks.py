"""Callbacks: every moment in its place, state that travels, settings that are seen, and failures that lose nothing."""

from functools import partial

import pytest
import torch

from mmpid import Callback, LateFusion, Trainer, diff
from mmpid.errors import CheckpointError, ConfigError, InputError, TrainingError
from mmpid.train.callbacks import MOMENTS
from tests.small_runs import QUICK, weights


class Recorder(Callback):
    """Notes every moment."""

    def __init__(self):
        self._seen = []

    def state_dict(self):
        return {"seen": self._seen}

    def load_state_dict(self, state):
        self._seen = state["seen"]


def noting(moment):
    def hook(self, ctx):
        self._seen.append(moment)
        return self.answers[moment](ctx) if moment in self.answers else None

    return hook


class Everything(Recorder):
    answers = {"backward": lambda ctx: False, "compute_loss": lambda ctx: None}


for _moment in MOMENTS:
    if _moment not in ("step_plan", "predict"):
        setattr(Everything, _moment, noting(_moment))


class Momentum(Callback):
    """Stateful: remembers gradients, draws random numbers, logs, adds a term."""

    def __init__(self, decay=0.5):
        self.decay = decay
        self._mean = torch.zeros(())
        self._count = 0

    def on_after_backward(self, ctx):
        for gradient in ctx.gradients("a"):
            gradient.add_(0.01 * torch.randn(gradient.shape, generator=ctx.generator))
            self._mean = self.decay * self._mean + gradient.mean()
        self._count += 1
        ctx.log("count", self._count)

    def compute_loss(self, ctx):
        return {"norm": 1e-3 * ctx.features["a"].square().mean()} if "a" in ctx.features else {}

    def state_dict(self):
        return {"mean": self._mean, "count": self._count}

    def load_state_dict(self, state):
        self._mean, self._count = state["mean"], state["count"]


def test_moments_come_in_their_order(make_trainer):
    trainer = make_trainer(callbacks=[made := Everything()], batch_size=120)
    trainer.step(epochs=1)
    batch = [
        "on_batch_start", "on_features", "compute_loss", "backward", "on_after_backward", "on_after_step",
    ]  # fmt: skip
    start = ["setup", "on_fit_start", "on_probe", "on_epoch_start"]
    assert made._seen == [*start, *batch, *batch, "on_epoch_end", "on_probe"]


def test_an_empty_callback_changes_no_number(make_trainer):
    plain, empty = make_trainer(), make_trainer(callbacks=[Callback()])
    full = make_trainer(callbacks=[Everything()])
    for trainer in (plain, empty, full):
        trainer.fit(progress=False)
    assert plain.record.rows[0].keys() == empty.record.rows[0].keys()
    for other in (empty, full):
        assert [r | {"seconds": 0} for r in plain.record.rows] == [r | {"seconds": 0} for r in other.record.rows]
        assert torch.equal(weights(plain), weights(other))


@pytest.mark.parametrize("batches", [2, 7, 13, 20])
def test_a_stateful_callback_goes_on_bit_for_bit(make_trainer, small_data, tmp_path, batches):
    settings = {"batch_size": 40, "epochs": 4, "unimodal_epochs": 2}
    whole, first = (make_trainer(callbacks=[Momentum()], **settings) for _ in range(2))
    first.step(batches=batches)
    resumed = Trainer.load(first.save(tmp_path / "run"), small_data, callbacks=[Momentum()], device="cpu")
    for trainer in (whole, resumed):
        trainer.fit(progress=False)
    assert resumed.record == whole.record and torch.equal(weights(resumed), weights(whole))
    row = whole.record.lineage("epoch")[-1]
    assert row["loss.norm"] > 0 and row["log.Momentum.count"] > 0


def test_a_branch_has_copies_and_a_rewind_takes_the_state_back(make_trainer):
    trainer = make_trainer(callbacks=[Momentum()])
    trainer.step(epochs=2)
    child = trainer.branch(at=1)
    assert child.callbacks[0] is not trainer.callbacks[0]
    assert child.callbacks[0]._count * 2 == trainer.callbacks[0]._count
    trainer.rewind(to=1)
    assert trainer.callbacks[0]._count == child.callbacks[0]._count


def test_settings_and_order_are_in_the_metadata_and_diff_sees_them(make_trainer):
    class Second(Callback):
        pass

    one, two = make_trainer(callbacks=[Momentum(0.5), Second()]), make_trainer(callbacks=[Momentum(0.9), Second()])
    assert list(one.record.metadata["callbacks"]) == ["Momentum", "Second"]
    assert diff(one, two).loc["callbacks.Momentum.decay"].tolist() == [0.5, 0.9]
    assert diff(one, make_trainer()).index.str.startswith("callbacks.Second").any()


def test_a_callback_that_is_missing_or_other_on_load_is_refused(make_trainer, small_data, tmp_path):
    trainer = make_trainer(callbacks=[Momentum()])
    trainer.step(epochs=1)
    path = trainer.save(tmp_path / "run")
    for callbacks in (None, [], [Momentum(0.9)], [Momentum(), Recorder()]):
        with pytest.raises(CheckpointError, match="Momentum"):
            Trainer.load(path, small_data, callbacks=callbacks, device="cpu")


@pytest.mark.parametrize(
    ("callbacks", "error"),
    [
        (Callback(), InputError),
        ([Callback], InputError),
        (["ogm"], InputError),
        ([Callback(), Callback()], ConfigError),
    ],
)
def test_what_is_no_list_of_callbacks_is_refused(make_trainer, callbacks, error):
    with pytest.raises(error, match="callbacks"):
        make_trainer(callbacks=callbacks)


def test_only_one_callback_takes_over_the_backward_pass(make_trainer):
    class One(Callback):
        def backward(self, ctx):
            return False

    class Two(One):
        pass

    with pytest.raises(ConfigError, match="One and Two"):
        make_trainer(callbacks=[One(), Two()])


# --- failures ---------------------------------------------------------------------------------------------------------


def failing(moment, at):
    """Return a callback that fails in one moment, the `at`-th time."""

    class Fails(Callback):
        calls = 0

    def hook(self, ctx):
        type(self).calls += 1
        if type(self).calls == at:
            raise ValueError("by mistake")
        return {} if moment == "compute_loss" else None

    setattr(Fails, moment, hook)
    return Fails()


@pytest.mark.parametrize("moment", [m for m in MOMENTS if m not in ("setup", "step_plan", "predict")])
@pytest.mark.parametrize("at", [1, 2, 4])
def test_a_callback_that_fails_once_stops_the_run_and_loses_nothing(make_trainer, moment, at):
    settings = {"batch_size": 80, "epochs": 4, "unimodal_epochs": 2}
    plain, trainer = make_trainer(**settings), make_trainer(callbacks=[failing(moment, at)], **settings)
    plain.fit(progress=False)
    failures = 0
    while not trainer.finished:
        try:
            trainer.fit(progress=False)
        except TrainingError as problem:
            failures += 1
            assert "'Fails'" in str(problem) and moment in str(problem) and "by mistake" in str(problem)
            assert isinstance(problem.__cause__, ValueError)
    assert failures == (0 if moment == "on_fit_start" and at > 1 else 1)
    assert torch.equal(weights(trainer), weights(plain))
    kinds = [row["kind"] for row in trainer.record.rows if row["kind"] != "batch"]
    assert kinds == [row["kind"] for row in plain.record.rows if row["kind"] != "batch"]


def test_a_failure_in_setup_is_named(make_trainer):
    with pytest.raises(TrainingError, match="setup"):
        make_trainer(callbacks=[failing("setup", 1)])


def returning(**methods):
    """Return a callback whose methods return or do what is given."""
    made = type("Odd", (Callback,), {})
    for name, method in methods.items():
        setattr(made, name, lambda self, ctx, method=method: method(ctx))
    return made()


@pytest.mark.parametrize(
    ("moment", "answer", "word"),
    [
        ("compute_loss", lambda ctx: torch.tensor(1.0), "dict"),
        ("compute_loss", lambda ctx: {"a": torch.tensor(1.0)}, "'a' is taken"),
        ("compute_loss", lambda ctx: {"term": 1.0}, "one number"),
        ("compute_loss", lambda ctx: {"term": torch.ones(3)}, "one number"),
        ("on_features", lambda ctx: ctx.features.update(a=ctx.features["a"][:, :2]), "shapes"),
        ("on_features", lambda ctx: ctx.features.pop("a"), "shapes"),
        ("on_features", lambda ctx: ctx.features.update(a=ctx.features["a"][1:]), "keep_rows"),
        ("predict", lambda ctx: torch.zeros(3), "logits"),
        ("on_after_backward", lambda ctx: ctx.gradients("ab"), "Did you mean"),
    ],
)
def test_an_answer_of_the_wrong_shape_is_one_clear_error(make_trainer, moment, answer, word):
    trainer = make_trainer(callbacks=[returning(**{moment: answer})])
    with pytest.raises(TrainingError, match=word) as caught:
        trainer.step(epochs=1)
    assert moment in str(caught.value) and "'Odd'" in str(caught.value)


def test_a_loss_term_that_is_not_finite_names_itself_and_the_last_good_state_is_back(make_trainer):
    calls = []

    def term(ctx):
        calls.append(1)
        return {"penalty": torch.tensor(float("nan") if len(calls) > 6 else 0.1)}

    trainer = make_trainer(callbacks=[returning(compute_loss=term)], batch_size=80, log_every=1)
    with pytest.raises(TrainingError, match="'penalty'.*epoch 2"):
        trainer.fit(progress=False)
    assert trainer.epoch == 2 and all(torch.isfinite(weights(trainer)))


def test_a_state_that_cannot_be_saved_is_refused_by_name(make_trainer):
    class Odd(Callback):
        def state_dict(self):
            return {"open": print}

    with pytest.raises(TrainingError, match=r"'Odd'.*state_dict"):
        make_trainer(callbacks=[Odd()]).step(epochs=1)


# --- services ---------------------------------------------------------------------------------------------------------


def test_services_give_what_they_say(make_trainer, small_data):
    seen = {}

    def look(ctx):
        without = ctx.forward(present=["a"])
        seen["zeroed"] = torch.equal(without["joint"], ctx.model.fuse({**ctx.features, "b": 0 * ctx.features["b"]}))
        seen["sum"] = torch.allclose(sum(ctx.scores("split").values()), ctx.logits["joint"], atol=1e-5)
        gradient = ctx.gradients_of(ctx.losses["a"], "b")
        seen["apart"] = all(g is None for g in gradient)
        seen["groups"] = set(ctx.groups())
        return {}

    trainer = make_trainer(callbacks=[returning(compute_loss=look)], unimodal_epochs=0)
    trainer.step(batches=1)
    assert seen.pop("groups") == {"a", "b", "head:a", "head:b", "joint"} and all(seen.values())


def test_rows_can_be_removed_muted_and_chosen(make_trainer):
    sizes = []

    def drop(ctx):
        ctx.keep_rows(torch.arange(len(ctx.target)) % 2 == 0)
        sizes.append(len(ctx.features["a"]))

    def choose(ctx):
        ctx.set_samples(torch.arange(100), muted={"b": torch.arange(100) < 50})

    trainer = make_trainer(callbacks=[returning(on_features=drop, on_epoch_end=choose)], batch_size=60)
    trainer.step(epochs=1)
    assert sizes == [30] * 4 and 0 < trainer.record.lineage("epoch")[0]["train_accuracy.a"] <= 1
    trainer.step(epochs=1)
    assert sizes[4:] == [30, 20]


def test_muted_rows_have_no_gradient(make_trainer):
    norms = []

    def mute(ctx):
        ctx.muted["b"] = torch.ones(len(ctx.target), dtype=torch.bool)

    def look(ctx):
        norms.append([sum(float(g.norm()) for g in ctx.gradients(name)) for name in ("a", "b")])

    made = returning(on_batch_start=mute, on_after_backward=look)
    trainer = make_trainer(callbacks=[made], unimodal_epochs=0, aux_weight=0.0)
    trainer.step(batches=1)
    assert norms[0][0] > 0 and norms[0][1] == 0


def test_a_trial_leaves_the_run_as_it_was_and_its_losses_fall(make_trainer):
    found = {}

    def try_out(ctx):
        if ctx.epoch == 1:
            found.update(ctx.train_copy(["a"], epochs=2))

    plain, trainer = make_trainer(), make_trainer(callbacks=[returning(on_epoch_end=try_out)])
    for each in (plain, trainer):
        each.step(epochs=3)
    before, after = found["a"]["train"]
    assert after < before and torch.equal(weights(plain), weights(trainer))


def test_an_added_module_is_trained_saved_and_copied(small_data, tmp_path):
    class Side(Callback):
        def setup(self, ctx):
            self._side = ctx.add_module("side", torch.nn.Linear(32, ctx.n_classes))

        def compute_loss(self, ctx):
            return {"side": ctx.loss(self._side(ctx.features["a"].detach()), ctx.target)}

    make = partial(Trainer, data=small_data, epochs=3, unimodal_epochs=0, **QUICK)
    trainer = make(LateFusion.from_data(small_data, seed=0), callbacks=[Side()])
    start = trainer.model.extras["side"].weight.clone()
    trainer.step(epochs=1)
    assert not torch.equal(start, trainer.model.extras["side"].weight)
    resumed = Trainer.load(trainer.save(tmp_path / "run"), small_data, callbacks=[Side()], device="cpu")
    child = trainer.branch()
    for each in (trainer, resumed, child):
        each.fit(progress=False)
    assert torch.equal(weights(resumed), weights(trainer)) and torch.equal(weights(child), weights(trainer))
