# SPDX-License-Identifier: Apache-2.0
"""From scene-linear radiance to the 8-bit picture: the chain of lens, sensor and processor.

The order is that of a real scope. Each stage is a pure function that leaves the picture alone when
its number is 0::

    exposure    gain and automatic exposure of the light that arrives
    haze        smoke, fog on the lens, dirt on the lens, glare
    lens        lateral colour, point spread, vignetting
    sensor      shot and read noise
    processor   edge of the lit area, saturation, response curve to 8 bits, sharpening
    coding      JPEG, H.264
"""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float32, UInt8

from endoforge.distributions import draw
from endoforge.errors import SettingsError
from endoforge.geometry.cameras import Camera
from endoforge.optics import artefacts, lens_faults, response
from endoforge.optics.exposure import exposure
from endoforge.optics.haze import Veils, veil
from endoforge.optics.noise import add_noise
from endoforge.optics.scratch import scratch
from endoforge.optics.settings import SensorSettings

_MOST_SEEDS = 1 << 31


@dataclass(frozen=True)
class SensorResponse:
    """How a lens, a sensor and a camera processor turn radiance into a picture.

    Attributes:
        gain: Sensor value per unit of radiance, before automatic exposure.
        gamma: Exponent of the display's response.
        shoulder: Sensor value above which highlights are compressed, 0 to 1 (exclusive).
        metering: How much of a brightness error automatic exposure corrects, 0 none, 1 all.
        target: Mean linear value that automatic exposure aims at.
        blur_px: Standard deviation of the lens's point spread, px; 0 for none.
        saturation: Distance of colours from grey, times this; 1 for as they are.
        vignetting: Power k of the cosine by which light falls off; 0 for none. Needs a camera.
        fringe_px: Lateral colour in the corners, px; 0 for none.
        corner_blur_px: Standard deviation of further blur in the corners, px; 0 for none.
        edge_px: Width over which the edge of the lit area fades, px. Needs a camera.
        veils: Dirt, fog, smoke and glare.
        shot_noise: Standard deviation of the light's noise at white; 0 for none.
        read_noise: Standard deviation of the read-out, sensor values; 0 for none.
        sharpening: Share of the unsharp mask that is added; 0 for none.
        sharpening_px: Standard deviation of its blur, px.
        jpeg_quality: 1 to 100; 0 for no JPEG.
        h264_quantiser: 1 to 51; 0 for no H.264.
        moment: Frames since the start, with which smoke drifts; set it for each frame.
    """

    gain: float = 1.0
    gamma: float = 2.2
    shoulder: float = 0.6
    metering: float = 0.0
    target: float = 0.27
    blur_px: float = 0.0
    saturation: float = 1.0
    vignetting: float = 0.0
    fringe_px: float = 0.0
    corner_blur_px: float = 0.0
    edge_px: float = 0.0
    veils: Veils = field(default_factory=Veils)
    shot_noise: float = 0.0
    read_noise: float = 0.0
    sharpening: float = 0.0
    sharpening_px: float = 1.0
    jpeg_quality: int = 0
    h264_quantiser: int = 0
    moment: float = 0.0


def sample_sensor(settings: SensorSettings, rng: np.random.Generator) -> SensorResponse:
    """Draw one sensor response from the ranges in the settings."""
    return SensorResponse(
        gain=draw(settings.gain, rng),
        gamma=draw(settings.gamma, rng),
        shoulder=draw(settings.shoulder, rng),
        metering=draw(settings.metering, rng),
        target=draw(settings.target, rng),
        blur_px=draw(settings.blur_px, rng),
        saturation=draw(settings.saturation, rng),
        vignetting=draw(settings.vignetting, rng),
        fringe_px=draw(settings.fringe_px, rng),
        corner_blur_px=draw(settings.corner_blur_px, rng),
        edge_px=draw(settings.edge_px, rng),
        veils=_sample_veils(settings, rng),
        shot_noise=draw(settings.shot_noise, rng),
        read_noise=draw(settings.read_noise, rng),
        sharpening=draw(settings.sharpening, rng),
        sharpening_px=draw(settings.sharpening_px, rng),
        jpeg_quality=round(draw(settings.jpeg_quality, rng)),
        h264_quantiser=round(draw(settings.h264_quantiser, rng)),
    )


