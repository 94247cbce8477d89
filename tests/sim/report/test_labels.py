"""Names beside points: none covers a mark, an error bar or another name where there is room beside it."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from banditd_sim.report.labels import Obstacles, name_points


def placed(names, obstacles):
    """Return axes with the names in place, and their boxes in pixels."""
    figure = Figure(figsize=(6.0, 4.0), layout="constrained")
    axes = figure.subplots()
    axes.set_xlim(0.0, 1.0)
    axes.set_ylim(0.0, 1.0)
    name_points(axes, names, obstacles)
    return axes, [text.get_window_extent() for text in axes.texts]


def covers(box, at, half=4.0):
    """Whether a box reaches a mark at pixels *at*."""
    return box.x0 < at[0] + half and box.x1 > at[0] - half and box.y0 < at[1] + half and box.y1 > at[1] - half


@pytest.mark.parametrize("beside", [(0.02, -0.03), (-0.02, -0.03), (0.03, 0.03), (0.05, 0.0), (0.0, -0.05)])
def test_a_name_gives_way_to_a_mark_close_by(beside):
    """Wherever the other mark stands."""
    own, other = (0.5, 0.5), (0.5 + beside[0], 0.5 + beside[1])
    axes, (box,) = placed([(*own, "model")], Obstacles(marks=[own, other]))
    for mark in (own, other):
        assert not covers(box, axes.transData.transform(mark))


def test_names_of_points_close_by_do_not_cover_one_another():
    """Four models in one spot."""
    points = [(0.5, 0.5), (0.51, 0.51), (0.49, 0.5), (0.5, 0.49)]
    _, boxes = placed([(*point, f"model-{k}") for k, point in enumerate(points)], Obstacles(marks=points))
    for i, one in enumerate(boxes):
        assert not any(one.overlaps(other) for other in boxes[:i])


def test_a_name_stays_in_the_picture_and_off_an_error_bar():
    """At the right edge it stands to the left; a bar there sends it above or below."""
    axes, (box,) = placed([(0.98, 0.5, "the-dearest-of-all")], Obstacles(marks=[(0.98, 0.5)], bars=[(0.9, 0.47, 0.53)]))
    assert box.x1 <= axes.get_window_extent().x1
    top, bottom = (axes.transData.transform((0.9, y))[1] for y in (0.53, 0.47))
    assert box.y0 >= top or box.y1 <= bottom


def test_a_name_avoids_a_line():
    """If that costs nothing."""
    line = np.column_stack([np.linspace(0.5, 1.0, 50), np.linspace(0.5, 0.42, 50)])
    axes, (box,) = placed([(0.5, 0.5, "model")], Obstacles(marks=[(0.5, 0.5)], lines=[line]))
    assert not any(box.contains(*point) for point in axes.transData.transform(line))
