# SPDX-License-Identifier: Apache-2.0
"""What a piece of gas is: the rules, in the order in which they are asked, and how sure each is.

1. An organ mask holds most of it: that organ (0.95).
2. Its values are those of lung: lung (0.9).
3. The airway: it begins round and near the patient's middle above or between the lungs, reaches
   down 40 mm or more, and abuts on lung (0.9).
4. Most of its surface abuts on lung: a bulla or a small airway, part of the lung (0.8).
5. It lies higher than a third of the lungs' height: gullet, chest wall (0.5).
6. The stomach: the largest compact bubble in the upper, middle or left belly (0.45; only a mask is
   surer).
7. The colon: a wide piece, or one many times as long as wide (0.6 to 0.85, by its size).
8. Anything else of the belly: some bowel (0.5).
"""

import numpy as np
from jaxtyping import Bool, Float64
from scipy import ndimage

from endoforge.scene.volume.body import voxel_ml
from endoforge.scene.volume.gas import GasKind, GasMap, GasPiece, GasPieces, GasRegion

_ORGANS: dict[str, GasKind] = {
    "lung": "lung",
    "trachea": "airway",
    "airway": "airway",
    "bronch": "airway",
    "colon": "colon",
    "rectum": "colon",
    "caecum": "colon",
    "stomach": "stomach",
    "small_bowel": "bowel",
    "small bowel": "bowel",
    "duodenum": "bowel",
    "esophagus": "other",
    "oesophagus": "other",
}
_MASKED = 0.4  # share of a piece that a mask must hold; masks are often eroded, or lack gas
_AIRWAY_DEEP_MM, _AIRWAY_RADIUS_MM = 40.0, (3.0, 16.0)
_TRACHEA_MM2 = (40.0, 900.0)
_TRACHEA_ASIDE_MM = 60.0
_TOUCHES = 0.003  # share of its surface that abuts on lung
_ROUND = 0.45  # share of the smallest box about a section; a disc fills 0.79 of it
_BULLA = 0.6
_ABOVE = 0.34  # share of the lungs' height
_STOMACH_DEEP_MM, _STOMACH_SLENDER, _STOMACH_ML = 130.0, 4.0, (3.0, 800.0)
_STOMACH_ASIDE = (-0.5, 0.12)  # share of half the body's width, to the patient's right
_COLON_RADIUS_MM, _COLON_SLENDER, _COLON_LEAST_MM = 8.0, 6.0, 4.0


def judged(found: GasPieces) -> GasMap:
    """Give every piece of gas its kind."""
    frame = _Frame(found)
    regions = [_judge(piece, frame) for piece in found.pieces]
    regions = _only_largest(_only_largest(regions, "airway", "other"), "stomach", "bowel")
    regions.sort(key=lambda region: -region.piece.volume_ml)
    totals: dict[str, float] = {}
    for region in regions:
        totals[region.kind] = totals.get(region.kind, 0.0) + region.piece.volume_ml
    notes = {f"{kind} gas": f"{ml:.1f} ml" for kind, ml in sorted(totals.items())}
    return GasMap(found, tuple(regions), notes)


class _Frame:
    """Where the body and its lungs lie, by which the places of gas are judged."""

    def __init__(self, found: GasPieces) -> None:
        self.found = found
        lungs = [piece for piece in found.pieces if piece.lung]
        self.lung_top = max((p.high_mm[2] for p in lungs), default=None)
        self.lung_base = min((p.low_mm[2] for p in lungs), default=None)
        self.middle, self.half_width, self.top = _extent(found)
        self.names = {
            number: kind
            for number, name in found.coarse.organ_names.items()
            if (kind := _kind_of(name)) is not None
        }

    def is_above(self, piece: GasPiece) -> bool:
        """True for gas that is rather in the chest than in the belly."""
        if self.lung_top is None or self.lung_base is None:
            return False
        height = self.lung_top - self.lung_base
        return bool(piece.middle_mm[2] > self.lung_base + _ABOVE * height and height > 60.0)

    def below_top(self, piece: GasPiece) -> float:
        """How far a piece lies below the top of the belly, mm."""
        top = self.top if self.lung_base is None else min(self.lung_base + 60.0, self.top)
        return float(top - piece.middle_mm[2])


def _judge(piece: GasPiece, frame: _Frame) -> GasRegion:
    masked = _by_mask(piece, frame)
    if masked is not None:
        return GasRegion(masked, 0.95, "an organ mask", piece)
    for rule in (_chest, _belly):
        answer = rule(piece, frame)
        if answer is not None:
            return GasRegion(*answer, piece)
    return GasRegion("bowel", 0.5, "gas in the belly of no plainer kind", piece)


def _by_mask(piece: GasPiece, frame: _Frame) -> GasKind | None:
    organs = frame.found.coarse.organs
    if organs is None or not frame.names:
        return None
    values = organs[frame.found.number == piece.number]
    counts = np.bincount(values, minlength=256)
    totals: dict[GasKind, int] = {}
    for number, kind in frame.names.items():
        totals[kind] = totals.get(kind, 0) + int(counts[number])
    best = max(totals, key=lambda kind: totals[kind])
    return best if totals[best] >= _MASKED * len(values) else None


