"""A timeline as one HTML file that needs nothing else: the figure, its words, and a table of the lanes."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from awaitsee.observe import style
from awaitsee.observe.layout import duration
from awaitsee.observe.observation import Lane

_STYLE = f"""
body {{ margin: 2rem auto; max-width: 62rem; padding: 0 1rem; font: 16px/1.5 system-ui, sans-serif;
       color: {style.INK}; background: #fff; }}
figure {{ margin: 0 0 1.5rem; }}
figure svg {{ width: 100%; height: auto; }}
figcaption {{ white-space: pre-wrap; color: {style.SOFT}; }}
table {{ border-collapse: collapse; font-size: 14px; font-variant-numeric: tabular-nums; }}
caption {{ text-align: left; font-weight: bold; padding-bottom: .4rem; }}
th, td {{ text-align: left; vertical-align: top; padding: .1rem .9rem .1rem 0; border-bottom: 1px solid {style.GRID}; }}
td.n {{ text-align: right; }}
"""


def write(title: str, text: str, svg: str, lanes: Sequence[tuple[str, Lane]]) -> str:
    """Write the page; `lanes` are pairs of a run's label, or an empty string, and a lane."""
    table = _table(lanes) if lanes else ""
    # What comes before the svg element is the declaration of a separate document.
    picture = svg[svg.index("<svg") :].replace("<svg", f'<svg role="img" aria-label="{escape(text)}"', 1)
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{escape(title or "Timeline")}</title>
<style>{_STYLE}</style>
</head>
<body>
<figure>
{picture}
<figcaption>{escape(text)}</figcaption>
</figure>
{table}
</body>
</html>
"""


def _table(lanes: Sequence[tuple[str, Lane]]) -> str:
    labelled = any(label for label, _ in lanes)
    heads = ["run"] * labelled + ["lane", "kind", "started (s)", "ended (s)", "ran", "steps", "requests", "outcome"]
    rows = "\n".join(f"<tr>{_cells(label, lane, labelled)}</tr>" for label, lane in lanes)
    return f"""<table>
<caption>Lanes</caption>
<thead><tr>{"".join(f"<th scope='col'>{head}</th>" for head in heads)}</tr></thead>
<tbody>
{rows}
</tbody>
</table>"""


def _cells(label: str, lane: Lane, labelled: bool) -> str:
    first = f"<td>{escape(label)}</td>" if labelled else ""
    busy = duration(sum(step.end - step.start for step in lane.running))
    return (
        f'{first}<td style="padding-left:{lane.depth}em">{escape(lane.name)}</td><td>{lane.kind}</td>'
        f'<td class="n">{_moment(lane.started)}</td><td class="n">{_moment(lane.finished)}</td>'
        f'<td class="n">{busy}</td><td class="n">{len(lane.running)}</td><td class="n">{len(lane.requests)}</td>'
        f"<td>{lane.outcome}</td>"
    )


def _moment(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.3f}"
