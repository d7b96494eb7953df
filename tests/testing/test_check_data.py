import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

import mmpid
from mmpid import MultimodalData
from mmpid.cli import main
from mmpid.datasets.cuts import SPLITS
from mmpid.errors import ConfigError, InputError, LeakageWarning, ScaleWarning
from mmpid.testing import CheckReport, Finding, check_data

N = 600
Y = np.arange(N) % 3
RNG = np.random.default_rng(0)
A, B = RNG.normal(size=(N, 4)), RNG.normal(size=(N, 5))


def build(a=A, b=B, y=Y, **options):
    return MultimodalData.from_arrays({"a": a, "b": b}, y, **options)


def verdicts(report):
    return {finding.check: finding.verdict for finding in report}


def test_sound_data_have_no_finding():
    report = check_data(build())
    assert report.ok and not report.of("breaks")
    assert {"modalities", "classes", "sizes", "probe", "groups", "a, scale", "b, scale", "copies"} <= set(
        verdicts(report)
    )
    frame = report.to_frame()
    assert list(frame.columns) == ["check", "verdict", "found", "advice"] and len(frame) == len(report)
    assert "all fine" in repr(report) or "may mislead" in repr(report)
    assert "<table" in report._repr_html_()


@pytest.mark.parametrize("name", ["av-digits", "watch", "av-match"])
def test_built_in_data_do_not_break(name):
    assert check_data(mmpid.datasets.load(name)).ok


def test_arrays_that_are_refused_break_and_warnings_are_findings():
    broken = check_data({"a": A, "b": B * np.nan}, Y)
    assert not broken.ok and "`inputs['b']`" in repr(broken)
    large = check_data({"a": A, "b": B * 1e4}, Y)
    assert verdicts(large)["opening"] == "warning" and verdicts(large)["b, scale"] == "warning"
    assert "standardize={'b': True}" in repr(large)
    assert verdicts(check_data({"a": A, "b": B * 1e4}, Y, standardize=True))["b, scale"] == "fine"


def test_what_is_no_data_is_refused():
    with pytest.raises(InputError, match="`data`"):
        check_data([1, 2])
    with pytest.raises(ConfigError, match="verdict"):
        Finding("x", "good", "y")


def test_scale_of_data_that_were_opened_anyway():
    with pytest.warns(ScaleWarning):
        data = build(b=(B * 100).astype(np.float32))
    assert verdicts(check_data(data))["b, scale"] == "warning"


