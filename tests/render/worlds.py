# SPDX-License-Identifier: Apache-2.0
"""Small scenes with known geometry, lenses of every kind, and views, for tests of the renderer."""

from dataclasses import dataclass, replace

import numpy as np
import trimesh

from endoforge.geometry.cameras import (
    Camera,
    FisheyeCamera,
    OmnidirectionalCamera,
    PinholeCamera,
)
from endoforge.optics.light import LightSource
from endoforge.optics.sensor import SensorResponse
from endoforge.optics.tissue import Tissue
from endoforge.render.surface import View
from endoforge.scene.records import COLON_LABELS, Centreline, Scene, Surface

#: Tissue that is nothing but Lambert's law with a grey albedo.
CHALK = Tissue(
    albedo=(0.5, 0.5, 0.5),
    coarse_vessels=0.0,
    fine_vessels=0.0,
    mottling=0.0,
    relief=0.0,
    f0=0.0,
    roughness=0.3,
    softness=(0.0, 0.0, 0.0),
    edge_glow=0.0,
    interreflection=0.0,
)

THREE_LIGHTS = (
    LightSource(position_mm=(2.5, 0.0, 0.0), intensity=400.0, mu=1.2),
    LightSource(position_mm=(-2.5, 0.5, 0.0), intensity=300.0, mu=2.0, colour=(1.1, 1.0, 0.8)),
    LightSource(position_mm=(0.0, 2.5, 0.0), intensity=350.0, axis=(0.1, 0.0, 0.99498744)),
)


def lenses(width: int, height: int) -> dict[str, Camera]:
    """One lens of every kind that the package knows."""
    fisheye, pinhole = FisheyeCamera.from_field_of_view, PinholeCamera.from_field_of_view
    focal = width / 1.9
    return {
        "equidistant": fisheye(width, height, 140.0),
        "kannala-brandt": fisheye(width, height, 150.0, (0.02, -0.008, 0.001, 0.0)),
        "off-centre": FisheyeCamera(
            width, height, focal, 1.1 * focal, 0.45 * width, 0.56 * height, max_angle_rad=1.0
        ),
        "omnidirectional": OmnidirectionalCamera.from_field_of_view(width, height, 150.0),
        "round": replace(
            fisheye(width, height, 140.0), content=(0.52 * width, 0.5 * height, 0.45 * width)
        ),
        "octagon": replace(fisheye(width, height, 140.0), corner_cut_px=0.3 * width),
        "pinhole": pinhole(width, height, 80.0),
        "brown-conrady": pinhole(width, height, 90.0, (-0.2, 0.05, 0.001, -0.002, 0.0)),
    }


def scene_of(
    vertices: np.ndarray,
    faces: np.ndarray,
    normals: np.ndarray,
    tissue: Tissue = CHALK,
    face_label: np.ndarray | None = None,
    face_instance: np.ndarray | None = None,
    tint: np.ndarray | None = None,
) -> Scene:
    """A scene of one mesh; labels are 1 and instances 0 unless given."""
    count = len(faces)
    surface = Surface(
        vertices_mm=vertices.astype(np.float32),
        faces=faces.astype(np.int32),
        normals=normals.astype(np.float32),
        tint=np.ones((len(vertices), 3), np.float32) if tint is None else tint,
        face_label=np.ones(count, np.uint8) if face_label is None else face_label,
        face_instance=np.zeros(count, np.uint16) if face_instance is None else face_instance,
    )
    centreline = Centreline(np.array([[0.0, 0, 0], [0, 0, 10]]), np.array([20.0, 20.0]))
    return Scene(surface, (tissue,), COLON_LABELS, centreline)


def plane(distance_mm: float, half_mm: float = 2000.0, tissue: Tissue = CHALK) -> Scene:
    """A wall that faces the origin, square to the z axis."""
    corner = half_mm * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    vertices = np.column_stack([corner, np.full(4, distance_mm)])
    faces = np.array([[0, 2, 1], [0, 3, 2]])
    return scene_of(vertices, faces, np.tile([0.0, 0.0, -1.0], (4, 1)), tissue)


def sphere(radius_mm: float, level: int = 6) -> Scene:
    """A hollow sphere about the origin, seen from inside; facets err by equal amounts both ways."""
    mesh = trimesh.creation.icosphere(subdivisions=level, radius=1.0)
    normals = -np.array(mesh.vertices)
    depths = np.linalg.norm(mesh.triangles_center, axis=1)
    grown = radius_mm * 2 / (1 + depths.mean())
    return scene_of(-normals * grown, mesh.faces[:, ::-1], normals)


def cylinder(radius_mm: float, length_mm: float, around: int = 720) -> Scene:
    """A tube along z, open at both ends, seen from inside."""
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)
    circle = np.stack([np.cos(angle), np.sin(angle)], -1)
    ends = [np.column_stack([radius_mm * circle, np.full(around, z)]) for z in (0, length_mm)]
    a = np.arange(around)
    b = (a + 1) % around
    faces = np.concatenate(
        [np.stack([a, a + around, b], -1), np.stack([b, a + around, b + around], -1)]
    )
    normals = np.tile(np.column_stack([-circle, np.zeros(around)]), (2, 1))
    return scene_of(np.concatenate(ends), faces, normals)


