"""Labels: names beside points of a plot, where they cover as little as can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from banditd_sim.ope.arrays import Float64

# Where a name may stand, in points from its mark, the preferred place first: the alignment is that of the text.
_PLACES: Final = tuple(
    (x * reach, y * reach, align)
    for reach in (1.0, 1.8)
    for x, y, align in (
        (6, -11, "left"),
        (-6, -11, "right"),
        (6, 4, "left"),
        (-6, 4, "right"),
        (9, -3, "left"),
        (-9, -3, "right"),
        (0, -15, "center"),
        (0, 8, "center"),
    )
)
_FONT_SIZE: Final = 8
# Half of a mark, in points.
_MARK: Final = 4.0


@dataclass(slots=True)
class Obstacles:
    """What names should not cover, in the plot's own coordinates.

    Attributes:
        marks: Points.
        bars: Vertical lines: x, low, high.
        lines: Curves, each (n, 2); covering a line is better than covering a mark.
    """

    marks: list[tuple[float, float]] = field(default_factory=list)
    bars: list[tuple[float, float, float]] = field(default_factory=list)
    lines: list[Float64] = field(default_factory=list)


def name_points(axes: Any, names: Sequence[tuple[float, float, str]], obstacles: Obstacles) -> None:
    """Write names beside their points, one after another, each where it covers least.

    Args:
        axes: Of a finished plot: limits and scales may not change afterwards.
        names: x, y and text, in the plot's own coordinates.
        obstacles: What else is in the plot.
    """
    figure = axes.get_figure()
    figure.draw_without_rendering()  # lays it out, so that places are known in pixels
    pixel = figure.dpi / 72.0
    on_screen = axes.transData.transform
    boxes = [_box(on_screen(mark), _MARK * pixel) for mark in obstacles.marks]
    for x, low, high in obstacles.bars:
        (left, bottom), (_, top) = on_screen((x, low)), on_screen((x, high))
        boxes.append((left - pixel, bottom, left + pixel, top))
    points = np.concatenate([on_screen(line) for line in obstacles.lines]) if obstacles.lines else np.zeros((0, 2))
    inside = axes.get_window_extent().extents
    for x, y, text in names:
        at = on_screen((x, y))
        drawn = axes.annotate(
            text,
            (x, y),
            xytext=(0, 0),
            textcoords="offset points",
            fontsize=_FONT_SIZE,
            color="#333333",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.4},
        )
        extent = drawn.get_window_extent()
        candidates = [_text_box(at, place, extent.width, extent.height, pixel) for place in _PLACES]
        best = int(np.argmin([_covered(box, boxes, points, inside) for box in candidates]))
        dx, dy, align = _PLACES[best]
        drawn.set_position((dx, dy))
        drawn.set_horizontalalignment(align)
        boxes.append(candidates[best])


_Box = tuple[float, float, float, float]


def _box(at: Float64, half: float) -> _Box:
    x, y = at.tolist()
    return x - half, y - half, x + half, y + half


def _text_box(at: Float64, place: tuple[float, float, str], width: float, height: float, pixel: float) -> _Box:
    """Return left, bottom, right, top of a text of that size in pixels."""
    x, bottom = float(at[0]) + place[0] * pixel, float(at[1]) + place[1] * pixel
    left = x - {"left": 0.0, "center": 0.5, "right": 1.0}[place[2]] * width
    return left, bottom, left + width, bottom + height


def _covered(box: _Box, boxes: Sequence[_Box], points: Float64, inside: Float64) -> float:
    """Return how much a text covers, in its own areas: marks and names count most, outside of the plot as much."""
    left, bottom, right, top = box
    area = (right - left) * (top - bottom)
    hidden = sum(_shared(box, other) / min(area, _area(other)) for other in boxes)
    outside = 1.0 - _shared(box, (inside[0], inside[1], inside[2], inside[3])) / area
    x, y = points[:, 0], points[:, 1]
    crossed = bool(((left <= x) & (x <= right) & (bottom <= y) & (y <= top)).any())
    return 4.0 * hidden + 10.0 * outside + crossed


def _area(box: _Box) -> float:
    return max((box[2] - box[0]) * (box[3] - box[1]), 1e-9)


def _shared(one: _Box, other: _Box) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(width, 0.0) * max(height, 0.0)