def _sample_veils(settings: SensorSettings, rng: np.random.Generator) -> Veils:
    return Veils(
        glare=draw(settings.glare, rng),
        dirt=draw(settings.dirt, rng),
        fog=draw(settings.fog, rng),
        smoke=draw(settings.smoke, rng),
        seed=int(rng.integers(_MOST_SEEDS)),
    )


def develop(
    radiance: Float32[np.ndarray, "height width 3"],
    sensor: SensorResponse,
    rng: np.random.Generator | None = None,
    camera: Camera | None = None,
) -> UInt8[np.ndarray, "height width 3"]:
    """Turn radiance into the picture that the camera processor shows.

    Args:
        radiance: Scene-linear, finite, 0 or more; 0 where the lens sees nothing.
        sensor: What each stage does.
        rng: Random numbers of this frame; only noise asks for them.
        camera: The lens that made the picture; only vignetting and the edge of the lit area ask.

    Returns:
        Display-referred RGB, 0 to 255.

    Raises:
        SettingsError: The sensor has noise and there is no `rng`, or a vignette or an edge and
            there is no `camera`.
    """
    light = _exposed(radiance, sensor)
    light = veil(light, sensor.veils, sensor.moment, out=light)
    light = _through_lens(light, sensor, camera)
    if rng is not None:
        light = add_noise(light, sensor.shot_noise, sensor.read_noise, rng, out=light)
    elif sensor.shot_noise or sensor.read_noise:
        raise SettingsError(
            f"noise of {sensor.shot_noise} (shot) and {sensor.read_noise} (read) needs this "
            "frame's random numbers: hand develop an rng, or set both to 0"
        )
    if camera is not None:
        light = lens_faults.blank(light, camera, sensor.edge_px, out=light)
    image = response.sharpen(_shown(light, sensor), sensor.sharpening, sensor.sharpening_px)
    image = artefacts.through_jpeg(image, sensor.jpeg_quality)
    return artefacts.through_h264(image, sensor.h264_quantiser)


def develop_clean(
    radiance: Float32[np.ndarray, "height width 3"], sensor: SensorResponse
) -> UInt8[np.ndarray, "height width 3"]:
    """The same picture without any fault: the same exposure, saturation and curve, no more.

    Args:
        radiance: Scene-linear, finite, 0 or more.
        sensor: As for `develop`; no random numbers and no camera are asked for.
    """
    return _shown(_exposed(radiance, sensor), sensor)


def _exposed(
    radiance: Float32[np.ndarray, "height width 3"], sensor: SensorResponse
) -> Float32[np.ndarray, "height width 3"]:
    gain = exposure(radiance, sensor.gain, sensor.metering, sensor.target)
    exposed: np.ndarray = np.multiply(
        radiance, np.float32(gain), out=scratch("light", radiance.shape)
    )
    # a highlight does not bleed further than white does
    np.minimum(exposed, np.float32(response.TABLE_END), out=exposed)
    return exposed


def _through_lens(
    light: Float32[np.ndarray, "height width 3"], sensor: SensorResponse, camera: Camera | None
) -> Float32[np.ndarray, "height width 3"]:
    light = lens_faults.fringe(light, sensor.fringe_px, out=light)
    light = lens_faults.spread(light, sensor.blur_px, out=light)
    light = lens_faults.spread_outwards(light, sensor.corner_blur_px, out=light)
    if camera is not None:
        return lens_faults.vignette(light, camera, sensor.vignetting, out=light)
    if sensor.vignetting or sensor.edge_px:
        raise SettingsError(
            f"a vignette of power {sensor.vignetting} and an edge of {sensor.edge_px} px need the "
            "lens: "
            "hand develop the camera that made the picture, or set them to 0"
        )
    return light


def _shown(
    light: Float32[np.ndarray, "height width 3"], sensor: SensorResponse
) -> UInt8[np.ndarray, "height width 3"]:
    coloured = response.saturate(light, sensor.saturation, out=light)
    return response.quantised(coloured, sensor.gamma, sensor.shoulder)
