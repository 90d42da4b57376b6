# SPDX-License-Identifier: Apache-2.0
"""Names of organs as segmentation tools and data sets write them, and what they are called here."""

import difflib
from collections.abc import Iterable, Mapping

from endoforge.errors import SceneError

#: Names that become organs of the scene.
USED: Mapping[str, str] = {
    # TotalSegmentator
    "liver": "liver",
    "gallbladder": "gallbladder",
    "stomach": "stomach",
    "duodenum": "duodenum",
    "colon": "colon",
    "small_bowel": "small bowel",
    "spleen": "spleen",
    "pancreas": "pancreas",
    "kidney_right": "kidney right",
    "kidney_left": "kidney left",
    "aorta": "aorta",
    "inferior_vena_cava": "inferior vena cava",
    "portal_vein_and_splenic_vein": "portal vein",
    # 3D-IRCADb
    "rightkidney": "kidney right",
    "leftkidney": "kidney left",
    "artery": "aorta",
    "venoussystem": "inferior vena cava",
    "venacava": "inferior vena cava",
    "portalvein": "portal vein",
    "portalveinandsplenicvein": "portal vein",
    "smallintestin": "small bowel",
}

#: What stands in a 3D-IRCADb case and is not seen from inside the abdomen; a number may follow.
_IRCAD_UNUSED = (
    "livertumor", "livercyst", "liverkyst", "bone", "skin", "leftlung", "rightlung", "lungs",
    "heart", "biliarysystem", "tumor", "leftsurretumor", "rightsurretumor", "leftsurrenalgland",
    "rightsurrenalgland", "surrenalgland", "bladder", "uterus", "metastasectomie", "metal",
    "stomachwall",
)  # fmt: skip

_VERTEBRAE = ("S1", *(f"L{k}" for k in range(5, 0, -1)), *(f"T{k}" for k in range(12, 0, -1)))
_VERTEBRAE = (*_VERTEBRAE, *(f"C{k}" for k in range(7, 0, -1)))


def _both(*names: str, first: str = "left") -> list[str]:
    other = "right" if first == "left" else "left"
    return [f"{name}_{side}" for name in names for side in (first, other)]


#: TotalSegmentator's classes of the task "total" (version 2); the first has number 1.
TOTAL_SEGMENTATOR: tuple[str, ...] = (
    "spleen", "kidney_right", "kidney_left", "gallbladder", "liver", "stomach", "pancreas",
    "adrenal_gland_right", "adrenal_gland_left", "lung_upper_lobe_left", "lung_lower_lobe_left",
    "lung_upper_lobe_right", "lung_middle_lobe_right", "lung_lower_lobe_right", "esophagus",
    "trachea", "thyroid_gland", "small_bowel", "duodenum", "colon", "urinary_bladder", "prostate",
    "kidney_cyst_left", "kidney_cyst_right", "sacrum",
    *(f"vertebrae_{name}" for name in _VERTEBRAE),
    "heart", "aorta", "pulmonary_vein", "brachiocephalic_trunk",
    *_both("subclavian_artery", "common_carotid_artery", first="right"),
    *_both("brachiocephalic_vein"),
    "atrial_appendage_left", "superior_vena_cava", "inferior_vena_cava",
    "portal_vein_and_splenic_vein",
    *_both("iliac_artery", "iliac_vena", "humerus", "scapula", "clavicula", "femur", "hip"),
    "spinal_cord",
    *_both("gluteus_maximus", "gluteus_medius", "gluteus_minimus", "autochthon", "iliopsoas"),
    "brain", "skull",
    *(f"rib_left_{k}" for k in range(1, 13)), *(f"rib_right_{k}" for k in range(1, 13)),
    "sternum", "costal_cartilages",
)  # fmt: skip

_KNOWN = frozenset(USED) | frozenset(TOTAL_SEGMENTATOR) | frozenset(_IRCAD_UNUSED)


def organs_of(names: Iterable[str], source: str) -> dict[str, str | None]:
    """What each name in a file means here; None for what is known and not drawn.

    Raises:
        SceneError: A name is unknown; says which are known.
    """
    found: dict[str, str | None] = {}
    for name in names:
        plain = name.strip().lower().replace("-", "_").replace(" ", "_")
        bare = plain.rstrip("0123456789")
        if plain in USED:
            found[name] = USED[plain]
        elif {plain, bare, name} & _KNOWN:
            found[name] = None
        else:
            raise SceneError(_unknown(name, source))
    return found


def _unknown(name: str, source: str) -> str:
    near = difflib.get_close_matches(name.lower(), _KNOWN, n=1, cutoff=0.7)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return (
        f"{source} names an organ {name!r} that is not known; {hint}known are "
        f"{', '.join(sorted(USED))} and the other classes of TotalSegmentator"
    )
