# SPDX-License-Identifier: Apache-2.0
"""The path tracer once more, slow and plain in NumPy and double precision.

It follows one bundle of paths from collision to collision, with a single majorant for the whole
volume, asks every lamp at every collision and draws all directions off a surface by the cosine: no
blocks, no choice among lamps, no balance of two ways to find a light, no end by chance. The
kernel's pictures must agree with it within their noise.
"""

import time
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from scipy.ndimage import map_coordinates

from endoforge.geometry.cameras import Camera, PinholeCamera, pixel_centres
from endoforge.optics.transfer import HIGHEST_HU, LOWEST_HU, TransferFunction, organ_tables
from endoforge.render.volume.view import Exposure, VolumeView
from endoforge.scene.volume.records import CtVolume

Points = Float64[np.ndarray, "paths 3"]
Values = Float64[np.ndarray, "paths"]

_FAR = 1e9


def expose_slowly(
    volume: CtVolume,
    camera: Camera,
    transfer: TransferFunction,
    view: VolumeView,
    samples: int,
    max_bounces: int = 16,
) -> Exposure:
    """Trace paths through every pixel.

    Args:
        volume: The CT.
        camera: The lens.
        transfer: What its tissue does to light.
        view: Pose, light, opening of the lens and seed.
        samples: Paths per pixel.
        max_bounces: Light that was scattered more often is lost.
    """
    begin = time.perf_counter()
    rng = np.random.default_rng(view.seed)
    tracer = Tracer(volume, transfer, view, rng, max_bounces)
    pixels = np.repeat(pixel_centres(camera.width, camera.height).reshape(-1, 2), samples, axis=0)
    light, albedo = tracer.trace(*eye_rays(camera, view, pixels, rng))
    shape = (camera.height, camera.width, samples, 3)
    light, albedo = light.reshape(shape), albedo.reshape(shape)
    return Exposure(
        radiance=light.mean(axis=2).astype(np.float32),
        samples=samples,
        variance=(light.var(axis=2, ddof=1) / samples).astype(np.float32),
        albedo=albedo.mean(axis=2).astype(np.float32),
        seconds=time.perf_counter() - begin,
    )


def eye_rays(
    camera: Camera, view: VolumeView, pixels: np.ndarray, rng: np.random.Generator
) -> tuple[Points, Points]:
    """World rays through random places of the pixels and of the lens's opening."""
    rays = camera.unproject(pixels + rng.uniform(-0.5, 0.5, pixels.shape))
    world_from_camera = np.linalg.inv(view.camera_from_world)
    turn, eye = world_from_camera[:3, :3], world_from_camera[:3, 3]
    angle, radius = rng.uniform(0, 2 * np.pi, len(rays)), np.sqrt(rng.random(len(rays)))
    disc = view.aperture_mm * radius[:, None] * np.column_stack([np.cos(angle), np.sin(angle)])
    if isinstance(camera, PinholeCamera):
        sharp = rays * (view.focus_mm / rays[:, 2:])
        offset = np.column_stack([disc, np.zeros(len(rays))])
    else:
        right, down = frames(rays)
        sharp = rays * view.focus_mm
        offset = disc[:, :1] * right + disc[:, 1:] * down
    return eye + offset @ turn.T, unit(sharp - offset) @ turn.T


