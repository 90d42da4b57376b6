# SPDX-License-Identifier: Apache-2.0
"""Other looks for a picture that keep its geometry to the pixel: good translations by construction.

They stand in for trained translators where the audit is calibrated and measured: colours and
textures of real frames, tone, light, highlights, noise and coding. The strongest other look, the
same scene rendered anew with other tissue and light, comes from the simulator (`conditions`).
"""

from collections.abc import Callable, Mapping

import cv2
import numpy as np
from jaxtyping import Bool, UInt8

from endoforge.frames.frame import IGNORE

Picture = UInt8[np.ndarray, "height width 3"]
Classes = UInt8[np.ndarray, "height width"]
Reference = UInt8[np.ndarray, "tall wide 3"]
Generator = np.random.Generator

#: Brighter pixels are reflections, darker ones surround, display values of a reference.
_USEFUL = (20, 235)


def transfer(image: Picture, label: Classes, reference: Reference) -> Picture:
    """Take over mean and spread of a real frame's colours (Reinhard et al. 2001, in CIE Lab)."""
    known = label != IGNORE
    lab, wanted = _lab(image), _lab(reference)[_useful(reference)]
    own = lab[known].std(0) + 1e-3
    scale = np.clip(wanted.std(0), 0.6 * own, 1.6 * own)
    mean = wanted.mean(0)
    mean[0] = np.clip(mean[0], 0.8 * lab[known, 0].mean(), 1.4 * lab[known, 0].mean())
    return _kept_dark(image, _rgb((lab - lab[known].mean(0)) / own * scale + mean), known)


