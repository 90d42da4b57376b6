# SPDX-License-Identifier: Apache-2.0
"""The table of methods: each builds, each is light until it is built."""

import subprocess
import sys

import pytest

from endoforge.errors import SettingsError
from endoforge.translation.methods import METHODS, find_method
from endoforge.translation.settings import TranslationSettings


@pytest.mark.parametrize("name", sorted(METHODS))
def test_every_method_has_settings_with_defaults(name):
    method = find_method(name)
    assert method.name == name
    settings = method.settings()()
    assert isinstance(settings, TranslationSettings)
    assert settings.max_gradient_norm is None
    assert type(settings).model_validate(settings.model_dump(mode="json")) == settings


def test_an_unknown_method_is_answered_with_all():
    with pytest.raises(SettingsError, match=r"known: .*gan.*pix2pix"):
        find_method("cyclegun")


def test_settings_of_methods_load_without_heavy_libraries():
    code = (
        "import sys\nfrom endoforge.translation.methods import METHODS\n"
        "[method.settings()() for method in METHODS.values()]\n"
        "print([m for m in ('torch', 'cv2', 'scipy', 'mitsuba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
