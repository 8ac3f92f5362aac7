"""A patient's course as a picture or a line of text. matplotlib is imported when a picture is drawn."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from medsim.core.task import Panel, Task

__all__ = ["episode_figure", "episode_line", "episode_picture"]


def episode_figure(measure_names: Sequence[str], history: Sequence[Sequence[float]], task: Task, title: str = "") -> Any:
    """Return a matplotlib figure of an episode's measures over time in hours."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    values = np.asarray(history, dtype=np.float64)
    series: dict[str, npt.NDArray[np.float64]] = {name: values[:, column] for column, name in enumerate(measure_names)}
    hours = np.arange(len(values)) * task.step_h
    panels = task.panels
    figure = Figure(figsize=(8.0, 1.2 + 1.7 * len(panels)), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = np.atleast_1d(figure.subplots(len(panels), 1, sharex=True, height_ratios=[2.0] + [1.0] * (len(panels) - 1)))
    for axis, panel in zip(axes, panels, strict=True):
        draw_panel(axis, panel, series, hours, task.step_h)
    end = task.horizon_steps * task.step_h
    axes[-1].set_xlim(0.0, end if hours[-1] > end / 5.0 else max(1.2 * hours[-1], 5.0 * task.step_h))  # a short course fills its picture
    axes[-1].set_xlabel("hours")
    figure.suptitle(title or f"{task.id}: research simulation, not medical advice", fontsize=10)
    return figure


COLOURS = ("#1b5e8c", "#c2571a", "#3f7d3a", "#7a4a8c")


def draw_panel(axis: Any, panel: Panel, series: Mapping[str, npt.NDArray[np.float64]], hours: npt.NDArray[Any], step_h: float) -> None:
    """Draw one panel."""
    if panel.wanted is not None:
        axis.axhspan(*panel.wanted, color="#3f7d3a", alpha=0.10, linewidth=0)
    for number, (name, label) in enumerate(panel.bars.items()):
        axis.bar(hours[1:] - step_h / 2, series[name][1:], width=max(step_h, 0.15), color=COLOURS[2 - number], label=label)
    for number, (name, label) in enumerate(panel.lines.items()):
        faint = number > 0
        style = {
            "linewidth": 0.9 if faint else 1.8,
            "alpha": 0.7 if faint else 1.0,
            "drawstyle": "steps-pre" if panel.stepped else "default",
        }
        axis.plot(hours, series[name], color=COLOURS[number], label=label, **style)
    if panel.limits is not None:
        axis.set_ylim(*panel.limits)
    else:
        axis.set_ylim(0.0, 1.3 * max(1e-3, *(float(np.max(series[name])) for name in (*panel.lines, *panel.bars))))
    axis.set_ylabel(panel.title, fontsize=9)
    axis.grid(alpha=0.25, linewidth=0.6)
    axis.legend(loc="upper right", fontsize=8, frameon=False, ncols=3)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)


def episode_picture(measure_names: Sequence[str], history: Sequence[Sequence[float]], task: Task) -> npt.NDArray[np.uint8]:
    """Return the picture of an episode, uint8 (height, width, 3)."""
    figure = episode_figure(measure_names, history, task)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def episode_line(measure_names: Sequence[str], history: Sequence[Sequence[float]], step_h: float) -> str:
    """Return the last step of an episode as a line of text."""
    if not history:
        return "no episode has begun"
    numbers = "  ".join(f"{name} {value:.2f}" for name, value in zip(measure_names, history[-1], strict=True))
    return f"{(len(history) - 1) * step_h:6.2f} h  {numbers}"
