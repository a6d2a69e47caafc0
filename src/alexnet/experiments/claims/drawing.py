"""Pictures of what claims found. Needs matplotlib (extra: plot)."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from alexnet.experiments.claims.finding import Effect
from alexnet.pictures import RIGHT, WRONG, new_figure, save_figure

_COLOURS = {"as published": RIGHT, "opposite": WRONG, "cannot tell": "grey"}


def draw_effects(effects: Sequence[Effect], path: Path) -> None:
    """Every effect as a point with its interval, and what was published as a diamond.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(8, 1.2 + 0.45 * len(effects))
    axes = figure.subplots()
    for place, effect in enumerate(effects):
        color = _COLOURS[effect.verdict]
        if effect.low is not None and effect.high is not None:
            axes.plot([effect.low, effect.high], [place, place], "-", color=color, linewidth=2)
        axes.plot([effect.value], [place], "o", color=color)
        if effect.published is not None:
            axes.plot([effect.published], [place], "D", color="black", markerfacecolor="none")
    axes.axvline(effects[0].neutral, color="grey", linewidth=1, linestyle="--")
    axes.set_yticks(range(len(effects)), [effect.what for effect in effects])
    axes.set(xlabel=f"{effects[0].unit} (dot, line: ours, 95 %; diamond: published)", ylim=(len(effects) - 0.5, -0.5))
    axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def draw_lines(
    lines: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    path: Path,
    *,
    labels: tuple[str, str],
    level: float | None = None,
) -> None:
    """Curves by name, each (x, y); `labels` are the axes', `level` a dashed horizontal line.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    figure = new_figure(8, 4)
    axes = figure.subplots()
    for name, (x, y) in lines.items():
        axes.plot(x, y, "-", label=name)
    if level is not None:
        axes.axhline(level, color="grey", linewidth=1, linestyle="--")
    axes.set(xlabel=labels[0], ylabel=labels[1])
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)
