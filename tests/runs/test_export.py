import os
import sys

import pytest

from mmpid import RunRecord
from mmpid.errors import InputError, MissingDependencyError
from mmpid.runs.export import to_mlflow, to_tensorboard


@pytest.fixture
def record(make_trainer):
    """Return the record of a run that rewound, so that one future was discarded."""
    trainer = make_trainer(log_every=2, batch_size=40)
    trainer.step(epochs=2)
    trainer.rewind(to=1)
    trainer.fit(progress=False)
    return trainer.record


def curves(record):
    """Return {tag: [(epoch or step, value)]} as it should be read back."""
    table = {}
    for row in record.lineage():
        at = row["step"] if row["kind"] == "batch" else row["epoch"]
        for key, value in row.items():
            numeric = isinstance(value, int | float) and value == value
            if row["kind"] != "decision" and key not in ("segment", "epoch", "step") and numeric:
                table.setdefault(f"{row['kind']}/{key}", []).append((at, pytest.approx(float(value), rel=1e-6)))
    return table


def test_tensorboard_reads_back_what_was_recorded(record, tmp_path):
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(to_tensorboard(record, tmp_path / "run")), size_guidance={"scalars": 0, "tensors": 0})
    read.Reload()
    expected = curves(record)
    assert sorted(read.Tags()["scalars"]) == sorted(expected)
    for tag, values in expected.items():
        assert [(event.step, event.value) for event in read.Scalars(tag)] == values
    decisions = [event.tensor_proto.string_val[0].decode() for event in read.Tensors("decisions/text_summary")]
    made = record.lineage("decision")
    assert len(decisions) == len(made)
    assert all(row["reason"] in text and row["action"] in text for row, text in zip(made, decisions, strict=True))
    assert (
        record.metadata["data"]["fingerprint"]
        in read.Tensors("metadata/text_summary")[0].tensor_proto.string_val[0].decode()
    )
    times = [event.wall_time for event in read.Scalars("epoch/loss.a")]
    assert times == sorted(times)
    with pytest.raises(InputError, match="must not hold event files yet"):
        to_tensorboard(record, tmp_path / "run")


def test_mlflow_reads_back_what_was_recorded(record, tmp_path, monkeypatch):
    pytest.importorskip("mlflow")
    before = dict(os.environ)
    run = to_mlflow(record, tmp_path / "runs", experiment="tests", run_name="first")
    assert dict(os.environ) == before
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=(tmp_path / "runs").as_uri())
    read = client.get_run(run)
    assert read.info.run_name == "first" and read.info.status == "FINISHED"
    assert read.data.params["seed"] == "0" and read.data.params["settings.epochs"] == "6"
    assert read.data.params["data.fingerprint"] == record.metadata["data"]["fingerprint"]
    expected = curves(record)
    assert sorted(read.data.metrics) == sorted(expected)
    for tag in ("epoch/loss.a", "epoch/active.b", "probe/unique1", "batch/loss.b", "result/test_accuracy.ens"):
        history = sorted((metric.step, metric.value) for metric in client.get_metric_history(run, tag))
        assert history == expected[tag]
    files = {name: client.download_artifacts(run, name, str(tmp_path)) for name in ("decisions.md", "record.jsonl")}
    assert RunRecord.load(files["record.jsonl"]) == record
    with open(files["decisions.md"]) as text:
        assert sum(1 for _ in text) == len(record.lineage("decision"))
    second = to_mlflow(record, tmp_path / "runs", experiment="tests")
    assert client.get_run(second).info.experiment_id == read.info.experiment_id


@pytest.mark.parametrize(("export", "package"), [(to_tensorboard, "tensorboard"), (to_mlflow, "mlflow")])
def test_a_missing_package_is_named_with_its_extra(export, package, tmp_path, monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=rf"needs {package}.*pip install 'mmpid\[tracking\]'"):
        export(RunRecord({}), tmp_path)
