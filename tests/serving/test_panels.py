# SPDX-License-Identifier: Apache-2.0
import numpy as np
import pytest

from endoforge.frames.colour import DEPTH_SCALE, UNKNOWN
from endoforge.serving.panels import Caption, Layout, side_by_side
from frames.media.samples import tissue


@pytest.mark.parametrize("size", [(96, 72), (72, 96), (1280, 720), (33, 517), (1, 1)])
def test_panels_keep_the_picture_s_shape_and_lie_on_an_even_canvas(size):
    layout = Layout.fitting(*size, 320)
    left, right = layout.boxes(*size)
    assert layout.canvas_width % 2 == layout.canvas_height % 2 == 0
    assert left[0] + left[2] <= right[0]
    assert right[0] + right[2] <= layout.canvas_width
    assert left[2:] == right[2:]
    if min(size) > 60:
        assert left[2] / left[3] == pytest.approx(size[0] / size[1], rel=0.03)


def test_the_input_and_its_depth_are_drawn_where_the_layout_says():
    image = tissue(320, 240)
    depth = np.full((240, 320), 4.0, np.float32)
    depth[:120] = np.nan
    layout = Layout.fitting(320, 240, 320)
    canvas = side_by_side(image, depth, DEPTH_SCALE, layout, Caption("a <b> é 好"))
    assert canvas.shape == (layout.canvas_height, layout.canvas_width, 3)
    (x, y, w, h), (x2, y2, _, _) = layout.boxes(320, 240)
    assert np.array_equal(canvas[y : y + h, x : x + w], image)
    assert tuple(canvas[y2 + 10, x2 + 10]) == UNKNOWN
    assert canvas[y2 + h - 10, x2 + 10].min() > 150  # near is bright


def test_a_warning_is_written_across_the_depth():
    depth = np.full((240, 320), np.nan, np.float32)
    layout = Layout.fitting(320, 240, 320)
    plain = side_by_side(tissue(320, 240), depth, DEPTH_SCALE, layout, Caption("a"))
    warned = side_by_side(tissue(320, 240), depth, DEPTH_SCALE, layout, Caption("a", "too dark: 3"))
    assert (plain != warned).any(axis=-1).sum() > 300