def tube(tissue: Tissue | None = None, rings: int = 44, around: int = 26, seed: int = 0) -> Scene:
    """A short bent tube with folds, tints, labels and two numbered objects."""
    rng = np.random.default_rng(seed)
    way = np.linspace(0, 110, rings)[:, None]
    angle = np.linspace(0, 2 * np.pi, around, endpoint=False)[None]
    fold = np.exp(-((((way / 24) % 1 - 0.5) / 0.12) ** 2))
    radius = (
        18 - 5 * fold * (0.6 + 0.4 * np.cos(3 * angle)) + 0.3 * rng.normal(size=(rings, around))
    )
    bend = np.stack([6 * np.sin(way / 40), 4 * np.sin(way / 30 + 1), way], -1)
    ring = np.stack([np.cos(angle), np.sin(angle), np.zeros_like(angle)], -1)
    vertices = (bend + radius[..., None] * ring).reshape(-1, 3)
    index = np.arange(rings * around).reshape(rings, around)
    a, b = index[:-1], index[1:]
    c, d = np.roll(a, -1, 1), np.roll(b, -1, 1)
    faces = np.concatenate(
        [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([c, b, d], -1).reshape(-1, 3)]
    )
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    label = (1 + (fold[:-1, 0] > 0.4)).repeat(around)
    instance = np.zeros(len(label))
    instance[200:260], instance[700:720] = 1, 300
    return scene_of(
        vertices,
        faces,
        np.array(mesh.vertex_normals),
        tissue or Tissue(),
        np.tile(label, 2).astype(np.uint8),
        np.tile(instance, 2).astype(np.uint16),
        rng.uniform(0.8, 1.1, (len(vertices), 3)).astype(np.float32),
    )


@dataclass(frozen=True, eq=False)
class Sway:
    """A wave that runs along a tube and squeezes it, the more the farther in; the rest stays."""

    surface: Surface
    from_mm: float = 30.0

    @property
    def moving(self) -> np.ndarray:
        """What lies deeper than the border."""
        return np.asarray(self.surface.vertices_mm[:, 2] > self.from_mm)

    def vertices_at(self, frame: int) -> np.ndarray:
        """Squeezed and shifted positions; frame 2 is not like frame 1."""
        place = self.surface.vertices_mm.astype(np.float64)
        grown = np.maximum(place[:, 2:] - self.from_mm, 0) / 40
        wave = 0.15 * grown * np.sin(place[:, 2:] / 12 - 0.8 * frame)
        place[:, :2] *= 1 - wave
        place += grown * 0.7 * frame * np.array([0.6, -0.4, 0.5])
        return place.astype(np.float32)


def living_tube(tissues: tuple[Tissue, ...], seed: int = 0) -> Scene:
    """A tube of several stained tissues that moves, with its pattern laid in a frame of its own."""
    scene = tube(tissues[0], seed=seed)
    rng = np.random.default_rng(seed + 1)
    surface, count = scene.surface, len(scene.surface.vertices_mm)
    turn = np.array([[0.0, 0.6, 0.8], [1.0, 0.0, 0.0], [0.0, 0.8, -0.6]])
    surface = replace(
        surface,
        face_material=np.arange(len(surface.faces), dtype=np.uint8) // 97 % len(tissues),
        texture_mm=(surface.vertices_mm @ turn.T * 1.1 + 5).astype(np.float32),
        stain=np.clip(rng.normal(0, 0.6, (count, 2)), 0, 1).astype(np.float32),
    )
    return replace(scene, surface=surface, tissues=tissues, motion=Sway(surface))


def turned(position: np.ndarray, tilt_rad: float = 0.0, roll_rad: float = 0.0) -> np.ndarray:
    """camera_from_world of a camera that looks along z, tilted about y after a roll about z."""
    c, s, cr, sr = np.cos(tilt_rad), np.sin(tilt_rad), np.cos(roll_rad), np.sin(roll_rad)
    world_from_camera = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]]) @ np.array(
        [[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]]
    )
    pose = np.eye(4)
    pose[:3, :3] = world_from_camera.T
    pose[:3, 3] = -world_from_camera.T @ np.asarray(position, np.float64)
    return pose


def view(
    pose: np.ndarray | None = None,
    next_pose: np.ndarray | None = None,
    lights: tuple[LightSource, ...] = THREE_LIGHTS,
) -> View:
    """A view whose second pose is its first unless given."""
    pose = np.eye(4) if pose is None else pose
    return View(0, 0, pose, pose if next_pose is None else next_pose, lights, SensorResponse())


def walk(k: int, frames: int = 300) -> View:
    """The k-th of many views: pose, lights and sensor all change."""
    poses = [
        turned(np.array([np.sin(j / 9), np.cos(j / 7), 5 + 60 * j / frames]), 0.2 * np.sin(j / 20))
        for j in (k, k + 1)
    ]
    lights = tuple(
        replace(light, intensity=light.intensity * (1 + 0.001 * k), mu=1 + 0.01 * k)
        for light in THREE_LIGHTS
    )
    return View(0, k, *poses, lights, SensorResponse(gain=1 + 0.01 * k, metering=0.5, blur_px=0.6))
