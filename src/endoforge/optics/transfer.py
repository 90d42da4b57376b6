# SPDX-License-Identifier: Apache-2.0
"""From Hounsfield units to optical properties: the transfer function of a cinematic picture.

What lies between the stated points, which values are refused, and the table that the renderer
reads. Files and presets are in `optics.transfer_file`.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, Float64, UInt8

from endoforge.errors import SettingsError

#: The table's first and last entry, HU: the range of a 12 bit scanner and a little air below.
LOWEST_HU, HIGHEST_HU = -1100.0, 3100.0

#: Entries of the table; 4.1 HU apart.
ENTRIES = 1024

#: Columns of the table.
EXTINCTION, RED, GREEN, BLUE, ROUGHNESS, F0 = range(6)

#: Less extinction than this, 1/mm, is empty: it stops a share of 1e-4 of the light over a metre.
EMPTY_PER_MM = 1e-7

#: A renderer whose steps shrink with 1/extinction would stand still beyond this, 1/mm.
MOST_PER_MM = 1000.0

#: No scan is steeper than this, HU/mm: air beside metal in voxels of 0.3 mm.
STEEPEST = 5000.0

_SIDES = frozenset({"left", "right"})


@dataclass(frozen=True, eq=False)
class OpticalCurve:
    """Optical properties over Hounsfield units, linear between stated points, constant beyond.

    Attributes:
        hu: Where they are stated, rising.
        extinction_per_mm: Extinction coefficient, 1/mm; absorption and scattering together.
        albedo: Share of the extinguished light that is scattered, linear RGB, 0 to 1.
        roughness: GGX roughness alpha of the surface where the gradient is strong, 0 to 1.
        f0: Reflectance of that surface when lit and seen squarely, 0 to 1.
    """

    hu: Float64[np.ndarray, "points"]
    extinction_per_mm: Float64[np.ndarray, "points"]
    albedo: Float64[np.ndarray, "points 3"]
    roughness: Float64[np.ndarray, "points"]
    f0: Float64[np.ndarray, "points"]


@dataclass(frozen=True)
class GradientRamp:
    """Lets extinction count in full only where HU change steeply, as at the border of an organ.

    The extinction is multiplied by `floor` where HU change by less than `from_hu_per_mm`, by 1
    where they change by more than `to_hu_per_mm`, and linearly in between. How steep HU are is the
    length of their gradient at each voxel (central differences over two voxels, in mm of the
    world), linear between voxels.

    Attributes:
        from_hu_per_mm: 0 or more.
        to_hu_per_mm: More than that.
        floor: What is left of the extinction where HU are even, 0 to 1.

    Source:
        Levoy, *Display of surfaces from volume data*, 1988, section 3.
    """

    from_hu_per_mm: float
    to_hu_per_mm: float
    floor: float = 0.0

    def factor(self, hu_per_mm: np.ndarray) -> Float64[np.ndarray, "*values"]:
        """What the extinction is multiplied by.

        Example:
            >>> GradientRamp(10.0, 30.0, 0.5).factor(np.array([0.0, 20.0, 99.0])).tolist()
            [0.5, 0.75, 1.0]
        """
        width = self.to_hu_per_mm - self.from_hu_per_mm
        share = np.clip((np.asarray(hu_per_mm, np.float64) - self.from_hu_per_mm) / width, 0, 1)
        return np.asarray(self.floor + (1 - self.floor) * share)


@dataclass(frozen=True, eq=False)
class TransferFunction:
    """How tissue of a CT scatters light.

    A scattering event is one at a surface with probability
    1 - exp(-|gradient of HU| / `surface_hu_per_mm`), else one of the phase function.

    Attributes:
        name: As in its file.
        curve: For tissue of no segmented organ.
        organs: For voxels of segmented organs, by the organ's name.
        anisotropy: Mean cosine g of the Henyey-Greenstein phase function, -0.95 to 0.95.
        surface_hu_per_mm: How steep the HU must be to act as a surface; large: never.
        about: What it shows and where its figures come from.
        gradient: How the extinction depends on the gradient of HU; None: not at all.
    """

    name: str
    curve: OpticalCurve
    organs: Mapping[str, OpticalCurve] = field(default_factory=dict)
    anisotropy: float = 0.2
    surface_hu_per_mm: float = 60.0
    about: str = ""
    gradient: GradientRamp | None = None


def check_transfer(transfer: TransferFunction) -> TransferFunction:
    """Refuse a transfer function that cannot be drawn; return it if it can.

    Raises:
        SettingsError: Says which part is wrong, what came and what was expected.
    """
    for name, curve in {"": transfer.curve, **transfer.organs}.items():
        check_curve(curve, f"{transfer.name!r}" + (f", organ {name!r}" if name else ""))
    if not -0.95 <= transfer.anisotropy <= 0.95:
        raise SettingsError(
            f"transfer function {transfer.name!r}: anisotropy must lie within -0.95 to 0.95, got "
            f"{transfer.anisotropy}"
        )
    if not transfer.surface_hu_per_mm > 0:
        raise SettingsError(
            f"transfer function {transfer.name!r}: surface_hu_per_mm must be above 0, got "
            f"{transfer.surface_hu_per_mm}; for no surfaces at all make it large, such as 1e9"
        )
    if transfer.gradient is not None:
        check_gradient(transfer.gradient, repr(transfer.name))
    curves = (transfer.curve, *transfer.organs.values())
    nowhere = not any((c.extinction_per_mm > EMPTY_PER_MM).any() for c in curves)
    if nowhere or (transfer.curve.extinction_per_mm > EMPTY_PER_MM).all():
        where = "nowhere" if nowhere else "everywhere"
        raise SettingsError(
            f"transfer function {transfer.name!r} is opaque {where}: its extinction must be 0 at "
            "some HU, such as air's -1000, and above 0 at others"
        )
    return transfer


def check_gradient(ramp: GradientRamp, source: str) -> None:
    """Refuse a ramp that does not rise or leaves more than there is.

    Raises:
        SettingsError: Names the number and the value.
    """
    if not 0 <= ramp.from_hu_per_mm < ramp.to_hu_per_mm <= STEEPEST:  # also what is no number
        raise SettingsError(
            f"transfer function {source}: gradient must rise from 0 HU/mm or more to a larger "
            f"number up to {STEEPEST:g}, got from_hu_per_mm {ramp.from_hu_per_mm:g} and "
            f"to_hu_per_mm {ramp.to_hu_per_mm:g}"
        )
    if not 0 <= ramp.floor <= 1:
        raise SettingsError(
            f"transfer function {source}: the gradient's floor must lie within 0 to 1, got "
            f"{ramp.floor:g}"
        )


def check_curve(curve: OpticalCurve, source: str) -> None:
    """Refuse points that do not rise and properties that no matter has.

    Raises:
        SettingsError: Names the property, the HU and the value.
    """
    hu = curve.hu
    if len(hu) < 2 or not np.isfinite(hu).all() or not (np.diff(hu) > 0).all():
        raise SettingsError(
            f"transfer function {source}: it needs two points or more whose hu rise, got "
            f"{hu[:12].tolist()}"
        )
    limits = {"extinction_per_mm": MOST_PER_MM, "albedo": 1.0, "roughness": 1.0, "f0": 1.0}
    for name, most in limits.items():
        values = np.asarray(getattr(curve, name)).reshape(len(hu), -1)
        wrong = ~((values >= 0) & (values <= most))  # also what is no number
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            raise SettingsError(
                f"transfer function {source}: {name} must lie within 0 to {most:g}, got "
                f"{values[row, column]:g} at {hu[row]:g} HU"
            )


def properties(
    curve: OpticalCurve, hu: Float64[np.ndarray, "values"]
) -> Float64[np.ndarray, "values 6"]:
    """Extinction (1/mm), albedo (RGB), roughness and f0 at given Hounsfield units.

    Example:
        >>> ramp = np.array([0.0, 1.0])
        >>> curve = OpticalCurve(100 * ramp, 2 * ramp, np.ones((2, 3)), ramp, ramp)
        >>> float(properties(curve, np.array([25.0]))[0, EXTINCTION])
        0.5
    """
    columns = (curve.extinction_per_mm, *curve.albedo.T, curve.roughness, curve.f0)
    return np.stack([np.interp(hu, curve.hu, column) for column in columns], axis=-1)


def lut(curve: OpticalCurve, entries: int = ENTRIES) -> Float32[np.ndarray, "entries 6"]:
    """Tabulate a curve: what lies between two entries is interpolated linearly.

    Pictures and labels both read the table, so both see the same medium. Nothing is averaged: an
    entry is the curve's value there, and where the curve is empty on both sides of an interval the
    table is too.

    Args:
        curve: Checked by `check_curve`.
        entries: From `LOWEST_HU` to `HIGHEST_HU`, evenly; beyond them the ends hold.

    Returns:
        Columns extinction (1/mm), red, green, blue, roughness, f0.
    """
    return properties(curve, np.linspace(LOWEST_HU, HIGHEST_HU, entries)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class OrganTables:
    """Tables of all organs that a volume names.

    Attributes:
        tables: One per distinct curve; the first is that of no organ.
        table_of_organ: Which one holds for each organ number.
        ramp: How the extinction of all of them depends on the gradient of HU.
    """

    tables: Float32[np.ndarray, "tables entries 6"]
    table_of_organ: UInt8[np.ndarray, "256"]
    ramp: GradientRamp | None = None


def organ_tables(
    transfer: TransferFunction, organ_names: Mapping[int, str], entries: int = ENTRIES
) -> OrganTables:
    """Tabulate a transfer function for a volume's organs.

    Case, underscores, hyphens and the words left and right do not count ("kidney_left" is
    "kidney"). An organ takes the curve of its name, else the one whose name its own begins with
    ("vertebrae_L1" takes "vertebrae"), else the one of no organ.

    Args:
        transfer: Checked by `check_transfer`.
        organ_names: Of the volume, by number.
        entries: Of each table.
    """
    named = {plain_name(name): curve for name, curve in transfer.organs.items()}
    tables = [lut(transfer.curve, entries)]
    places = {tables[0].tobytes(): 0}  # organs of equal curves share a table
    which = np.zeros(256, np.uint8)
    for number, organ in sorted(organ_names.items()):
        if (name := _curve_name(plain_name(organ), named)) is not None:
            table = lut(named[name], entries)
            which[number] = places.setdefault(table.tobytes(), len(tables))
            if which[number] == len(tables):
                tables.append(table)
    return OrganTables(np.stack(tables), which, transfer.gradient)


def _curve_name(organ: str, named: Collection[str]) -> str | None:
    """The longest of the names that an organ's name begins with, word by word."""
    words = organ.split()
    starts = (" ".join(words[:count]) for count in range(len(words), 0, -1))
    return next((start for start in starts if start in named), None)


def plain_name(organ: str) -> str:
    """An organ's name without case, sides and punctuation.

    Example:
        >>> plain_name("Kidney_left")
        'kidney'
    """
    words = organ.lower().replace("_", " ").replace("-", " ").split()
    return " ".join(word for word in words if word not in _SIDES)
