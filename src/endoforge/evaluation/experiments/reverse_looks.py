# SPDX-License-Identifier: Apache-2.0
"""Two looks of one drawn colon: plain, and as another hospital's scope and other patients show it.

Both are changes to a recipe of colons. Anatomy, lens and ways are the same on both sides, so what
parts them is how things look. Imports nothing heavy.
"""

#: One colour without vessels, one lamp, one camera: nothing differs from patient to patient, as in
#: the simulated pictures of Mahmood, Chen & Durr, 2018. The middle of colon-depth's ranges.
ONE_LOOK: tuple[str, ...] = (
    "tissue.red=0.66",
    "tissue.green_of_red=0.32",
    "tissue.blue_of_green=0.57",
    "tissue.coarse_vessels=0",
    "tissue.fine_vessels=0",
    "tissue.mottling=0.03",
    "tissue.relief=0.03",
    "tissue.roughness=0.05",
    "tissue.refraction=1.38",
    "tissue.softness=0.6",
    "tissue.edge_glow=0.6",
    "tissue.interreflection=0.35",
    "light.offset_mm=3",
    "light.mu=1.75",
    "light.intensity=2200",
    "light.balance=1",
    "light.warmth=0",
    "sensor.gain=1",
    "sensor.gamma=2.2",
    "sensor.shoulder=0.6",
    "sensor.metering=0",
    "sensor.blur_px=0.6",
)

#: Pale mucosa full of vessels, different from patient to patient; a weaker, warmer, narrower lamp;
#: a camera that vignettes, sharpens and adds noise. Outside of what ONE_LOOK shows; own choice.
RETEXTURED: tuple[str, ...] = (
    "tissue.red=[0.6,0.8]",
    "tissue.green_of_red=[0.45,0.6]",
    "tissue.blue_of_green=[0.5,0.75]",
    "tissue.coarse_vessels=[0.6,0.9]",
    "tissue.fine_vessels=[0.7,1.0]",
    "tissue.mottling=[0.12,0.25]",
    "tissue.relief=[0.08,0.14]",
    "tissue.wetness=0.4",
    "tissue.roughness=[0.03,0.06]",
    "light.sources=2",
    "light.offset_mm=[3,5]",
    "light.mu=[2.5,3.0]",
    "light.intensity=[1400,1700]",
    "light.warmth=[0.1,0.2]",
    "sensor.metering=[0,0.1]",
    "sensor.vignetting=[0.8,1.4]",
    "sensor.glare=0.02",
    "sensor.gamma=[2.4,2.6]",
    "sensor.shot_noise=0.02",
    "sensor.sharpening=[0.6,1.0]",
    "sensor.saturation=[0.9,1.0]",
)
