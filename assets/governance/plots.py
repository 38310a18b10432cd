"""Plots for the pages of the data team: a figure as an image inside Markdown, which is how Dagster shows one.

Belongs here: turning figures into Markdown, and the look that all plots share. Does not belong here: what a plot shows.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS: Mapping[str, str] = {
    "landed": "#1f77b4",
    "quarantined": "#d62728",
    "duplicate": "#c7c7c7",
    "grants": "#2ca02c",
    "withdrawals and expiries": "#d62728",
}
"""The same outcome has the same colour on every page."""

_LEVELS = "▁▂▃▄▅▆▇█"


def stacked_bars(title: str, labels: Sequence[str], parts: Mapping[str, Sequence[float]], *, unit: str) -> str:
    """Stacked bars, one a label, as a Markdown image.

    Args:
        title: Said above the plot and, for those who cannot see it, in place of it.
        labels: Below the bars, in order.
        parts: Name of a part -> its height in each bar.
        unit: What is counted, for the axis.

    Returns:
        Markdown of one image; PNG inside.
    """
    from matplotlib.figure import Figure  # 0.3 CPU s, and most processes draw nothing

    figure = Figure(figsize=(9, 3), dpi=90, layout="constrained")
    axes = figure.add_subplot()
    base = [0.0] * len(labels)
    for name, heights in parts.items():
        axes.bar(range(len(labels)), heights, bottom=base, label=name, color=COLOURS.get(name))
        base = [a + b for a, b in zip(base, heights, strict=True)]
    step = max(1, -(-len(labels) // 16))
    axes.set_xticks(range(0, len(labels), step), labels[::step], rotation=30, ha="right", fontsize=8)
    return _image(figure, axes, title, unit)


def lines(title: str, at: Sequence[float], series: Mapping[str, Sequence[float]], *, unit: str) -> str:
    """Lines over numbers, each point marked, as a Markdown image.

    Args:
        title: As for `stacked_bars`.
        at: Numbers below, ascending.
        series: Name of a line -> its height at each number.
        unit: Of the heights, for the axis.

    Returns:
        Markdown of one image; PNG inside.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3), dpi=90, layout="constrained")
    axes = figure.add_subplot()
    for name, heights in series.items():
        axes.plot(at, heights, marker="o", label=name)
    axes.set_xticks(at, [f"{x:g}" for x in at], fontsize=8)
    return _image(figure, axes, title, unit)


def _image(figure: Figure, axes: Axes, title: str, unit: str) -> str:
    axes.set_ylabel(unit)
    axes.set_title(title, fontsize=10, loc="left")
    names = axes.get_legend_handles_labels()[1]
    axes.legend(fontsize=8, frameon=False, ncols=max(1, min(5, len(names))), loc="lower right", bbox_to_anchor=(1, 1))  # never over a bar
    axes.spines[["top", "right"]].set_visible(False)
    target = io.BytesIO()
    figure.savefig(target, format="png")
    return f"![{title}](data:image/png;base64,{base64.b64encode(target.getvalue()).decode()})"


def sparkline(values: Sequence[float]) -> str:
    """Values as one small bar each, scaled to the largest; a dot where there is nothing."""
    top = max(values, default=0)
    return "".join("·" if v <= 0 else _LEVELS[min(len(_LEVELS) - 1, int(v / top * (len(_LEVELS) - 1) + 0.5))] for v in values)
