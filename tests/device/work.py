"""What a GPU would be given, on the stand-in of `second_device`; run as a script, it names what failed.

In a process of its own: a device once registered stays.
"""

import sys
import tempfile
import traceback
from dataclasses import replace
from pathlib import Path

import torch

torch.set_num_threads(1)
from second_device import NAME, Held, Nothing  # noqa: E402

# tensors made in inference mode cannot take a new version, which the stand-in's in-place operations give them
torch.inference_mode = lambda mode=True: torch.no_grad() if mode else Nothing()

import mmpid  # noqa: E402
import mmpid.ecs  # noqa: E402
import mmpid.studies.seeds as stack  # noqa: E402
import mmpid.theory  # noqa: E402
import mmpid.train.trainer as trainer  # noqa: E402

stack.pick_device = trainer.pick_device = torch.device  # the doors know "cpu" and "cuda" only
SHORT = {"epochs": 3, "unimodal_epochs": 2, "probe_every": 1, "seed": 0, "device": NAME, "n_boot": 8, "n_null": 4}


def joints() -> torch.Tensor:
    table = torch.rand(6, 5, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return table / table.sum((1, 2, 3), keepdim=True)


def sample() -> tuple[torch.Tensor, ...]:
    draw = torch.Generator().manual_seed(0)
    target = torch.randint(0, 4, (600,), generator=draw)
    one, two = torch.randn(2, 600, 8, generator=draw)
    one[:, 0] += target
    two[:, 1] += target
    return one, two, target


def make(name="av-digits", grouped=False, **options) -> mmpid.Trainer:
    data = mmpid.datasets.load(name, seed=0)
    data = replace(data, groups=torch.arange(len(data.target)) // 2) if grouped else data
    built = {key: options.pop(key) for key in ("fusion",) if key in options}
    return mmpid.Trainer(mmpid.LateFusion.from_data(data, seed=0, **built), data, **SHORT | options)


def fit(**options) -> None:
    run = make(**options)
    run.fit(progress=False)
    assert all(isinstance(parameter.data, Held) for parameter in run.model.parameters())
    assert run.record.lineage("result")


def the_stand_in_is_strict():
    there = torch.ones(3, device=NAME)
    slips = [
        lambda: there + torch.ones(3),
        lambda: torch.ones(3)[there > 0],
        lambda: torch.randperm(3, device=NAME, generator=torch.Generator()),
        there.numpy,
    ]
    for slip in slips:
        try:
            slip()
        except (RuntimeError, TypeError):
            continue
        raise AssertionError("a slip between devices went unseen")
    assert (there + 1).cpu().tolist() == [2.0, 2.0, 2.0]


def solver_gives_the_same_answer():
    for settings in ({}, {"method": "fastpid", "max_iter": 5, "tol": 2.0}):  # a stand-in is slow
        here, there = mmpid.decompose(joints(), **settings), mmpid.decompose(joints().to(NAME), **settings)
        assert isinstance(there.synergy, Held)
        assert float((there.synergy.cpu() - here.synergy).abs().max()) < 1e-9
    there.to_frame()


def solver_has_gradients():
    joint = joints().to(NAME).requires_grad_()
    mmpid.decompose(joint).synergy.sum().backward()
    assert isinstance(joint.grad, Held)


def estimates_of_two_and_three_sources():
    one, two, target = (tensor.to(NAME) for tensor in sample())
    for correction in ("permutation", "ami"):
        options = {"correction": correction, "estimator": "counted", "n_boot": 8, "n_null": 8}
        mmpid.estimate_pid(one, two, target, **options).to_frame()
    for discretizer in ("kmeans", "prediction", "soft", "posterior"):
        mmpid.estimate_pid(one, two, target, discretizer=discretizer, n_clusters=4).pointwise()
    mmpid.estimate_pid(one, two, sample()[2], n_null=2, groups=torch.arange(600) // 2)
    mmpid.estimate_pid_multi({"a": one, "b": two, "c": one.flip(0)}, target)


def soft_atoms_have_gradients():
    logits = torch.randn(600, 4).to(NAME).requires_grad_()
    mmpid.soft_pid(logits, logits.detach() + 1, sample()[2].to(NAME)).synergy.backward()
    assert isinstance(logits.grad, Held)


def a_run_of_each_fusion_and_observable():
    for fusion in ("concat", "sum", "film", "gated", "attention"):
        fit(fusion=fusion)
    for observable in ("kmeans", "soft"):
        fit(observable=observable)


def settings_of_a_run():
    fit(class_weight="balanced", optimizer="adamw", stage2="balance")
    make(preset="paper").step(epochs=1)
    fit(name="cg-mnist")
    fit(name="uci-mfeat", grouped=True, probe_samples=100)


def all_proxies():
    make(ecs=mmpid.ecs.available()).step(epochs=1)


def time_travel_and_a_move_between_devices():
    run = make(epochs=5, unimodal_epochs=4)
    run.step(epochs=2)
    run.branch(at=1).step(epochs=1)
    run.switch_to_joint(rewind=True)
    run.step(epochs=1)
    with tempfile.TemporaryDirectory() as folder:
        run.save(Path(folder) / "run")
        for device in (NAME, "cpu"):
            mmpid.Trainer.load(Path(folder) / "run", run.data, device=device).step(epochs=1)


def controls_and_stacked_seeds():
    data, options = mmpid.datasets.load("av-digits", seed=0), {"epochs": 3, "unimodal_epochs": 1, "device": NAME}
    mmpid.compare("av-digits", seeds=[0, 1], progress=False, **options)
    mmpid.train_seeds(data, seeds=[0, 1], **options)


def the_solvable_model():
    mmpid.theory.simulate(4, "two-stage", n_seeds=2, device=NAME)


if __name__ == "__main__":
    for work in (value for value in list(globals().values()) if getattr(value, "__module__", "") == "__main__"):
        if work in (joints, sample, make, fit):
            continue
        try:
            work()
        except Exception:
            traceback.print_exc()
            sys.exit(f"{work.__name__} failed")
        print(work.__name__, flush=True)
