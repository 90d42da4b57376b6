# SPDX-License-Identifier: Apache-2.0
"""The table of all methods of translation; each loads its networks only when it is built.

One more method is one more entry here, two files in `translation.tasks`, and its tests.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from endoforge.errors import SettingsError
from endoforge.translation.settings import TranslationSettings

if TYPE_CHECKING:
    from endoforge.translation.translator import Channels, TranslationTask


@dataclass(frozen=True)
class Method:
    """One way of learning to translate.

    Attributes:
        name: As the command line knows it.
        settings: Loads its settings class.
        data: What a batch holds: only a target, source and target of the same scene, or of two.
        build: From its settings and the domains' channels to a task; weights from torch's seed.
        reverse: True if the real domain is the source and the simulated one the target.
    """

    name: str
    settings: Callable[[], type[TranslationSettings]]
    data: Literal["noise", "paired", "unpaired"]
    build: "Callable[[Any, Channels], TranslationTask]"
    reverse: bool = False


def find_method(name: str) -> Method:
    """Return the method of a name.

    Raises:
        SettingsError: There is none; names all.
    """
    if name not in METHODS:
        raise SettingsError(f"there is no method {name!r}; known: {', '.join(sorted(METHODS))}")
    return METHODS[name]


# ---- the methods --------------------------------------------------------------------------------


def _gan_settings() -> type[TranslationSettings]:
    from endoforge.translation.tasks.gan_settings import GanSettings

    return GanSettings


def _gan(settings: Any, channels: "Channels") -> "TranslationTask":
    from endoforge.translation.tasks.gan import gan_task

    return gan_task(settings, channels)


def _dcgan_settings() -> type[TranslationSettings]:
    from endoforge.translation.tasks.gan_settings import DcganTaskSettings

    return DcganTaskSettings


def _dcgan(settings: Any, channels: "Channels") -> "TranslationTask":
    from endoforge.translation.tasks.gan import dcgan_task

    return dcgan_task(settings, channels)


def _pix2pix_settings() -> type[TranslationSettings]:
    from endoforge.translation.tasks.pix2pix_settings import Pix2pixSettings

    return Pix2pixSettings


def _pix2pix(settings: Any, channels: "Channels") -> "TranslationTask":
    from endoforge.translation.tasks.pix2pix import Pix2pixTask

    return Pix2pixTask(settings, channels)


def _cyclegan_settings() -> type[TranslationSettings]:
    from endoforge.translation.tasks.cyclegan_settings import CycleGanSettings

    return CycleGanSettings


def _cyclegan(settings: Any, channels: "Channels") -> "TranslationTask":
    from endoforge.translation.tasks.cyclegan import CycleGanTask

    return CycleGanTask(settings, channels)


def _cut_settings() -> type[TranslationSettings]:
    from endoforge.translation.tasks.cut_settings import CutSettings

    return CutSettings


def _cut(settings: Any, channels: "Channels") -> "TranslationTask":
    from endoforge.translation.tasks.cut import CutTask

    return CutTask(settings, channels)


def _munit_settings() -> type[TranslationSettings]:
    from endoforge.translation.tasks.munit_settings import MunitSettings

    return MunitSettings


def _munit(settings: Any, channels: "Channels") -> "TranslationTask":
    from endoforge.translation.tasks.munit import MunitTask

    return MunitTask(settings, channels)


def _content_munit_settings() -> type[TranslationSettings]:
    from endoforge.translation.tasks.content_munit_settings import ContentMunitSettings

    return ContentMunitSettings


def _content_munit(settings: Any, channels: "Channels") -> "TranslationTask":
    from endoforge.translation.tasks.content_munit import ContentMunitTask

    return ContentMunitTask(settings, channels)


def _reverse_settings() -> type[TranslationSettings]:
    from endoforge.translation.tasks.reverse_settings import ReverseSettings

    return ReverseSettings


def _reverse(settings: Any, channels: "Channels") -> "TranslationTask":
    from endoforge.translation.tasks.reverse import ReverseTask

    return ReverseTask(settings, channels)


_ALL: tuple[Method, ...] = (
    Method("gan", _gan_settings, "noise", _gan),
    Method("dcgan", _dcgan_settings, "noise", _dcgan),
    Method("pix2pix", _pix2pix_settings, "paired", _pix2pix),
    Method("cyclegan", _cyclegan_settings, "unpaired", _cyclegan),
    Method("cut", _cut_settings, "unpaired", _cut),
    Method("munit", _munit_settings, "unpaired", _munit),
    Method("content-munit", _content_munit_settings, "unpaired", _content_munit),
    Method("reverse", _reverse_settings, "unpaired", _reverse, reverse=True),
)

METHODS: Mapping[str, Method] = {method.name: method for method in _ALL}