@dataclass
class Tracer:
    """A volume, its light, and random numbers."""

    volume: CtVolume
    transfer: TransferFunction
    view: VolumeView
    rng: np.random.Generator
    max_bounces: int = 16

    def __post_init__(self) -> None:
        """Prepare what every path reads."""
        self._voxel_from_world = np.linalg.inv(self.volume.world_from_voxel)
        self._organs = organ_tables(self.transfer, self.volume.organ_names)
        self._hu = self.volume.hu.astype(np.float64)
        self._most = float(self._organs.tables[..., 0].max())
        padded = np.pad(self._hu, 1, mode="edge")
        inner = (slice(1, -1),) * 3
        slopes = [
            0.5 * (np.roll(padded, -1, axis)[inner] - np.roll(padded, 1, axis)[inner])
            for axis in range(3)
        ]
        self._slopes = slopes
        voxel_from_world = self._voxel_from_world[:3, :3]
        self._steep = np.linalg.norm(np.stack(slopes, axis=-1) @ voxel_from_world, axis=-1)

    # ---- paths ----------------------------------------------------------------------------------

    def trace(self, origin: Points, direction: Points) -> tuple[Points, Points]:
        """Radiance along rays, and the albedo of their first collisions."""
        light, first = np.zeros_like(origin), np.zeros_like(origin)
        path = np.flatnonzero(np.isfinite(direction[:, 2]))
        place, direction, weight = origin[path], direction[path], np.ones((len(path), 3))
        for bounce in range(self.max_bounces + 1):
            place, hit = self.fly(place, direction, np.full(len(path), _FAR))
            light[path[~hit]] += weight[~hit] * self.surroundings(direction[~hit], bounce)
            path, place, direction, weight = (a[hit] for a in (path, place, direction, weight))
            if bounce == self.max_bounces or len(path) == 0:
                break
            met = Collision.at(self, place, direction)
            if bounce == 0:
                first[path] = met.albedo
            light[path] += weight * self.lamps(place, met)
            direction, kept = met.on(self.rng)
            weight = weight * kept
        return light, first

    def surroundings(self, direction: Points, bounce: int) -> Points:
        """Radiance of the surroundings for paths that leave."""
        sky = self.view.world_light.surroundings
        if sky is None or (bounce == 0 and not sky.seen):
            return np.zeros_like(direction)
        rows, columns, _ = sky.radiance.shape
        fall = np.arccos(np.clip(direction[:, 2], -1, 1)) / np.pi
        turn = np.arctan2(direction[:, 1], direction[:, 0]) / (2 * np.pi) % 1.0
        row = np.minimum((fall * rows).astype(np.int64), rows - 1)
        column = np.minimum((turn * columns).astype(np.int64), columns - 1)
        return np.asarray(sky.radiance[row, column], np.float64)

    def fly(
        self, origin: Points, direction: Points, longest: Values
    ) -> tuple[Points, Bool[np.ndarray, "paths"]]:
        """Draw where light is stopped; False for what leaves, or comes to its end first."""
        hit, flying = np.zeros(len(origin), bool), np.ones(len(origin), bool)
        near, far = self.borders(origin, direction)
        at, far = np.maximum(near, 0), np.minimum(far, longest)
        while flying.any():
            now = np.flatnonzero(flying)
            at[now] += self.rng.exponential(1 / self._most, len(now))
            inside = at[now] < far[now]
            flying[now[~inside]] = False
            now = now[inside]
            stops = self.matter(origin[now] + at[now, None] * direction[now])[:, 0]
            real = self.rng.random(len(now)) * self._most < stops
            hit[now[real]], flying[now[real]] = True, False
        return origin + at[:, None] * direction, hit

    def borders(self, origin: Points, direction: Points) -> tuple[Values, Values]:
        """Where rays enter and leave the grid, mm."""
        matrix = self._voxel_from_world
        start, speed = origin @ matrix[:3, :3].T + matrix[:3, 3], direction @ matrix[:3, :3].T
        with np.errstate(divide="ignore", invalid="ignore"):
            low, high = -start / speed, (np.array(self._hu.shape) - 1 - start) / speed
        return np.nanmax(np.minimum(low, high), axis=1), np.nanmin(np.maximum(low, high), axis=1)

    # ---- the volume -----------------------------------------------------------------------------

    def voxels(self, place: Points) -> np.ndarray:
        """Places in voxels, axes first."""
        matrix = self._voxel_from_world
        return np.asarray((place @ matrix[:3, :3].T + matrix[:3, 3]).T)

    def matter(self, place: Points) -> np.ndarray:
        """Extinction, albedo, roughness and f0."""
        where = self.voxels(place)
        hu = map_coordinates(self._hu, where, order=1, mode="nearest")
        entries = self._organs.tables.shape[1]
        table = np.zeros(len(place), np.int64)
        if self.volume.organs is not None:
            last = np.array(self._hu.shape)[:, None] - 1
            near = np.clip(np.floor(where + 0.5).astype(np.int64), 0, last)
            table = self._organs.table_of_organ[self.volume.organs[tuple(near)]].astype(np.int64)
        grid = np.linspace(LOWEST_HU, HIGHEST_HU, entries)
        rows = np.empty((len(place), 6))
        for number, values in enumerate(self._organs.tables):
            here = table == number
            rows[here] = np.column_stack([np.interp(hu[here], grid, c) for c in values.T])
        if self.transfer.gradient is not None:
            steep = map_coordinates(self._steep, where, order=1, mode="nearest")
            rows[:, 0] *= self.transfer.gradient.factor(steep)
        return rows

    def gradient(self, place: Points) -> Points:
        """Of HU, in the world, HU per mm."""
        where = self.voxels(place)
        slopes = [map_coordinates(s, where, order=1, mode="nearest") for s in self._slopes]
        return np.asarray(np.column_stack(slopes) @ self._voxel_from_world[:3, :3])

    # ---- lamps ----------------------------------------------------------------------------------

    def lamps(self, place: Points, met: "Collision") -> Points:
        """Light of all lamps that is sent on, each asked with one shadow ray."""
        total = np.zeros_like(place)
        for lamp, light in (*self.small(place), *self.disks(place)):
            away = lamp - place
            length = np.linalg.norm(away, axis=1)
            toward = away / length[:, None]
            _, stopped = self.fly(place, toward, length)
            total += np.where(stopped[:, None], 0, light * met.sent(toward, self.rng))
        return total

    def small(self, place: Points) -> list[tuple[Points, Points]]:
        """Places of the small sources, and their irradiance square to the light."""
        world_from_camera = np.linalg.inv(self.view.camera_from_world)
        lamps = []
        for light in self.view.lights:
            lamp = world_from_camera[:3, :3] @ light.position_mm + world_from_camera[:3, 3]
            axis = world_from_camera[:3, :3] @ light.axis
            away = place - lamp
            squared = (away**2).sum(axis=1)
            beam = np.exp(-light.mu * (1 - away @ axis / np.sqrt(squared)))
            power = light.intensity * np.asarray(light.colour)
            lamps.append((np.broadcast_to(lamp, place.shape), (beam / squared)[:, None] * power))
        return lamps

    def disks(self, place: Points) -> list[tuple[Points, Points]]:
        """A random point of each disk for each place, and its light over the point's density."""
        lamps = []
        for disk in self.view.world_light.disks:
            axis = np.asarray(disk.axis)
            right, down = frames(axis[None])
            turn = self.rng.uniform(0, 2 * np.pi, len(place))
            radius = disk.radius_mm * np.sqrt(self.rng.random(len(place)))
            point = np.asarray(disk.centre_mm) + radius[:, None] * (
                np.cos(turn)[:, None] * right + np.sin(turn)[:, None] * down
            )
            away = place - point
            squared = (away**2).sum(axis=1)
            cosine = np.maximum(away @ axis / np.sqrt(squared), 0)
            solid = np.pi * disk.radius_mm**2 * cosine / squared
            lamps.append((point, solid[:, None] * np.asarray(disk.radiance)))
        return lamps


