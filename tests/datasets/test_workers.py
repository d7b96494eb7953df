"""Processes that read samples: the same numbers with and without them, one set for a whole run, and none after it."""

import copy
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time

import pytest
import torch
from torch.utils.data import DataLoader, Dataset

from mmpid import LateFusion, MultimodalData, Trainer
from mmpid.datasets import workers as workers_module
from mmpid.errors import InputError, TrainingError
from tests.small_runs import QUICK, weights

pytestmark = pytest.mark.skipif(
    "fork" not in multiprocessing.get_all_start_methods(), reason="starting processes otherwise takes seconds each"
)


class Items(Dataset):
    """Samples of four classes, noisy; notes which process read and fails on the samples in `spoiled`."""

    def __init__(self, log=None, spoiled=()):
        self.log, self.spoiled = log, spoiled
        self.y = torch.arange(160) % 4
        centers = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
        self.x = {name: centers[self.y] * s for name, s in (("a", 1.0), ("b", 0.5))}

    def __len__(self):
        return len(self.y)

    def __getitem__(self, i):
        if self.log is not None:
            with open(self.log, "a") as log:
                log.write(f"{os.getpid()}\n")
        if i in self.spoiled:
            raise OSError(f"sample {i} is on a broken disk")
        return {name: x[i] + torch.randn(6) for name, x in self.x.items()}, int(self.y[i])


@pytest.fixture(autouse=True)
def no_process_is_left_over():
    before = set(multiprocessing.active_children())
    yield
    assert not set(multiprocessing.active_children()) - before


def children():
    return {process.pid for process in multiprocessing.active_children()}


def open_data(n=2, method="fork", **items):
    context = method if n else None
    loader = DataLoader(Items(**items), num_workers=n, multiprocessing_context=context)
    return MultimodalData.from_loaders(loader, target=Items().y, in_memory=False)


def run(data, **settings):
    settings = {"epochs": 4, "unimodal_epochs": 2, "batch_size": 20, **QUICK, **settings}
    return Trainer(LateFusion.from_data(data, seed=0), data, **settings)


def test_one_set_of_processes_reads_a_whole_run_and_ends_with_it(tmp_path):
    log = tmp_path / "log"
    data = open_data(log=log)
    trainer = run(data)
    log.write_text("")
    trainer.step(epochs=2)
    first = children()
    trainer.probe()
    trainer.rewind(to=1)
    trainer.step(batches=1)
    branch = trainer.branch()
    branch.step(batches=3)
    assert len(first) == 2 and children() == first, "kept through epochs, evaluations, a rewind and a branch"
    assert set(map(int, log.read_text().split())) <= first
    trainer.fit(progress=False)
    assert not children()
    branch.fit(progress=False)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_processes_change_no_number(method):
    whole = run(open_data(0))
    whole.fit(progress=False)
    trainer = run(open_data(2, method))
    trainer.fit(progress=False)
    assert torch.equal(weights(trainer), weights(whole)) and trainer.record.content()[1:] == whole.record.content()[1:]


def test_readings_that_interrupt_each_other_give_what_each_gives_alone():
    data, alone = open_data(), open_data(0)
    order = torch.arange(60).split(7)
    expected = [inputs["a"] for inputs, _ in alone.split("train").batches(order)]
    one, two = data.split("train").batches(order), data.split("train").batches(order)
    found = [[], []]
    for turn in (0, 0, 1, 0, 1, 1, 1, 0, 1, 0):
        found[turn].append(next((one, two)[turn])[0]["a"])
    found[0].extend(inputs["a"] for inputs, _ in one)
    found[1].extend(inputs["a"] for inputs, _ in two)
    assert len(children()) == 2
    for parts in found:
        assert all(torch.equal(x, y) for x, y in zip(parts, expected, strict=True))
    data.release_workers()


def test_where_a_start_is_dear_few_samples_are_read_here(tmp_path, monkeypatch):
    data = open_data(method="spawn", log=tmp_path / "log")
    run(data, epochs=2).fit(progress=False)
    assert set((tmp_path / "log").read_text().split()) == {str(os.getpid())}
    monkeypatch.setattr(workers_module, "START_SECONDS", 0.0)

    class Local(Items):
        """Cannot be pickled: its class is not in a module."""

    loader = DataLoader(Local(), num_workers=2, multiprocessing_context="spawn")
    with pytest.raises(InputError, match="'spawn' need a dataset that can be pickled.*num_workers=0"):
        MultimodalData.from_loaders(loader, in_memory=False)


