"""The curves of the chosen runs as a matplotlib figure."""

from mmpid.plots.style import Picture, draw_traces, dress, empty, legend_above
from mmpid.widgets.browser import runs as rn


def picture(chosen: list[rn.Run], quantity: str, output: str, part: str) -> Picture:
    """Draw the curves of the chosen runs: how well they do, and one part of what their encoders know."""
    figure = Picture(figsize=(12, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    panels = (
        (left, rn.curves(chosen, quantity, output), f"How well they do ({output})", rn.CURVES[quantity][1]),
        (right, rn.parts(chosen, part), "What their encoders know", f"{rn.PARTS[part][0]} (bits)"),
    )
    for ax, traces, title, unit in panels:
        dress(ax, title=title, xlabel="epoch", ylabel=unit)
        if any(len(trace.epoch) for trace in traces):
            draw_traces(ax, traces)
            legend_above(ax, columns=3)
        else:
            empty(ax, "No run with this curve yet.")
    return figure
