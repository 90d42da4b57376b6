# SPDX-License-Identifier: Apache-2.0
"""Settings for a processor without a graphics card: narrow networks, pictures of 128 px.

A step on a piece of 64 px takes a quarter of a second on one core, and a translator has less than
10 MB; the papers' networks, which are the defaults, take some 40 times as long. The step size is
larger and the average of the weights shorter, for trainings of some thousand steps; so that those
are not spent on learning to copy, residual generators begin with their input and content codes
carry fine detail. One judge of
70 px patches stands in for MUNIT's three without normalisation: told to tell real laparoscopies
from blurred simulated ones, it is sure after 300 steps, those are not after 350. All this is our
own choice.
"""

from collections.abc import Mapping
from typing import Any

from endoforge.errors import SettingsError
from endoforge.settings import validate
from endoforge.translation.methods import find_method
from endoforge.translation.settings import TranslationSettings

_PICTURES = {"height": 128, "crop": 64}
_SHORT = {"pictures": _PICTURES, "learning_rate": 4e-4, "average": 0.995, "steps": 3000}
_CHANGE = {"width": 16, "blocks": 6, "from_input": True}
_RESIDUAL = {**_SHORT, "generator": _CHANGE, "judge": {"width": 16}}
_ONE_PATCH = {
    "width": 16, "layers": 3, "scales": 1, "norm": "instance", "head": "patch", "padding": "zeros",
}  # fmt: skip
_CODED = {**_SHORT, "codes": {"width": 16, "halvings": 1, "detail": True}, "judge": _ONE_PATCH}

#: What differs from a method's defaults. One halving instead of two: the content code of a picture
#: of 128 px is then as fine as that of one of 256 px in the papers, at the same cost.
NARROW: Mapping[str, Mapping[str, Any]] = {
    "cyclegan": _RESIDUAL,
    "cut": _RESIDUAL,
    "munit": _CODED,
    "content-munit": _CODED,
}


def narrow(method: str, values: Mapping[str, Any]) -> TranslationSettings:
    """Return a method's settings for a processor.

    Args:
        method: One of `NARROW`.
        values: More settings; groups may be given in part.

    Raises:
        SettingsError: The method has no narrow form, or a value is wrong.
    """
    if method not in NARROW:
        raise SettingsError(f"expected one of {', '.join(NARROW)}, got {method!r}; set its widths")
    together: dict[str, Any] = {**NARROW[method]}
    for name, value in values.items():
        both = isinstance(together.get(name), Mapping) and isinstance(value, Mapping)
        together[name] = {**together[name], **value} if both else value
    return validate(find_method(method).settings(), together)