def test_no_process_outlives_an_error_and_the_batch_is_due_again():
    whole = run(open_data(0))
    whole.fit(progress=False)
    trainer = run(open_data())
    trainer.step(batches=1)
    for process in children():
        os.kill(process, signal.SIGINT)  # an interrupt of the notebook reaches them, too
    trainer.step(batches=1)
    for process in children():
        os.kill(process, signal.SIGKILL)
    with pytest.raises(TrainingError, match="a process that reads samples ended.*num_workers"):
        trainer.step(epochs=1)
    assert not children()
    trainer.fit(progress=False)
    assert torch.equal(weights(trainer), weights(whole))


@pytest.mark.parametrize("end", [RuntimeError("killed"), ConnectionResetError(), EOFError(), FileNotFoundError(2, "")])
def test_a_process_that_ends_while_it_hands_over_a_batch_is_named(end, monkeypatch):
    def reading():
        raise end
        yield

    workers, turn = workers_module.Workers(1, None, None), object()
    monkeypatch.setattr(workers, "_reading", reading())
    monkeypatch.setattr(workers, "_turn", turn)
    with pytest.raises(TrainingError, match="a process that reads samples ended: .*num_workers"):
        workers._next(turn, None, [[0]], 0, False)


@pytest.mark.parametrize("in_memory", [True, False])
def test_no_process_outlives_samples_that_cannot_be_read(in_memory):
    with pytest.raises(InputError, match="sample 90 could not be read.*broken disk"):
        MultimodalData.from_loaders(DataLoader(Items(spoiled={90}), num_workers=2), in_memory=in_memory)


def test_closing_a_trainer_ends_its_processes():
    trainer = run(open_data())
    trainer.step(batches=1)
    assert children()
    trainer.close()
    assert not children()


def test_data_with_processes_can_be_copied_and_go_with_a_fork():
    data = open_data()
    one = next(data.split("train").batches(torch.arange(40).split(8)))[0]["a"]
    for other in (copy.deepcopy(data), pickle.loads(pickle.dumps(data))):
        assert torch.equal(next(other.split("train").batches(torch.arange(40).split(8)))[0]["a"], one)
        other.release_workers()
    child = os.fork()
    if not child:
        split = data.split("train")
        same = torch.equal(next(split.batches([torch.arange(8)]))[0]["a"], one)
        os._exit(0 if same else 1)
    assert os.waitpid(child, 0)[1] == 0
    data.release_workers()


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="the system cannot pin a process to a core")
def test_more_processes_than_cores_are_no_matter(recwarn):
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        sound, image = ([x for x in Items().x[name]] for name in "ab")
        data = MultimodalData.from_datasets({"a": sound, "b": image}, target=Items().y, in_memory=False, num_workers=3)
        run(data, epochs=1, unimodal_epochs=1).fit(progress=False)
    finally:
        os.sched_setaffinity(0, cores)
    # from 3.12 on Python itself has something to say about a fork beside threads, to developers alone
    assert not [one for one in recwarn if not issubclass(one.category, DeprecationWarning)]


LEAVES = """
import multiprocessing, os, torch
from mmpid import LateFusion, MultimodalData, Trainer
y = torch.arange(160) % 4
samples = [({"a": torch.randn(6) + k, "b": torch.randn(6) - k}, k) for k in y.tolist()]
loader = torch.utils.data.DataLoader(samples, num_workers=2, multiprocessing_context="fork")
data = MultimodalData.from_loaders(loader, target=y, in_memory=False)
trainer = Trainer(LateFusion.from_data(data), data, epochs=4, n_boot=0, n_null=0, batch_size=20)
trainer.step(batches=2)
print(*[process.pid for process in multiprocessing.active_children()], flush=True)
if KILLED:
    os.kill(os.getpid(), 9)
"""


@pytest.mark.slow
@pytest.mark.parametrize("killed", [False, True])
def test_no_process_outlives_the_interpreter(killed):
    code = LEAVES.replace("KILLED", str(killed))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == (-9 if killed else 0), done.stderr
    found = list(map(int, done.stdout.split()))
    assert len(found) == 2
    give_up = time.monotonic() + 60  # a worker looks every five seconds whether its parent is alive
    while any(os.path.exists(f"/proc/{pid}") for pid in found) and time.monotonic() < give_up:
        time.sleep(0.2)
    assert not any(os.path.exists(f"/proc/{pid}") for pid in found)
