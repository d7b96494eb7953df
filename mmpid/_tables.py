"""Small text and HTML tables for the reprs of results: plain strings in, plain strings out."""

from collections.abc import Iterable, Sequence
from html import escape

_CELL = "padding:2px 10px;text-align:{}"


def format_number(value: float, digits: int = 4) -> str:
    """Return a fixed-point string, or one in powers of ten where fixed point would show only zeros."""
    value = float(value)
    if value != value:
        return "nan"
    if value != 0 and (abs(value) < 0.5 * 10**-digits or abs(value) >= 1e6):
        return f"{value:.1e}"
    return f"{value:.{digits}f}"


def text_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return an aligned text table: the first column to the left, all others to the right."""
    lines = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]

    def aligned(line):
        first, *others = line
        cells = [first.ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(others, widths[1:], strict=True))]
        return "  ".join(cells).rstrip()

    rule = "  ".join("-" * width for width in widths)
    return "\n".join([aligned(lines[0]), rule, *(aligned(line) for line in lines[1:])])


def html_table(header: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Return an HTML table that needs no style sheet; every cell is escaped."""

    def line(cells, tag):
        aligns = ["left", *["right"] * (len(cells) - 1)]
        inner = "".join(
            f'<{tag} style="{_CELL.format(align)}">{escape(str(cell))}</{tag}>'
            for cell, align in zip(cells, aligns, strict=True)
        )
        return f"<tr>{inner}</tr>"

    title = f'<caption style="caption-side:top;text-align:left">{escape(caption)}</caption>' if caption else ""
    body = "".join(line(row, "td") for row in rows)
    return f"<table>{title}<thead>{line(header, 'th')}</thead><tbody>{body}</tbody></table>"
