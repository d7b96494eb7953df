"""The background session: one thread, commands between micro-steps, errors kept and raised by wait()."""

import gc
import threading
import time
import weakref

import pytest
import torch

from mmpid.errors import ConfigError, TrainingError
from mmpid.live.registry import pause_all, sessions
from mmpid.live.session import Session
from mmpid.train.engine import Engine
from tests.widgets.fake_trainer import FakeTrainer


@pytest.fixture(autouse=True)
def no_session_is_left():
    yield
    for session in sessions():
        session.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("mmpid-session")]


def test_play_trains_to_the_end_in_one_other_thread():
    session = Session(FakeTrainer(epochs=4))
    assert session.state == "idle"
    session.play()
    assert session.wait(timeout=10)
    assert session.state == "finished"
    assert session.trainer.done == 4
    assert session.trainer.threads == {session._thread.ident}


def test_step_counts_batches_and_epochs():
    session = Session(FakeTrainer(batches=7))
    session.step(batches=3)
    session.wait(timeout=5)
    assert (session.state, session.trainer.total_batches) == ("paused", 3)
    session.step(epochs=2)
    session.wait(timeout=5)
    assert session.trainer.total_batches == 14


def test_quick_clicks_on_step_are_all_counted():
    session = Session(FakeTrainer(seconds=0.01))
    for _ in range(5):
        session.step(batches=1)
    session.wait(timeout=5)
    assert session.trainer.total_batches == 5


def test_an_epoch_step_survives_a_rewind_that_lowers_the_epoch():
    session = Session(FakeTrainer(epochs=40))
    session.step(epochs=25)  # the fake controller rewinds at epoch 20
    session.wait(timeout=5)
    assert session.trainer.done == 25
    assert session.trainer.epoch < 25


def test_to_next_probe_stops_at_the_probe():
    session = Session(FakeTrainer(probe_every=3))
    for probes in (1, 2):
        session.to_next_probe()
        session.wait(timeout=5)
        assert session.trainer.epoch == 3 * probes
        assert len(session.trainer.record.lineage("probe")) == probes


def test_pause_takes_effect_after_one_micro_step():
    session = Session(FakeTrainer(epochs=10_000, seconds=0.02))
    session.play()
    time.sleep(0.1)
    started = time.perf_counter()
    session.pause()
    session.wait(timeout=5)
    assert time.perf_counter() - started < 0.3
    assert session.state == "paused"
    batches = session.trainer.total_batches
    time.sleep(0.1)
    assert session.trainer.total_batches == batches


def test_commands_run_in_the_training_thread_between_steps():
    session = Session(FakeTrainer(epochs=10_000, seconds=0.001))
    session.play()
    seen = []
    session.post(lambda trainer: seen.append(threading.get_ident()))
    session.post(lambda trainer: trainer.pause("audio"), "pause audio")
    session.pause()
    session.wait(timeout=5)
    assert seen == [session._thread.ident]
    assert session.trainer.active == ("image",)


def test_an_impossible_command_is_a_notice_and_training_goes_on():
    session = Session(FakeTrainer(epochs=20))
    session.post(lambda trainer: (trainer.pause("audio"), trainer.pause("image")), "pause image")
    session.wait(timeout=5)
    assert session.state == "idle"
    assert session.notice.startswith("Could not pause image: `modality` 'image' is the last active one")
    session.play()
    session.wait(timeout=5)
    assert session.state == "finished"
    assert session.notice == ""


def test_a_failing_step_is_kept_and_raised_by_wait_with_its_cause():
    session = Session(FakeTrainer(fail_at=12))
    session.play()
    with pytest.raises(TrainingError, match="RuntimeError: the loss became NaN in batch 7") as caught:
        session.wait(timeout=5)
    assert session.state == "failed"
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert "_micro_step" in session.failure.text
    assert session.failure.advice == ""


def test_play_tries_again_after_a_failure():
    session = Session(FakeTrainer(epochs=4, fail_at=12))
    session.play()
    with pytest.raises(TrainingError):
        session.wait(timeout=5)
    session.play()
    session.wait(timeout=5)
    assert (session.state, session.failure) == ("finished", None)


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError])
def test_out_of_memory_comes_with_advice(error):
    session = Session(FakeTrainer(fail_at=1, error=error))
    session.play()
    with pytest.raises(TrainingError, match="batch smaller"):
        session.wait(timeout=5)


def test_a_stored_failure_does_not_keep_the_tensors_of_the_step_alive():
    class Leaky(FakeTrainer):
        def step(self, batches=1):
            big = torch.zeros(10)
            self.seen = weakref.ref(big)
            raise RuntimeError("no")

    session = Session(Leaky())
    session.play()
    with pytest.raises(TrainingError):
        session.wait(timeout=5)
    gc.collect()
    assert session.trainer.seen() is None


def test_system_exit_in_a_step_leaves_a_live_session():
    session = Session(FakeTrainer(fail_at=1, error=SystemExit))
    session.play()
    with pytest.raises(TrainingError, match="SystemExit"):
        session.wait(timeout=5)
    assert session.alive


