# SPDX-License-Identifier: Apache-2.0
"""Settings of light, tissue and sensor are documented, bounded and cheap to import."""

import subprocess
import sys

import pytest
from pydantic import ValidationError

from endoforge.optics.settings import LightSettings, PlacedSource, SensorSettings, TissueSettings


@pytest.mark.parametrize("kind", [LightSettings, PlacedSource, TissueSettings, SensorSettings])
def test_every_setting_says_what_it_is(kind):
    for name, field in kind.model_fields.items():
        assert field.description, name


def test_a_range_upside_down_is_refused():
    with pytest.raises(ValidationError, match=r"0\.9.*above.*0\.5"):
        TissueSettings(red=(0.9, 0.5))


def test_settings_load_no_heavy_library():
    code = (
        "import sys, endoforge.optics.settings;"
        "sys.exit(any(name in sys.modules for name in ('numpy', 'cv2', 'mitsuba', 'scipy')))"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
