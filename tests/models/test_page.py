"""What docs/encoders.md shows must run, in its order, as written."""

import re
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "encoders.md"


def test_every_snippet_of_the_page_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(), flags=re.DOTALL)
    assert len(blocks) >= 4
    names: dict = {}
    for block in blocks:
        exec(compile(block, PAGE.name, "exec"), names)
    shown = capsys.readouterr().out
    assert "{'sound': 16, 'image': 16}" in shown and "mmpid.models.Pool(" in shown and "\n0.0\n" in shown
    assert not names["report"].ok and names["trainer"].epoch == 1