def test_a_second_session_for_the_same_trainer_takes_over():
    trainer = FakeTrainer(epochs=10_000, seconds=0.001)
    first = Session(trainer)
    first.play()
    second = Session(trainer)
    assert (first.state, first.alive) == ("closed", False)
    assert sessions() == (second,)
    first.play()
    assert "is closed" in first.notice


def test_a_second_session_of_the_same_name_takes_over():
    first = Session(FakeTrainer(epochs=10_000, seconds=0.001), name="demo")
    first.play()
    second = Session(FakeTrainer(), name="demo")
    assert not first.alive
    assert sessions() == (second,)


def test_running_a_cell_again_replaces_its_session_but_two_in_one_cell_live_together():
    first = Session(FakeTrainer(), origin=("cell", 1))
    sibling = Session(FakeTrainer(), origin=("cell", 1))
    elsewhere = Session(FakeTrainer(), origin=("other", 1))
    assert sessions() == (first, sibling, elsewhere)
    again = Session(FakeTrainer(), origin=("cell", 2))
    assert sessions() == (elsewhere, again)


def test_pause_all_pauses_every_session():
    playing = [Session(FakeTrainer(epochs=10_000, seconds=0.001)) for _ in range(2)]
    for session in playing:
        session.play()
    pause_all()
    for session in playing:
        session.wait(timeout=5)
        assert session.state == "paused"


def test_an_interrupted_wait_pauses_and_raises(monkeypatch):
    session = Session(FakeTrainer(epochs=10_000, seconds=0.001))
    session.play()
    condition = session._notifier.transitioned
    real = condition.wait_for
    monkeypatch.setattr(condition, "wait_for", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        session.wait()
    monkeypatch.setattr(condition, "wait_for", real)
    session.wait(timeout=5)
    assert session.state == "paused"


def test_wait_says_when_the_time_is_over():
    session = Session(FakeTrainer(epochs=10_000, seconds=0.001))
    session.play()
    assert not session.wait(timeout=0.05)


def test_a_publisher_can_wait_for_changes():
    session = Session(FakeTrainer())
    version = session.version
    assert session.wait_for_change(version, timeout=0.01) == version
    session.step(batches=1)
    assert session.wait_for_change(version, timeout=5) > version


def test_a_trainer_with_a_record_starts_paused_and_a_finished_one_finished():
    trainer = FakeTrainer(epochs=4)
    trainer.step(epochs=2)
    assert Session(trainer).state == "paused"
    trainer.fit()
    assert Session(trainer).state == "finished"


def test_bad_counts_are_refused_by_name():
    session = Session(FakeTrainer())
    with pytest.raises(ConfigError, match="`batches`"):
        session.step(batches=0)
    with pytest.raises(ConfigError, match="exclude each other"):
        session.step(batches=1, epochs=1)


def test_batches_are_counted_as_they_were_trained(make_trainer):
    """Several batches may be asked for at once, and the run may end within them."""
    trainer = make_trainer(batch_size=40)
    session = Session(trainer)
    session.play()
    session.wait(timeout=60)
    session.close()
    assert session.state == "closed" and trainer.finished
    assert session.batches == trainer.updates == trainer.record.rows[-1]["step"] == 6 * 6


def test_sessions_take_turns_and_none_starves():
    inside, most, goal = [], [], threading.Event()

    class Watched(FakeTrainer):
        def step(self, *, batches=None, epochs=None):
            inside.append(self)
            most.append(len(inside))
            super().step(batches=1)
            inside.remove(self)
            if all(one.total_batches > 50 for one in everyone):
                goal.set()

    everyone = [Watched(epochs=100_000, seconds=0.0005, busy=True) for _ in range(3)]
    for session in [Session(trainer) for trainer in everyone]:
        session.play()
    assert goal.wait(20)
    assert max(most) == 1


def test_a_run_has_the_same_numbers_beside_another_as_alone(make_trainer):
    alone = make_trainer(epochs=3, seed=1)
    alone.fit(progress=False)
    beside = [Session(make_trainer(epochs=3, seed=seed)) for seed in (1, 2)]
    for session in beside:
        session.play()
    assert all(session.wait(60) for session in beside)
    assert beside[0].trainer.record == alone.record


def test_changes_are_told_to_a_listener():
    heard = threading.Event()
    session = Session(FakeTrainer(), on_change=lambda progress: heard.set())
    assert not heard.is_set()
    session.step(batches=1)
    assert heard.wait(5)


def test_a_run_that_ran_out_of_memory_goes_on_with_a_smaller_batch(make_trainer, monkeypatch):
    plain, trainer = Engine.update, make_trainer(batch_size=64)

    def update(self, inputs, *rest):
        if len(next(iter(inputs.values()))) > 32:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(self, inputs, *rest)

    monkeypatch.setattr(Engine, "update", update)
    session = Session(trainer)
    session.play()
    with pytest.raises(TrainingError, match="Make the batch smaller"):
        session.wait(timeout=60)
    session.post(lambda trainer: trainer.set_batch_size(32), "make the batch smaller")
    session.play()
    assert session.wait(timeout=60) and session.state == "finished" and session.failure is None