@dataclass(frozen=True, eq=False)
class Collision:
    """What stopped each path, and which way it came."""

    surface: np.ndarray
    normal: Points
    forward: Points
    albedo: Points
    roughness: Values
    f0: Values
    g: float

    @staticmethod
    def at(tracer: Tracer, place: Points, forward: Points) -> "Collision":
        """Look up what is there; draw whether it acts as a surface."""
        rows, gradient = tracer.matter(place), tracer.gradient(place)
        steep = np.linalg.norm(gradient, axis=1)
        chance = 1 - np.exp(-steep / tracer.transfer.surface_hu_per_mm)
        normal = np.where(steep[:, None] > 1e-9, gradient, -forward)
        normal /= np.linalg.norm(normal, axis=1, keepdims=True)
        normal *= np.where((normal * forward).sum(axis=1) > 0, -1.0, 1.0)[:, None]
        return Collision(
            surface=tracer.rng.random(len(place)) < chance,
            normal=normal,
            forward=forward,
            albedo=rows[:, 1:4],
            roughness=np.maximum(rows[:, 4], 0.03),
            f0=rows[:, 5],
            g=tracer.transfer.anisotropy,
        )

    def sent(self, toward: Points, rng: np.random.Generator) -> Points:
        """BRDF times cosine, or phase function."""
        cosine = (self.normal * toward).sum(axis=1)
        off = np.where(cosine > 0, cosine, 0)[:, None] * self.brdf(toward, rng)
        turn = (self.forward * toward).sum(axis=1)
        through = (1 - self.g**2) / (4 * np.pi * (1 + self.g**2 - 2 * self.g * turn) ** 1.5)
        return np.asarray(np.where(self.surface[:, None], off, self.albedo * through[:, None]))

    def brdf(self, toward: Points, rng: np.random.Generator) -> Points:
        """The film's mirror and the body beneath, which gets what the film lets through."""
        back = -self.forward
        mu_o = np.maximum((self.normal * back).sum(axis=1), 1e-4)
        mu_i = np.maximum((self.normal * toward).sum(axis=1), 1e-4)
        half = unit(back + toward)
        d = ggx((self.normal * half).sum(axis=1), self.roughness)
        g = smith(mu_o, self.roughness) * smith(mu_i, self.roughness)
        film = d * g * schlick((half * back).sum(axis=1), self.f0) / (4 * mu_o * mu_i)
        body = self.albedo * ((1 - self.film_share(rng)) / np.pi)[:, None]
        return np.asarray(body + film[:, None])

    def film_share(self, rng: np.random.Generator) -> Values:
        """What the film mirrors in all, estimated without bias from one direction each."""
        back = -self.forward
        mu_o = np.maximum((self.normal * back).sum(axis=1), 1e-4)
        # a facet by its area (Walter et al. 2007, equation 35), weighed by what it mirrors (41)
        u = rng.random(len(mu_o))
        a2 = self.roughness**2
        cos_h = np.sqrt((1 - u) / (1 + (a2 - 1) * u))
        turn = rng.uniform(0, 2 * np.pi, len(mu_o))
        right, down = frames(self.normal)
        sin_h = np.sqrt(1 - cos_h**2)
        half = (
            (sin_h * np.cos(turn))[:, None] * right
            + (sin_h * np.sin(turn))[:, None] * down
            + cos_h[:, None] * self.normal
        )
        oh = (half * back).sum(axis=1)
        mu_i = 2 * oh * cos_h - (self.normal * back).sum(axis=1)
        seen = (oh > 0) & (mu_i > 0)
        g = smith(mu_o, self.roughness) * smith(np.maximum(mu_i, 1e-4), self.roughness)
        value = schlick(np.maximum(oh, 0), self.f0) * g * oh / (mu_o * cos_h)
        return np.asarray(np.where(seen, value, 0))

    def on(self, rng: np.random.Generator) -> tuple[Points, Points]:
        """Draw where the paths go on, and what they keep: off a surface by the cosine."""
        off = cosine_directions(self.normal, rng)
        u, turn = rng.random(len(off)), rng.uniform(0, 2 * np.pi, len(off))
        g = self.g
        if abs(g) < 1e-3:
            cosine = 1 - 2 * u
        else:
            cosine = (1 + g * g - ((1 - g * g) / (1 - g + 2 * g * u)) ** 2) / (2 * g)
        right, down = frames(self.forward)
        sine = np.sqrt(np.maximum(1 - cosine**2, 0))
        through = (
            (sine * np.cos(turn))[:, None] * right
            + (sine * np.sin(turn))[:, None] * down
            + cosine[:, None] * self.forward
        )
        kept = np.pi * self.brdf(off, rng)
        surface = self.surface[:, None]
        return np.where(surface, off, through), np.where(surface, kept, self.albedo)


