# SPDX-License-Identifier: Apache-2.0
"""Damage planted into good translations, so that the audit's eye can be measured.

Every function takes a picture and a drawn record or a mask, and changes the picture only; the
labels stay and so become wrong. What would not be seen is not planted: drawing gives None instead.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from jaxtyping import Bool, Float32, UInt8

from endoforge.frames.frame import IGNORE

Picture = UInt8[np.ndarray, "height width 3"]
Mask = Bool[np.ndarray, "height width"]
Classes = UInt8[np.ndarray, "height width"]

#: Darker pixels show nothing that could be damaged, mean display value.
_LIT = 24.0
#: A change of less than this cannot be called a lost or an invented organ, display values.
_VISIBLE = 12.0


# ---- warps --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Bump:
    """A local shift of the picture with a Gaussian profile.

    Attributes:
        centre_px: (u, v).
        shift_px: (du, dv) at the centre.
        radius_px: Standard deviation of the profile.
    """

    centre_px: tuple[float, float]
    shift_px: tuple[float, float]
    radius_px: float


def draw_bump(
    borders: Mask, image: Picture, peak_px: float, rng: np.random.Generator
) -> Bump | None:
    """Draw a shift that moves a visible border of the labels across itself; None if there is none.

    A shift along a border, or inside one tissue, leaves the labels true. So the centre lies on a
    lit border, and the direction is within 45 degrees of its normal.

    Args:
        borders: Where the labels change, see `cues.borders`.
        image: The picture that will be warped.
        peak_px: Length of the shift at its centre, px.
        rng: Draws place, direction and width.
    """
    places = np.argwhere(borders & _lit(image))
    if not len(places):
        return None
    row, column = places[rng.integers(len(places))]
    angle = _normal_angle(borders, int(row), int(column)) + rng.uniform(-np.pi / 4, np.pi / 4)
    angle += np.pi * rng.integers(2)
    radius = max(peak_px / 0.6, rng.uniform(0.06, 0.14) * image.shape[0])
    shift = (float(peak_px * np.cos(angle)), float(peak_px * np.sin(angle)))
    return Bump((column + 0.5, row + 0.5), shift, float(radius))


def warp(image: Picture, bump: Bump) -> Picture:
    """Shift a part of the picture smoothly; the peak is reached at the centre of the bump."""
    flow = flow_of(bump, image.shape[:2])
    height, width = image.shape[:2]
    u, v = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    how = {"interpolation": cv2.INTER_CUBIC, "borderMode": cv2.BORDER_REFLECT_101}
    return np.asarray(cv2.remap(image, u - flow[..., 0], v - flow[..., 1], **how))


def flow_of(bump: Bump, size: tuple[int, int]) -> Float32[np.ndarray, "height width 2"]:
    """The shift at each pixel of the warped picture, px."""
    v, u = np.mgrid[: size[0], : size[1]].astype(np.float32) + 0.5
    squared = (u - bump.centre_px[0]) ** 2 + (v - bump.centre_px[1]) ** 2
    profile = np.exp(-squared / (2 * bump.radius_px**2))
    return np.stack([profile * bump.shift_px[0], profile * bump.shift_px[1]], -1).astype(np.float32)


# ---- organs -------------------------------------------------------------------------------------


def draw_organ(
    image: Picture, label: Classes, rng: np.random.Generator, largest: float = 0.2
) -> Mask | None:
    """Choose a visible object of one class that is 0.4 % of the picture or more; None without.

    Args:
        image: The picture it is seen in.
        label: Its classes.
        rng: Chooses.
        largest: Share of the picture that it may have.
    """
    found = []
    lit = _lit(image)
    for index in np.unique(label[label != IGNORE]):
        number, parts = cv2.connectedComponents((label == index).astype(np.uint8))
        for part in range(1, number):
            mask = parts == part
            share, bright = mask.mean(), lit[mask].mean()
            if 0.004 <= share <= largest and bright > 0.6:
                found.append(mask)
    return found[rng.integers(len(found))] if found else None


def remove_organ(image: Picture, label: Classes, organ: Mask) -> Picture | None:
    """Cover an organ with its neighbours' texture, mirrored at its border; None if unseen."""
    wide = cv2.dilate(organ.astype(np.uint8), np.ones((7, 7))) > 0
    given = ~wide & (label != IGNORE)
    if given.sum() < organ.sum() / 2:
        return None
    filled = _mirrored_inward(image, given)
    soft = cv2.GaussianBlur(wide.astype(np.float32), (0, 0), 1.5)[..., None]
    done = (image * (1 - soft) + filled * soft + 0.5).astype(np.uint8)
    return done if _change(image, done, organ) >= _VISIBLE else None


