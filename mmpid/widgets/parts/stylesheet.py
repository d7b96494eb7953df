"""The board's style sheet: JupyterLab's own colors, so that it is readable in light and dark themes."""

from collections.abc import Iterable

import ipywidgets as widgets

_RULES = """
.mmpid-board:not(.mmpid-page) { color: var(--jp-ui-font-color1, #212121); font-size: 13px; padding: 2px 6px 8px 2px;
  max-width: 1500px;
  container-type: inline-size; }
.mmpid-board .widget-html-content, .mmpid-board .jupyter-widgets { color: inherit; }
.mmpid-board .widget-html, .mmpid-board .widget-html-content { height: auto; line-height: 1.45; min-width: 0; }
.mmpid-row { display: flex; flex-flow: row wrap; gap: 2px 4px; align-items: center; overflow: visible; }
.mmpid-board .jupyter-button:focus-visible { outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: 1px; }
.mmpid-charts { display: grid !important; gap: 10px 14px; margin: 4px 0;
  grid-template-columns: repeat(auto-fit, minmax(min(max(400px, 45%), 100%), 1fr)); }
.mmpid-chart { min-height: 330px; position: relative; overflow: hidden; border-radius: 4px;
  border: 1px solid var(--jp-border-color2, #ddd); padding: 6px 6px 0 6px; min-width: 0; }
.mmpid-title { font-weight: 600; font-size: 13px; white-space: nowrap; }
.mmpid-legend { display: flex; flex-wrap: wrap; gap: 0 14px; font-size: 12px; min-height: 20px; }
.mmpid-legend span { white-space: nowrap; }
.mmpid-legend svg { vertical-align: middle; margin-right: 5px; }
.mmpid-empty { position: absolute; left: 20%; right: 20%; top: 52%; justify-content: center; text-align: center;
  pointer-events: none; color: var(--jp-ui-font-color2, #666); }
.mmpid-detail { color: var(--jp-ui-font-color2, #616161); font-size: 12px; }
.mmpid-status { padding: 3px 0; }
.mmpid-failure { border-left: 4px solid var(--jp-error-color1, #d32f2f); padding: 4px 10px; margin: 4px 0; }
.mmpid-failure pre { overflow: auto; max-height: 260px; font-size: 11px; color: inherit; background: none; }
.mmpid-table { border-collapse: collapse; font-size: 12px; margin: 0 0 12px; font-variant-numeric: tabular-nums; }
.mmpid-table caption { text-align: left; font-weight: 600; padding: 4px 0; color: inherit; }
.mmpid-table th, .mmpid-table td { padding: 1px 10px; text-align: right;
  border-bottom: 1px solid var(--jp-border-color2, #ddd); }
.mmpid-tables-row { display: flex; flex-wrap: wrap; align-items: flex-start; gap: 4px 28px; }
.mmpid-says { margin: 0; padding-left: 18px; }
.mmpid-tables { max-height: 320px; overflow: auto; }
.mmpid-fold { min-height: 26px; padding: 2px 8px; border: 1px solid var(--jp-border-color2, #ddd); border-radius: 4px;
  background: none; color: inherit; font: inherit; font-weight: 600; cursor: pointer; }
.mmpid-fold:focus-visible { outline: 2px solid var(--jp-brand-color1, #1976d2); outline-offset: 1px; }
/* a plot is laid out and painted alone: what changes in it moves nothing around it */
.mmpid-plot { display: flex; flex-direction: column; height: 100%; }
.mmpid-plot-host { flex: 1 1 auto; width: 100%; min-height: 0; margin: 0; }
.mmpid-plot-box { position: relative; flex: 1 1 250px; min-height: 200px; contain: strict; outline-offset: -2px; }
.mmpid-plot-box svg { position: absolute; inset: 0; width: 100%; height: 100%; }
.mmpid-plot text { fill: var(--jp-ui-font-color1, #212121); font: 11px var(--jp-ui-font-family, sans-serif); }
.mmpid-plot .axislabel { font-size: 12px; }
.mmpid-plot .rule, .mmpid-plot .grid { fill: none; stroke: var(--jp-border-color2, #ccc); }
.mmpid-plot .grid { opacity: 0.55; }
.mmpid-plot .line, .mmpid-plot .upright, .mmpid-plot .level { stroke-linejoin: round; }
.mmpid-here { stroke: var(--jp-layout-color0, #fff); stroke-width: 1.5; }
.mmpid-tip { position: absolute; max-width: 72%; padding: 3px 7px; border-radius: 3px; font-size: 12px; z-index: 2;
  pointer-events: none; white-space: pre-line; color: var(--jp-ui-font-color1, #212121);
  background: var(--jp-layout-color0, #fff); border: 1px solid var(--jp-border-color1, #bbb); }
.mmpid-tip:empty { display: none; }
[data-jp-theme-light=false] .mmpid-legend svg, [data-jp-theme-light=false] .mmpid-plot .marks {
  filter: brightness(1.35); } /* brighter lines on dark ground */
/* while the live board is there, the static picture under it would only repeat it */
.jp-OutputArea-child:has(.mmpid-board) + .jp-OutputArea-child { display: none; }
"""


def stylesheet() -> widgets.HTML:
    """Return the rules as a widget without size."""
    return widgets.HTML(f"<style>{_RULES}</style>", layout=widgets.Layout(display="none"))


def row(children: Iterable[widgets.Widget]) -> widgets.Box:
    """Return widgets side by side, wrapped to another line if the page is too narrow."""
    box = widgets.Box(list(children))
    box.add_class("mmpid-row")
    return box