def test_groups_in_two_splits_break_and_few_are_said():
    split = np.array(SPLITS)[np.arange(N) % 10 // 3]
    with pytest.warns(LeakageWarning):
        data = build(split=split, groups=np.arange(N) // 20)
    assert verdicts(check_data(data))["groups"] == "breaks"
    few = check_data(build(groups=np.arange(N) // 30))
    assert verdicts(few)["groups, number"] == "warning" and few.ok


def test_copies_break_and_shared_parts_are_said():
    a, b = A.copy(), B.copy()
    a[N // 2 :], b[N // 2 :] = a[: N // 2], b[: N // 2]
    with pytest.warns(LeakageWarning):
        data = build(a, b)
    assert verdicts(check_data(data))["copies"] == "breaks"
    shared = check_data(build(a=a))
    assert verdicts(shared)["copies"] == "warning" and "groups=" in repr(shared)


def test_a_modality_made_from_the_label_is_named():
    card = RNG.integers(0, 2, size=(3, 7))[Y] + np.arange(3)[Y][:, None]
    report = check_data(build(a=card.astype(float)))
    assert verdicts(report)["a, leakage"] == "warning" and "the answer, not a measurement" in repr(report)
    coarse = check_data(build(a=RNG.integers(0, 2, size=(N, 4)).astype(float)))
    assert "a, leakage" not in verdicts(coarse)


def test_neighbors_in_time_are_noticed_unless_they_are_grouped():
    walk = np.cumsum(RNG.normal(size=(N, 4)), axis=0)
    walk = (walk - walk.mean(0)) / walk.std(0)
    y = np.arange(N) // 50 % 3
    report = check_data(build(a=walk, y=y))
    assert verdicts(report)["a, neighbors"] == "warning" and "b, neighbors" not in verdicts(report)
    grouped = check_data(build(a=walk, y=y, groups=np.arange(N) // 25))
    assert "a, neighbors" not in verdicts(grouped)


def test_rare_and_absent_classes_and_small_splits_are_said():
    y = np.where(np.arange(N) < 20, 0, 1 + np.arange(N) % 2)
    report = check_data(build(y=y))
    assert verdicts(report)["classes"] == "warning" and "balanced" in repr(report)
    index = {
        "train": np.arange(400),
        "probe": np.arange(400, 450),
        "validation": np.arange(450, 460),
        "test": np.arange(460, 500),
    }
    index["test"] = index["test"][Y[index["test"]] > 0]
    absent = check_data(build(split=index))
    assert verdicts(absent)["classes, test"] == "warning" and verdicts(absent)["sizes"] == "warning"


def test_more_modalities_than_a_trainer_takes_break():
    data = MultimodalData.from_arrays({f"m{i}": RNG.normal(size=(N, 2)) for i in range(7)}, Y)
    assert verdicts(check_data(data))["modalities"] == "breaks"


class Drifting(torch.utils.data.Dataset):
    """A data set with a state: the same item differs when it is read again."""

    reads = 0

    def __len__(self):
        return N

    def __getitem__(self, i):
        self.reads += 1
        return {"a": torch.as_tensor(A[i]) + 1e-3 * self.reads, "b": torch.as_tensor(B[i])}, int(Y[i])


def test_streamed_data_are_read_twice():
    fine = [({"a": torch.as_tensor(a), "b": torch.as_tensor(b)}, int(y)) for a, b, y in zip(A, B, Y, strict=True)]
    report = check_data(MultimodalData.from_loaders(DataLoader(fine), in_memory=False))
    assert verdicts(report)["repeats"] == "fine" and report.ok
    drifting = check_data(MultimodalData.from_loaders(DataLoader(Drifting()), in_memory=False))
    assert verdicts(drifting)["repeats"] == "breaks"


def test_a_sample_that_cannot_be_read_breaks():
    spoiled = [({"a": torch.as_tensor(a), "b": torch.as_tensor(b)}, int(y)) for a, b, y in zip(A, B, Y, strict=True)]
    data = MultimodalData.from_loaders(DataLoader(spoiled), in_memory=False)
    for item, _ in spoiled:
        item["a"] = torch.full((4,), torch.nan)
    assert verdicts(check_data(data))["reading"] == "breaks"


def save(folder, **arrays):
    folder.mkdir(parents=True, exist_ok=True)
    for name, array in arrays.items():
        np.save(folder / f"{name}.npy", array)
    return folder


def test_inspect_checks_the_data_of_a_folder(tmp_path, capsys):
    fine = save(tmp_path / "fine", audio=A, image=B, labels=Y)
    assert main(["data", "inspect", str(fine)]) == 0
    shown = capsys.readouterr().out
    assert "audio, scale" in shown and "mmpid.datasets.read(" in shown
    assert main(["data", "inspect", str(save(tmp_path / "nan", audio=A * np.nan, image=B, labels=Y))]) == 1
    assert "cannot be opened" in capsys.readouterr().out
    assert main(["data", "inspect", str(save(tmp_path / "large", audio=A * 1e4, image=B, labels=Y))]) == 0
    assert "standardize={'audio': True}" in capsys.readouterr().out


def test_a_report_is_a_table():
    report = CheckReport("mine", (Finding("one", "fine", "<b>"), Finding("two", "breaks", "bad", "Do this.")))
    assert not report.ok and len(report) == 2 and "&lt;b&gt;" in report._repr_html_()
    assert [finding.check for finding in report.of("breaks")] == ["two"] and "1 would break" in repr(report)