def _chest(piece: GasPiece, frame: _Frame) -> tuple[GasKind, float, str] | None:
    if piece.lung:
        return "lung", 0.9, "values of lung"
    if _is_airway(piece, frame):
        return "airway", 0.9, "round at its top, near the middle, between the lungs"
    if piece.beside_lung >= _BULLA:
        return "lung", 0.8, "surrounded by lung"
    if frame.is_above(piece):
        return "other", 0.5, "in the chest, not the airway"
    return None


def _belly(piece: GasPiece, frame: _Frame) -> tuple[GasKind, float, str] | None:
    aside = float(piece.middle_mm[0] - frame.middle[0]) / frame.half_width
    ml = piece.volume_ml
    if (
        _STOMACH_ASIDE[0] < aside < _STOMACH_ASIDE[1]
        and frame.below_top(piece) < _STOMACH_DEEP_MM
        and piece.slenderness < _STOMACH_SLENDER
        and _STOMACH_ML[0] <= ml <= _STOMACH_ML[1]
    ):
        return "stomach", 0.45, "a compact bubble in the upper belly"
    wide = piece.radius_mm >= _COLON_RADIUS_MM
    long = piece.radius_mm >= _COLON_LEAST_MM and piece.slenderness >= _COLON_SLENDER
    if wide or long:
        sure = 0.6 + 0.25 * float(np.clip(np.log10(max(ml, 1.0) / 10.0), 0.0, 1.0))
        return "colon", sure, "wide" if wide else "many times as long as wide"
    return None


def _is_airway(piece: GasPiece, frame: _Frame) -> bool:
    deep = float(piece.high_mm[2] - piece.low_mm[2])
    low, high = _AIRWAY_RADIUS_MM
    if not (
        deep >= _AIRWAY_DEEP_MM and low <= piece.radius_mm <= high and piece.beside_lung > _TOUCHES
    ):
        return False
    if frame.lung_base is None or piece.high_mm[2] < frame.lung_base + 60.0:
        return False
    return _round_on_top(piece, frame)


def _round_on_top(piece: GasPiece, frame: _Frame) -> bool:
    """True if most sections of its top 25 mm are one round disc near the body's middle."""
    coarse = frame.found.coarse
    spacing = coarse.spacing_mm
    sections = np.flatnonzero((frame.found.number == piece.number).any(axis=(0, 1)))
    good = []
    for k in sections[::-1][: max(int(25.0 / spacing[2]), 3)]:
        section = frame.found.number[:, :, k] == piece.number
        good.append(_is_round(section, spacing) and _is_middle(section, int(k), frame))
    return bool(np.mean(good) > 0.6)


def _is_round(section: Bool[np.ndarray, "i j"], spacing: Float64[np.ndarray, "3"]) -> bool:
    pieces, count = ndimage.label(section, np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel())[1:]
    if count == 0 or sizes.max() < 0.8 * sizes.sum():
        return False
    box = ndimage.find_objects(pieces)[int(np.argmax(sizes))]
    area = float(sizes.max() * spacing[0] * spacing[1])
    filled = sizes.max() / np.prod([s.stop - s.start for s in box])
    return bool(_TRACHEA_MM2[0] <= area <= _TRACHEA_MM2[1] and filled >= _ROUND)


def _is_middle(section: Bool[np.ndarray, "i j"], k: int, frame: _Frame) -> bool:
    world = frame.found.coarse.world_from_voxel
    at = np.array([*np.argwhere(section).mean(axis=0), k])
    x = float((world[:3, :3] @ at + world[:3, 3])[0])
    return bool(abs(x - frame.middle[0]) < _TRACHEA_ASIDE_MM)


def _only_largest(regions: list[GasRegion], kind: GasKind, instead: GasKind) -> list[GasRegion]:
    """Of several of a kind by the rules the largest stays; a body has one of them."""
    found = [r for r in regions if r.kind == kind and r.reason != "an organ mask"]
    found.sort(key=lambda region: -region.piece.volume_ml)
    lost = {region.piece.number for region in found[1:]}
    return [
        GasRegion(instead, 0.5, f"like the {kind}, but a larger one was found", r.piece)
        if r.piece.number in lost
        else r
        for r in regions
    ]


def _kind_of(name: str) -> GasKind | None:
    lower = name.lower()
    return next((kind for part, kind in _ORGANS.items() if part in lower), None)


def _extent(found: GasPieces) -> tuple[Float64[np.ndarray, "3"], float, float]:
    """Middle of the body, half its width, and its top, world mm."""
    ends = []
    for axis in range(3):
        others = tuple(k for k in range(3) if k != axis)
        filled = np.flatnonzero(found.inside.sum(axis=others) * voxel_ml(found.coarse) > 0)
        ends.append((filled[0], filled[-1]))
    low, high = np.array(ends, dtype=float).T
    world = found.coarse.world_from_voxel
    middle = world[:3, :3] @ ((low + high) / 2) + world[:3, 3]
    half = float(high[0] - low[0]) / 2 * float(found.coarse.spacing_mm[0])
    top = world[2, 2] * high[2] + world[2, 3]
    return middle, max(half, 1.0), float(top)
