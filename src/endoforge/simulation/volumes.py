# SPDX-License-Identifier: Apache-2.0
"""The CT of a cinematic sequence and where a camera may be in it; the last ones are remembered."""

from functools import lru_cache

from pydantic import TypeAdapter

from endoforge.frames.storage import to_json
from endoforge.scene.paths.room import Room
from endoforge.scene.paths.settings import OrbitSettings
from endoforge.scene.volume.air import label_gas
from endoforge.scene.volume.couch import without_couch
from endoforge.scene.volume.lumen import lumen_lines
from endoforge.scene.volume.lumen_settings import LumenSettings
from endoforge.scene.volume.phantom import phantom
from endoforge.scene.volume.phantom_settings import PhantomSettings
from endoforge.scene.volume.read import read_ct
from endoforge.scene.volume.records import CtVolume
from endoforge.scene.volume.room import lumen_room, outside_room
from endoforge.scene.volume.settings import AnyCt, CtFile
from endoforge.simulation.settings import CinematicSimulation
from endoforge.streams import stream

_CT: TypeAdapter[CtFile | PhantomSettings] = TypeAdapter(AnyCt)
_REMEMBERED = 8  # phantoms of about 50 MB; of a patient's CT there is only one


def volume_of(anatomy: CtFile | PhantomSettings, seed: int, counter: int) -> CtVolume:
    """Read a patient's CT, or draw the phantom of a counter; sequences may share it.

    Raises:
        DataError, SceneError: The CT or its segmentation cannot be used.
    """
    return _volume(*_key(anatomy, seed, counter))


def room_of(
    anatomy: CtFile | PhantomSettings, seed: int, counter: int, lumen: LumenSettings | None
) -> Room:
    """Where a camera may be in that CT: in the gas of a lumen, or around the body.

    Args:
        anatomy: Which CT.
        seed: The run's seed.
        counter: Of the anatomy's random streams.
        lumen: Which gas; None for the outside.

    Raises:
        DataError, SceneError: The CT cannot be used, or has no such gas.
    """
    told = "" if lumen is None else to_json(lumen.model_dump(mode="json"))
    return _room(*_key(anatomy, seed, counter), told)


def room_for(settings: CinematicSimulation, counter: int) -> Room:
    """Where the camera of a simulation may be, inside or outside as its path wants it.

    Raises:
        DataError, SceneError: The CT cannot be used, or has no such gas.
    """
    path = settings.trajectory
    outside = isinstance(path, OrbitSettings) and path.side == "outside"
    lumen = None if outside else settings.lumen
    return room_of(settings.anatomy, settings.seed, counter, lumen)


def _key(anatomy: CtFile | PhantomSettings, seed: int, counter: int) -> tuple[str, int, int]:
    """What decides the volume: a patient's is the same for all seeds and counters."""
    values = to_json(anatomy.model_dump(mode="json"))
    return (values, 0, 0) if isinstance(anatomy, CtFile) else (values, seed, counter)


@lru_cache(maxsize=_REMEMBERED)
def _volume(settings_json: str, seed: int, counter: int) -> CtVolume:
    settings = _CT.validate_json(settings_json)
    if isinstance(settings, CtFile):
        volume = read_ct(settings.ct, settings)
        return without_couch(volume) if settings.remove_couch else volume
    return phantom(settings, stream(seed, "anatomy", counter))


@lru_cache(maxsize=_REMEMBERED)
def _room(settings_json: str, seed: int, counter: int, lumen_json: str) -> Room:
    volume = _volume(settings_json, seed, counter)
    gas = label_gas(volume)
    if not lumen_json:
        return outside_room(gas)
    lumen = LumenSettings.model_validate_json(lumen_json)
    return lumen_room(lumen_lines(volume, gas, lumen), gas)
