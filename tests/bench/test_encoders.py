import json

import pytest

from mmpid.bench import encoders


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the 'probe' split holds one group:mmpid.errors.SmallSampleWarning")  # few clips
def test_the_three_ways_to_read_are_compared(tmp_path):
    shown = []
    records = encoders.run(quick=True, json_path=tmp_path / "encoders.json", show=shown.append)
    assert [r["way"] for r in records] == list(encoders.WAYS) == [r["way"] for r in records if r["way"] in shown[0]]
    assert records[2]["share_of_memory_speed"] == 1 and all(r["epoch_seconds"] > 0 for r in records)
    assert records[1]["epoch_seconds"] < records[0]["epoch_seconds"]  # what was decoded is not decoded again
    assert json.loads((tmp_path / "encoders.json").read_text())["records"] == records
