# SPDX-License-Identifier: Apache-2.0
"""Hounsfield units of tissues, with and without contrast in the blood.

Medians over eroded masks of two real scans: without contrast TotalSegmentator's example (liver 47,
spleen 35, aorta 42, muscle 26 to 38, gallbladder 3, rib cartilage 114, vertebrae with their shell
110 to 120, lung -780 to -855); about 70 s after injection case 17 of 3D-IRCADb (liver 103, aorta
162, caval and hepatic veins 143, portal vein 186). The rest are textbook ranges: fat -120 to -90,
cortical bone 500 to 1500, spongy bone of lumbar vertebrae 100 to 200, water 0, gas -1000.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Tissue:
    """Hounsfield units by tissue; see the module for sources."""

    artery: float
    vein: float
    portal: float
    hepatic_vein: float
    liver: float
    spleen: float
    cortex: float
    medulla: float
    pancreas: float
    muscle: float
    gut_wall: float
    heart: float
    lung_vessel: float
    air: float = -1000.0
    lung: float = -850.0
    fat: float = -105.0
    inner_fat: float = -100.0
    skin: float = 10.0
    bile: float = 6.0
    urine: float = 4.0
    chyme: float = 22.0
    fluid: float = 15.0
    compact: float = 650.0
    spongy: float = 150.0
    disc: float = 75.0
    cartilage: float = 110.0
    marrow: float = 60.0
    cord: float = 30.0


PLAIN = Tissue(
    artery=42.0, vein=41.0, portal=41.0, hepatic_vein=39.0, liver=56.0, spleen=44.0, cortex=32.0,
    medulla=29.0, pancreas=34.0, muscle=48.0, gut_wall=34.0, heart=40.0, lung_vessel=40.0,
)  # fmt: skip

PORTAL_VENOUS = Tissue(
    artery=160.0, vein=140.0, portal=182.0, hepatic_vein=158.0, liver=106.0, spleen=122.0,
    cortex=195.0, medulla=150.0, pancreas=95.0, muscle=60.0, gut_wall=88.0, heart=135.0,
    lung_vessel=120.0,
)  # fmt: skip