def recolour(image: Picture, label: Classes, reference: Reference, rng: Generator) -> Picture:
    """Give every class the colour of another part of a real frame; brightness patterns stay."""
    lab, pixels = _lab(image), _lab(reference)[_useful(reference)]
    done = lab.copy()
    for index in np.unique(label[label != IGNORE]):
        mask = label == index
        centre = pixels[rng.integers(len(pixels))]
        near = pixels[np.abs(pixels - centre).sum(-1).argsort()[: max(50, len(pixels) // 10)]]
        done[mask, 1:] = near[:, 1:].mean(0) + 0.6 * (lab[mask, 1:] - lab[mask, 1:].mean(0))
        done[mask, 0] = lab[mask, 0] * np.clip(near[:, 0].mean() / 50, 0.7, 1.4)
    soft = cv2.GaussianBlur(done[..., 1:], (0, 0), 1.0)
    return _kept_dark(image, _rgb(np.dstack([done[..., :1], soft])), label != IGNORE)


def retexture(image: Picture, label: Classes, reference: Reference, rng: Generator) -> Picture:
    """Add the fine structure of a real frame to every class, moved and turned at random."""
    fine = _fine_structure(reference, rng)
    factor = np.zeros(label.shape, np.float32)
    for index in np.unique(label[label != IGNORE]):
        turned = np.rot90(fine, int(rng.integers(4)))
        whole = np.block([[turned, turned[:, ::-1]], [turned[::-1], turned[::-1, ::-1]]])
        tiled = np.tile(whole, [-(-2 * side // len(whole)) for side in label.shape])
        top, left = (int(rng.integers(max(1, tiled.shape[k] - label.shape[k]))) for k in (0, 1))
        piece = tiled[top : top + label.shape[0], left : left + label.shape[1]]
        factor[label == index] = (piece * rng.uniform(0.04, 0.12))[label == index]
    return _to_bytes(image * np.exp(np.clip(factor, -0.5, 0.5))[..., None])


def tone(image: Picture, rng: Generator) -> Picture:
    """Another response of each channel: gain, gamma, contrast, and a vignette."""
    values = image.astype(np.float32) / 255
    values = (values * rng.uniform(0.8, 1.2, 3)).clip(0, 1) ** rng.uniform(0.65, 1.5)
    bend = rng.uniform(-0.5, 0.5)
    values = values + bend * values * (1 - values) * (2 * values - 1)
    v, u = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    centre = rng.uniform(0.35, 0.65, 2) * image.shape[:2]
    radius = np.hypot(v - centre[0], u - centre[1]) / np.hypot(*image.shape[:2])
    return _to_bytes(255 * values * (1 - rng.uniform(0, 1.2) * radius[..., None] ** 2).clip(0.2, 1))


def sensor(image: Picture, label: Classes, rng: Generator) -> Picture:
    """Highlights, a little blur or sharpening, noise, and JPEG."""
    done = image.astype(np.float32)
    spots = np.zeros(label.shape, np.float32)
    for _ in range(int(rng.integers(0, 14))):
        centre = tuple(int(rng.integers(side)) for side in label.shape[::-1])
        axes = tuple(int(side) for side in rng.integers(1, 7, 2))
        cv2.ellipse(spots, centre, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1)
    spots = cv2.GaussianBlur(spots, (0, 0), 1.0) * (label != IGNORE)
    done += (250 - done) * spots[..., None]
    smooth = cv2.GaussianBlur(done, (0, 0), 0.8)
    done += rng.uniform(-0.7, 0.7) * (done - smooth)
    done += rng.normal(0, rng.uniform(0, 4), done.shape)
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(70, 96))]
    packed = cv2.imencode(".jpg", _to_bytes(done), quality)[1]
    return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR))


Look = Callable[[Picture, Classes, Reference, Generator], Picture]


def _calibration_a(image: Picture, label: Classes, real: Reference, rng: Generator) -> Picture:
    return sensor(transfer(image, label, real), label, rng)


def _calibration_b(image: Picture, label: Classes, real: Reference, rng: Generator) -> Picture:
    return tone(retexture(image, label, real, rng), rng)


def _test_a(image: Picture, label: Classes, real: Reference, rng: Generator) -> Picture:
    return sensor(recolour(image, label, real, rng), label, rng)


def _test_b(image: Picture, label: Classes, real: Reference, rng: Generator) -> Picture:
    return sensor(retexture(transfer(image, label, real), label, real, rng), label, rng)


#: The looks that the shipped calibration was fitted on, and those that it is measured on.
CALIBRATION_LOOKS: Mapping[str, Look] = {
    "colours of a real frame, sensor": _calibration_a,
    "texture of a real frame, tone": _calibration_b,
}
TEST_LOOKS: Mapping[str, Look] = {
    "colours of a real frame by class, sensor": _test_a,
    "colours and texture of a real frame, sensor": _test_b,
}


# ---- inside -------------------------------------------------------------------------------------


def _useful(reference: Reference) -> Bool[np.ndarray, "tall wide"]:
    grey = reference.mean(-1)
    found = (grey > _USEFUL[0]) & (grey < _USEFUL[1])
    return found if found.sum() > 100 else np.ones_like(found)


def _fine_structure(reference: Reference, rng: Generator) -> np.ndarray:
    """A square of real tissue without its smooth part, of unit spread; no text and no tools."""
    grey = cv2.cvtColor(reference, cv2.COLOR_RGB2GRAY).astype(np.float32)
    fine, useful = grey - cv2.GaussianBlur(grey, (0, 0), 3), _useful(reference)
    side = min(96, *grey.shape)
    squares = []
    for _ in range(24):
        top, left = (int(rng.integers(length - side + 1)) for length in grey.shape)
        place = np.s_[top : top + side, left : left + side]
        square = fine[place] - fine[place].mean()
        spread = float(square.std()) + 0.5
        outliers = float((np.abs(square) > 3 * spread).mean()) + float((~useful[place]).mean())
        squares.append((outliers, square / spread))
    return np.asarray(min(squares, key=lambda found: found[0])[1])


def _lab(image: Picture) -> np.ndarray:
    return np.asarray(cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB))


def _rgb(lab: np.ndarray) -> Picture:
    return _to_bytes(255 * cv2.cvtColor(lab.astype(np.float32), cv2.COLOR_LAB2RGB))


def _to_bytes(values: np.ndarray) -> Picture:
    return np.asarray(np.clip(values + 0.5, 0, 255).astype(np.uint8))


def _kept_dark(before: Picture, after: Picture, known: np.ndarray) -> Picture:
    """Leave the surround of a round picture as it was."""
    return np.where(known[..., None], after, before)
