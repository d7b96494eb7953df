"""Check the language of everything that people read, and print how easy each page is to read.

    python .ci/prose.py            # list phrases that a native reader stumbles over; exit 1 if there are any
    python .ci/prose.py --figures  # words per sentence and share of passive sentences, page by page

The phrases are in `.ci/phrases.txt`: one regular expression per line, then a tab and what to write instead.
"""

import ast
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
SKIPPED = {"build", "dist", "runs", "node_modules"}
IRREGULAR = "built|done|drawn|found|given|held|kept|known|left|made|read|said|seen|sent|set|shown|taken|told|written"
PASSIVE = re.compile(rf"\b(?:is|are|was|were|be|been|being)\s+(?:\w+ly\s+)?(?:\w+ed|{IRREGULAR})\b", re.IGNORECASE)


def pages() -> list[Path]:
    """Return every Markdown page and notebook that a reader meets."""
    paths = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("tutorials/**/*.md")]
    paths += [*ROOT.glob("notebooks/*.ipynb"), *ROOT.glob("tutorials/*.ipynb")]
    inner = {path: path.relative_to(ROOT).parts for path in paths}
    return sorted(p for p, parts in inner.items() if not any(x in SKIPPED or x[0] in "._" for x in parts))


def prose(path: Path) -> str:
    """Return the text of a page without code, tables, pictures and markup."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        cells = json.loads(text)["cells"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    text = re.sub(r"^(```|~~~).*?^\1", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"<!--.*?-->|!\[[^\]]*\]\([^)]*\)|<[^>]+>", "", text, flags=re.DOTALL)
    text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", text)
    lines = [line for line in text.splitlines() if not re.match(r"\s*(\||#|    \S|:::|---)", line)]
    return re.sub(r"^\s*(?:[-*]|\d+\.)\s+", "", "\n".join(lines), flags=re.MULTILINE)


def sentences(text: str) -> list[str]:
    """Split prose at full stops, question marks, colons before a paragraph, and blank lines."""
    parts = re.split(r"(?<=[.!?])\s+(?=[A-Z`*\"(])|\n\s*\n|:\n", text)
    return [part for part in parts if len(re.findall(r"\w+", part)) > 2]


def figures(path: Path) -> tuple[int, float, float]:
    """Return the number of sentences, the mean number of words per sentence, and the share of passive ones."""
    found = sentences(prose(path))
    words = sum(len(re.findall(r"[\w'`.-]+", one)) for one in found)
    return len(found), words / max(len(found), 1), sum(bool(PASSIVE.search(s)) for s in found) / max(len(found), 1)


def strings(path: Path) -> list[tuple[int, str]]:
    """Return every docstring, message and comment of a Python file, with its line."""
    source = path.read_text(encoding="utf-8")
    found = [
        (n, line[line.index("#") :]) for n, line in enumerate(source.splitlines(), 1) if re.search(r"(^|\s)# ", line)
    ]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            found.append((node.lineno, node.value))
    return found


def texts() -> list[tuple[str, str]]:
    """Return (place, text) of everything that is checked."""
    found = [(f"{path.relative_to(ROOT)}", prose(path)) for path in pages()]
    for path in sorted([*ROOT.glob("mmpid/**/*.py"), *ROOT.glob("docs/**/*.py")]):
        found += [(f"{path.relative_to(ROOT)}:{line}", text) for line, text in strings(path)]
    return found


def hidden() -> list[str]:
    """Return one line per line of a page that the site would leave out, since MyST takes a leading % for a comment."""
    return [
        f"{path.relative_to(ROOT)}: {line[:40]!r}: wrap the line before the number that the % belongs to"
        for path in pages()
        for line in prose(path).splitlines()
        if re.match(r"\s*%", line)
    ]


def complaints() -> list[str]:
    """Return one line per phrase of the list that occurs somewhere."""
    lines = (ROOT / ".ci" / "phrases.txt").read_text(encoding="utf-8").splitlines()
    rules = [line.split("\t") for line in lines if line and not line.startswith("#")]
    compiled = [(re.compile(pattern, re.IGNORECASE), advice) for pattern, advice in rules]
    return hidden() + [
        f"{place}: {hit.group(0)!r}: {advice}"
        for place, text in texts()
        for pattern, advice in compiled
        for hit in pattern.finditer(re.sub(r"\s+", " ", text))
    ]


def main() -> int:
    """Print the figures or the complaints."""
    if "--figures" in sys.argv:
        for path in pages():
            count, words, passive = figures(path)
            print(
                f"{str(path.relative_to(ROOT)):62} {count:4} sentences  {words:5.1f} words each  {passive:4.0%} passive"
            )
        return 0
    found = complaints()
    print("\n".join(found) or "No phrase of the list occurs.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
