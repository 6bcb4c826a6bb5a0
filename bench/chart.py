"""Charts of ``make bench`` as SVG; each figure in them is also in the table beside them."""

from __future__ import annotations

from pathlib import Path

import pygal
from pygal.style import CleanStyle

from bench.figures import Figures

# Without pygal's script, which would be fetched from another host: a picture in a document must request nothing.
# White behind it, so that it is read on a dark page too.
STYLE = CleanStyle(font_family="sans-serif", background="#ffffff", plot_background="#f4f4f4")
PLAIN = {"js": [], "style": STYLE, "width": 800, "height": 440, "show_dots": True}
GROWTH, COMPARED = "cost-growth.svg", "bridge-and-naive.svg"


def draw(figures: Figures, folder: Path) -> list[Path]:
    """Both pictures; returns where they are."""
    folder.mkdir(parents=True, exist_ok=True)
    drawn = {GROWTH: _growth(figures), COMPARED: _compared(figures)}
    for name, chart in drawn.items():
        (folder / name).write_text(chart.render(is_unicode=True), "utf-8")
    return [folder / name for name in drawn]


def _growth(figures: Figures) -> pygal.Line:
    first = figures.storms[0]
    chart = pygal.Line(
        title=f"Cost of N events, in times the cost of {first.events:,} (both axes logarithmic)",
        logarithmic=True,
        **PLAIN,
    )
    chart.x_labels = [f"{storm.events:,} events" for storm in figures.storms]
    chart.add("linear", [storm.events / first.events for storm in figures.storms], stroke_style={"dasharray": "6, 4"})
    chart.add("requests", [storm.requests / first.requests for storm in figures.storms])
    chart.add("time", [storm.seconds / first.seconds for storm in figures.storms])
    chart.add("memory", [storm.memory / first.memory for storm in figures.storms])
    return chart


def _compared(figures: Figures) -> pygal.Bar:
    chart = pygal.Bar(title="Requests to amoCRM for N stage hooks (logarithmic)", logarithmic=True, **PLAIN)
    chart.x_labels = [f"{storm.events:,} hooks" for storm in figures.storms]
    chart.add("one request per effect", [figures.naive.requests_for(storm.events) for storm in figures.storms])
    chart.add("amo-bridge", [storm.requests for storm in figures.storms])
    return chart
