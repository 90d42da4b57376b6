# SPDX-License-Identifier: Apache-2.0
"""The opponent of `render_surface.py`: Open3D casts the rays, NumPy shades and labels.

It has the labels that every data set has (depth, normals, classes, instances, flow, occlusion),
plain Lambert shading and no pattern, so a comparison favours it.
"""

import numpy as np

from endoforge.frames.frame import Frame
from endoforge.geometry.cameras import Camera, pixel_centres
from endoforge.optics.sensor import SensorResponse, develop
from endoforge.render.surface import View
from endoforge.scene.records import Scene


class Open3DRenderer:
    """Renders views of one scene through one camera."""

    def __init__(self, scene: Scene, camera: Camera, threads: int) -> None:
        import open3d

        self._threads = threads

        self._core, geometry = open3d.core, open3d.t.geometry
        self.camera, self.surface = camera, scene.surface
        self.albedo = np.asarray(scene.tissues[0].albedo, np.float32)
        self._scene = geometry.RaycastingScene()
        self._scene.add_triangles(
            self._core.Tensor(scene.surface.vertices_mm),
            self._core.Tensor(scene.surface.faces.astype(np.uint32)),
        )
        self._rays = camera.rays().reshape(-1, 3).astype(np.float32)
        self._centres = pixel_centres(camera.width, camera.height).reshape(-1, 2)

    def _blocked(self, starts: np.ndarray, end: np.ndarray) -> np.ndarray:
        away = end.astype(np.float32) - starts
        rays = self._core.Tensor(np.concatenate([starts, away], axis=1))
        return self._scene.test_occlusions(rays, tfar=1.0 - 1e-4, nthreads=self._threads).numpy()

    def render(self, view: View) -> Frame:
        """Render a frame with every label."""
        world_from_camera = np.linalg.inv(view.camera_from_world)
        turn, eye = world_from_camera[:3, :3].astype(np.float32), world_from_camera[:3, 3]
        directions = self._rays @ turn.T
        origins = np.broadcast_to(eye.astype(np.float32), directions.shape)
        rays = np.concatenate([origins, directions], axis=1)
        hit = self._scene.cast_rays(self._core.Tensor(rays), nthreads=self._threads)
        distance = hit["t_hit"].numpy()
        found = np.isfinite(distance)
        face = np.where(found, hit["primitive_ids"].numpy(), 0)
        place = hit["primitive_uvs"].numpy()
        weights = np.column_stack([1 - place.sum(axis=1), place])
        corners = self.surface.faces[face]
        normal = np.einsum("nk,nkc->nc", weights, self.surface.normals[corners])
        normal /= np.sqrt(np.einsum("nc,nc->n", normal, normal))[:, None]
        albedo = self.albedo * np.einsum("nk,nkc->nc", weights, self.surface.tint[corners])
        points = origins + np.where(found, distance, 1)[:, None] * directions
        radiance = self._shade(view, points, normal, albedo, world_from_camera) * found[:, None]
        return self._frame(view, points, normal @ turn, face, found, distance, radiance)

    def _shade(
        self,
        view: View,
        points: np.ndarray,
        normal: np.ndarray,
        albedo: np.ndarray,
        world_from_camera: np.ndarray,
    ) -> np.ndarray:
        total = np.zeros_like(points)
        starts = points + 0.3 * normal
        for light in view.lights:
            lamp = (world_from_camera @ (*light.position_mm, 1.0))[:3].astype(np.float32)
            axis = (world_from_camera[:3, :3] @ light.axis).astype(np.float32)
            away = lamp - points
            squared = np.einsum("nc,nc->n", away, away)
            toward = away / np.sqrt(squared)[:, None]
            facing = np.maximum(np.einsum("nc,nc->n", normal, toward), 0)
            beam = light.intensity * np.exp(-light.mu * (1 + toward @ axis)) / squared
            lit = ~self._blocked(starts, lamp)
            total += (beam * facing * lit)[:, None] * np.asarray(light.colour, np.float32)
        return (total * albedo / np.pi).astype(np.float32)

    def _frame(
        self,
        view: View,
        points: np.ndarray,
        normal: np.ndarray,
        face: np.ndarray,
        found: np.ndarray,
        distance: np.ndarray,
        radiance: np.ndarray,
    ) -> Frame:
        shape = (self.camera.height, self.camera.width)
        matrix = view.next_camera_from_world.astype(np.float32)
        pixels = self.camera.project(points @ matrix[:3, :3].T + matrix[:3, 3])
        eye = np.linalg.inv(matrix)[:3, 3]
        inside = np.all((pixels >= 0) & (pixels <= [self.camera.width, self.camera.height]), axis=1)
        facing = (eye.astype(np.float32) - points) * 1e-3
        seen = inside & ~self._blocked(points + facing, eye)
        return Frame(
            sequence=view.sequence,
            index=view.index,
            image=develop(radiance.reshape(*shape, 3), SensorResponse(metering=0.5, blur_px=0.6)),
            camera=self.camera,
            camera_from_world=view.camera_from_world,
            next_camera_from_world=view.next_camera_from_world,
            depth_mm=np.where(found, distance * self._rays[:, 2], np.nan).reshape(shape),
            valid=found.reshape(shape),
            normal_camera=normal.astype(np.float32).reshape(*shape, 3),
            label=np.where(found, self.surface.face_label[face], 0).reshape(shape),
            instance=np.where(found, self.surface.face_instance[face], 0).reshape(shape),
            flow_px=(pixels - self._centres).astype(np.float32).reshape(*shape, 2),
            occluded=(found & ~seen).reshape(shape),
        )
