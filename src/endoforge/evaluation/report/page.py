# SPDX-License-Identifier: Apache-2.0
"""Templates to HTML: everything is escaped, nothing is loaded, no script can run.

The page states a content policy that allows its own style sheet by hash and embedded pictures, and
nothing else; a text that slipped through the escaping would still do nothing.
"""

import base64
import hashlib
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import BaseLoader, Environment, StrictUndefined, TemplateNotFound
from markupsafe import Markup

from endoforge.evaluation.report.svg import number

_TEMPLATES = resources.files("endoforge.evaluation.report") / "templates"


def render(template: str, values: Mapping[str, Any]) -> str:
    """Fill in a template of this package.

    Args:
        template: ``"dataset.html.j2"`` or ``"run.html.j2"``.
        values: What the template shows; plain texts are escaped.
    """
    style = _style()
    page = _environment().get_template(template)
    return page.render(
        **values,
        style=Markup(style),
        policy=_policy(style),
    )


# ---- inside -------------------------------------------------------------------------------------


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode("ascii")
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'"
    )


@cache
def _style() -> str:
    return (_TEMPLATES / "report.css").read_text(encoding="utf-8")


class _Templates(BaseLoader):
    def get_source(self, environment: Environment, template: str) -> tuple[str, None, None]:
        file = _TEMPLATES / template
        if not file.is_file():
            raise TemplateNotFound(template)
        return file.read_text(encoding="utf-8"), None, None


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=_Templates(),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = number
    return environment