def invent_organ(
    image: Picture, label: Classes, donor: tuple[Picture, Mask], rng: np.random.Generator
) -> Picture | None:
    """Paste an organ of another frame of the same look where there is none; None if unseen."""
    picture, organ = donor
    rows, columns = np.flatnonzero(organ.any(1)), np.flatnonzero(organ.any(0))
    cut = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    patch, mask = picture[cut], organ[cut]
    if rng.integers(2):
        patch, mask = patch[:, ::-1], mask[:, ::-1]
    for _ in range(8):
        space = [max(1, image.shape[k] - mask.shape[k]) for k in (0, 1)]
        top, left = (int(rng.integers(side)) for side in space)
        place = np.s_[top : top + mask.shape[0], left : left + mask.shape[1]]
        if mask.shape != label[place].shape or (label[place][mask] == IGNORE).any():
            continue
        soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 0.8)[..., None]
        done = image.copy()
        done[place] = (image[place] * (1 - soft) + patch * soft + 0.5).astype(np.uint8)
        here = np.zeros(label.shape, bool)
        here[place] = mask
        if _lit(image)[here].mean() > 0.6 and _change(image, done, here) >= _VISIBLE:
            return done
    return None


def swap_textures(image: Picture, label: Classes, rng: np.random.Generator) -> Picture | None:
    """Give two of the larger classes each other's texture and colour; None if unseen."""
    lit = _lit(image)
    large = [
        index
        for index in np.unique(label[label != IGNORE])
        if ((label == index) & lit).mean() > 0.02
    ]
    if len(large) < 2:
        return None
    one, other = rng.choice(large, 2, replace=False)
    first, second = label == one, label == other
    done = image.copy()
    for take, give in ((first, second), (second, first)):
        part = _textured(image, take, give)
        if part is None:
            return None
        done[take] = part[take]
    both = first | second
    return done if _change(image, done, both) >= _VISIBLE else None


def blur(image: Picture, sigma_px: float) -> Picture:
    """Blur the whole picture."""
    return np.asarray(cv2.GaussianBlur(image, (0, 0), sigma_px))


# ---- inside -------------------------------------------------------------------------------------


def _lit(image: Picture) -> Mask:
    grey = cv2.GaussianBlur(image.mean(axis=-1, dtype=np.float32), (0, 0), 3)
    return np.asarray(grey >= _LIT)


def _normal_angle(borders: Mask, row: int, column: int) -> float:
    """Direction across the border at a pixel, radians: across the line that fits it nearby."""
    near = np.argwhere(borders[max(0, row - 5) : row + 6, max(0, column - 5) : column + 6])
    spread = np.cov(near.T) if len(near) > 2 else np.eye(2)
    across = np.linalg.eigh(spread)[1][:, 0]
    return float(np.arctan2(across[0], across[1]))


def _mirrored_inward(image: Picture, given: Mask) -> Float32[np.ndarray, "height width 3"]:
    """Fill what is not given with what lies as far on the other side of its border."""
    _, nearest = cv2.distanceTransformWithLabels(
        (~given).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    rows, columns = np.nonzero(given)
    row_of, column_of = np.zeros(nearest.max() + 1, int), np.zeros(nearest.max() + 1, int)
    row_of[nearest[rows, columns]], column_of[nearest[rows, columns]] = rows, columns
    v, u = np.mgrid[: given.shape[0], : given.shape[1]]
    edge = np.stack([row_of[nearest], column_of[nearest]])
    outward = edge - np.stack([v, u])
    limit = np.array(given.shape)[:, None, None] - 1
    place = edge
    for share in (0.0, 0.5, 1.0):  # the border itself, half as far beyond it, mirrored
        farther = np.clip((edge + share * outward).round().astype(int), 0, limit)
        place = np.where(given[farther[0], farther[1]], farther, place)
    return np.asarray(image[place[0], place[1]].astype(np.float32))


def _textured(image: Picture, take: Mask, give: Mask) -> np.ndarray | None:
    """The picture as if all were of the texture in `give`, as bright as it is."""
    space = cv2.distanceTransform(np.pad(give.astype(np.uint8), 1), cv2.DIST_L2, 5)[1:-1, 1:-1]
    row, column = np.unravel_index(int(space.argmax()), space.shape)
    half = int(space[row, column] / np.sqrt(2))
    if half < 5:
        return None
    patch = image[row - half : row + half, column - half : column + half].astype(np.float32)
    patch = np.concatenate([patch, patch[::-1]], 0)
    patch = np.concatenate([patch, patch[:, ::-1]], 1)
    repeats = [-(-image.shape[k] // patch.shape[k]) for k in (0, 1)]
    tiled = np.tile(patch, (*repeats, 1))[: image.shape[0], : image.shape[1]]
    light = cv2.GaussianBlur(image.mean(-1, dtype=np.float32), (0, 0), 6)
    relative = light / max(float(light[take].mean()), 1.0)
    return np.asarray(np.clip(tiled * relative[..., None], 0, 255).astype(np.uint8))


def _change(before: Picture, after: Picture, where: Mask) -> float:
    """Mean absolute change after a blur, display values."""
    pair = [cv2.GaussianBlur(image.astype(np.float32), (0, 0), 2) for image in (before, after)]
    return float(np.abs(pair[1] - pair[0])[where].mean())