def ggx(cosine: Values, alpha: Values) -> Values:
    """Density of facets (Walter et al. 2007, equation 33)."""
    a2 = alpha**2
    return np.asarray(a2 / (np.pi * (cosine**2 * (a2 - 1) + 1) ** 2))


def smith(cosine: Values, alpha: Values) -> Values:
    """Share of facets that are not hidden (Walter et al. 2007, equation 34)."""
    tangent = (1 - cosine**2) / cosine**2
    return np.asarray(2 / (1 + np.sqrt(1 + alpha**2 * tangent)))


def schlick(cosine: Values, f0: Values) -> Values:
    """Reflectance of a film."""
    return np.asarray(f0 + (1 - f0) * np.clip(1 - cosine, 0, 1) ** 5)


def cosine_directions(normal: Points, rng: np.random.Generator) -> Points:
    """Directions about a normal, drawn by the cosine."""
    radius, turn = np.sqrt(rng.random(len(normal))), rng.uniform(0, 2 * np.pi, len(normal))
    right, down = frames(normal)
    cosine = np.sqrt(1 - radius**2)
    flat = (radius * np.cos(turn))[:, None] * right + (radius * np.sin(turn))[:, None] * down
    return np.asarray(flat + cosine[:, None] * normal)


def frames(normal: Points) -> tuple[Points, Points]:
    """Two directions square to each normal and to each other."""
    helper = np.where(np.abs(normal[:, :1]) < 0.9, [[1.0, 0, 0]], [[0.0, 1, 0]])
    right = unit(np.cross(normal, helper))
    return right, np.cross(normal, right)


def unit(vectors: Points) -> Points:
    """The same directions of length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))
