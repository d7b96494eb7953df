"""What docs/data.md shows must run, in its order, as written."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "data.md"


def test_every_snippet_of_the_page_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(blocks) >= 7
    names: dict = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    shown = capsys.readouterr().out
    assert "True ()" in shown and "cg-mnist" in shown
    assert names["data"].n_classes == 4 and set(names["alone"]) == {"audio", "image"}
    assert names["binned"].n_classes == 4 and names["padded"].shape == (400, 2, 64) and "two-stage" in shown
    statistics = names["net"][1].running_mean
    names["model"].train()({"audio": names["torch"].zeros(2, 20), "image": names["torch"].ones(2, 1, 12, 12)})
    assert not statistics.any()  # Frozen keeps what a training pass would move
