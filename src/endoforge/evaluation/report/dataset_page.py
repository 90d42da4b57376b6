# SPDX-License-Identifier: Apache-2.0
"""The page about a data set: its frames with their labels, what these say, the camera's paths."""

import math
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from endoforge.evaluation.report.charts import Bar as ShareBar
from endoforge.evaluation.report.charts import Chart, Series, bars, histogram, line_chart
from endoforge.evaluation.report.contact_sheet import contact_sheet, hex_colour
from endoforge.evaluation.report.page import render
from endoforge.evaluation.report.path_plot import Path3D, path_plots
from endoforge.evaluation.report.statistics import LabelStatistics
from endoforge.evaluation.report.translation_view import translation_view
from endoforge.evaluation.report.values import Row, facts_of, rows_of
from endoforge.frames.dataset import Dataset
from endoforge.geometry.cameras import camera_from_dict
from endoforge.geometry.depth import points_from_depth
from endoforge.geometry.poses import invert_pose

_SHEET_FRAMES = 4
_OBJECT_FRAMES = 3
_STATISTICS_FRAMES = 120
_PATHS = 2
_WALL_FRAMES = 24


@dataclass(frozen=True)
class PathFigure:
    """One sequence's path."""

    title: str
    caption: str
    views: tuple[Markup, Markup]


def dataset_page(path: Path) -> str:
    """Build the page's HTML.

    Raises:
        DataError: The data set is damaged; names the shard.
    """
    with closing(Dataset.open(path)) as dataset:
        return _page(dataset, path)


# ---- inside -------------------------------------------------------------------------------------


def _page(dataset: Dataset, path: Path) -> str:
    statistics = LabelStatistics.of(dataset, _STATISTICS_FRAMES)
    manifest = dataset.manifest
    sheet = contact_sheet(dataset, _SHEET_FRAMES, statistics.showing_objects[:_OBJECT_FRAMES])
    return render(
        "dataset.html.j2",
        {
            "title": manifest.name,
            "kind": "Data set",
            "facts": _facts(dataset, path),
            "sheet": sheet,
            "translation": translation_view(dataset),
            "spread": _SHEET_FRAMES,
            "statistics": statistics,
            "charts": _charts(statistics),
            "classes": _class_chart(statistics, dataset),
            "paths": _paths(dataset),
            "provenance": rows_of(manifest.provenance),
            "conventions": rows_of(manifest.conventions),
            "settings": rows_of(manifest.settings),
            "versions": rows_of(manifest.versions),
        },
    )


def _facts(dataset: Dataset, path: Path) -> list[Row]:
    manifest = dataset.manifest
    size = sum(record.bytes for record in dataset.sequences)
    facts: list[tuple[str, Any]] = [
        ("frames", f"{len(dataset):,}"),
        ("sequences", f"{len(dataset.sequences):,}"),
        ("lens", _lens(manifest.camera)),
        ("classes", ", ".join(manifest.labels.values())),
        ("seed", "none" if manifest.seed is None else manifest.seed),
        ("on disk", f"{size / 1e6:,.1f} MB ({size / max(len(dataset), 1) / 1e3:,.0f} kB a frame)"),
        ("licence", manifest.licence),
        ("folder", path.resolve().name),
    ]
    if dataset.missing:
        facts.insert(1, ("still to come", f"{dataset.missing:,} frames; run again to continue"))
    return facts_of(facts)


def _lens(camera: dict[str, Any] | None) -> str:
    if camera is None:
        return "differs from frame to frame"
    lens = camera_from_dict(camera)
    cosines = lens.rays()[..., 2]
    widest = math.degrees(math.acos(max(-1.0, float(np.nanmin(cosines)))))
    return f"{lens.model}, {lens.width} × {lens.height} px, {2 * widest:.0f}° at its widest"


def _charts(statistics: LabelStatistics) -> list[tuple[Markup, str]]:
    """Each chart with its caption."""
    depth = histogram(
        Chart("Histogram of depth", "depth z, mm", "share of pixels, %", log_x=True),
        statistics.depth_edges,
        statistics.depth_counts.tolist(),
    )
    slant = histogram(
        Chart("Histogram of viewing angle", "angle between wall normal and ray, °", "share, %"),
        statistics.angle_edges,
        statistics.angle_counts.tolist(),
    )
    flow = histogram(
        Chart("Histogram of motion", "flow to the next frame, px", "share, %", log_x=True),
        statistics.flow_edges,
        statistics.flow_counts.tolist(),
    )
    light = line_chart(
        Chart("Brightness against depth", "depth z, mm", "mean brightness, 0 to 255", log_x=True),
        [Series("mean", *statistics.brightness_curve())],
    )
    near = f"Depth. Half of the pixels are nearer than {statistics.median_mm:.0f} mm."
    motion = (
        f"Motion between frames. {statistics.occluded:.1%} of the visible points are hidden or out "
        "of the field in the next frame."
    )
    return [
        (depth, near),
        (slant, "How obliquely the wall is seen: 0° is face on, 90° is grazing."),
        (flow, motion),
        (light, "Brightness by depth. The light is at the lens, so it falls off with distance."),
    ]


def _class_chart(statistics: LabelStatistics, dataset: Dataset) -> Markup:
    items = []
    for index, share in statistics.class_shares():
        name = dataset.manifest.labels.get(index, "ignore" if index == 255 else f"class {index}")
        seen = statistics.class_frames.get(index, 0) / statistics.frames
        shown = f"{share:.2%}" if share >= 5e-5 else "under 0.01%"
        text = f"{shown}, in {seen:.0%} of frames"
        items.append(ShareBar(name, share, text, hex_colour(index)))
    return bars("Share of pixels of each class", items)


def _paths(dataset: Dataset) -> list[PathFigure]:
    """Paths of the first and the last sequence."""
    numbers = sorted({0, len(dataset.sequences) - 1})[:_PATHS]
    return [_path(dataset, number) for number in numbers]


def _path(dataset: Dataset, shard: int) -> PathFigure:
    record = dataset.sequences[shard]
    first = sum(r.frames for r in dataset.sequences[:shard])
    wanted = np.unique(np.linspace(0, record.frames - 1, _WALL_FRAMES).round().astype(int))
    poses, wall = [], []
    for position in range(record.frames):
        if position in wanted:
            frame = dataset.frame(first + position)
            poses.append(frame.camera_from_world)
            wall.append(_wall_points(frame))
        else:
            poses.append(dataset.shard(shard).facts(position)["camera_from_world"])
    path = Path3D.from_poses(np.stack(poses), np.concatenate(wall))
    title = f"Sequence {record.sequence}"
    caption = (
        f"{record.frames} frames over {path.length_mm:.0f} mm. Grey dots are wall points from the "
        "depth images, placed by the poses."
    )
    return PathFigure(title, caption, path_plots(path, f"Camera path of {title.lower()}"))


def _wall_points(frame: Any) -> np.ndarray:
    """Some of a frame's wall points in world coordinates, mm."""
    step = max(1, round(math.sqrt(frame.depth_mm.size / 600)))
    depth = frame.depth_mm[::step, ::step].astype(np.float64)
    points = points_from_depth(depth, frame.camera.rays()[::step, ::step]).reshape(-1, 3)
    points = points[np.isfinite(points).all(axis=-1)]
    world_from_camera = invert_pose(frame.camera_from_world)
    placed: np.ndarray = points @ world_from_camera[:3, :3].T + world_from_camera[:3, 3]
    return placed
