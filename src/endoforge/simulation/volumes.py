# SPDX-License-Identifier: Apache-2.0
"""The CT of a cinematic sequence and the ways through its gas; the last ones are remembered."""

from functools import lru_cache

from pydantic import TypeAdapter

from endoforge.frames.storage import to_json
from endoforge.scene.volume.air import label_gas
from endoforge.scene.volume.lumen import LumenLines, lumen_lines
from endoforge.scene.volume.lumen_settings import LumenSettings
from endoforge.scene.volume.phantom import phantom
from endoforge.scene.volume.phantom_settings import PhantomSettings
from endoforge.scene.volume.read import read_ct
from endoforge.scene.volume.records import CtVolume
from endoforge.scene.volume.settings import AnyCt, CtFile
from endoforge.streams import stream

_CT: TypeAdapter[CtFile | PhantomSettings] = TypeAdapter(AnyCt)
_REMEMBERED = 8  # phantoms of about 50 MB; of a patient's CT there is only one


def volume_of(anatomy: CtFile | PhantomSettings, seed: int, counter: int) -> CtVolume:
    """Read a patient's CT, or draw the phantom of a counter; sequences may share it.

    Raises:
        DataError, SceneError: The CT or its segmentation cannot be used.
    """
    return _volume(*_key(anatomy, seed, counter))


def ways_of(
    anatomy: CtFile | PhantomSettings, seed: int, counter: int, lumen: LumenSettings
) -> LumenLines:
    """The ways through the gas of that CT.

    Raises:
        DataError, SceneError: The CT cannot be used, or has no such way.
    """
    return _ways(*_key(anatomy, seed, counter), to_json(lumen.model_dump(mode="json")))


def _key(anatomy: CtFile | PhantomSettings, seed: int, counter: int) -> tuple[str, int, int]:
    """What decides the volume: a patient's is the same for all seeds and counters."""
    values = to_json(anatomy.model_dump(mode="json"))
    return (values, 0, 0) if isinstance(anatomy, CtFile) else (values, seed, counter)


@lru_cache(maxsize=_REMEMBERED)
def _volume(settings_json: str, seed: int, counter: int) -> CtVolume:
    settings = _CT.validate_json(settings_json)
    if isinstance(settings, CtFile):
        return read_ct(settings.ct, settings)
    return phantom(settings, stream(seed, "anatomy", counter))


@lru_cache(maxsize=_REMEMBERED)
def _ways(settings_json: str, seed: int, counter: int, lumen_json: str) -> LumenLines:
    volume = _volume(settings_json, seed, counter)
    return lumen_lines(volume, label_gas(volume), LumenSettings.model_validate_json(lumen_json))
