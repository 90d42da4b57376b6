# SPDX-License-Identifier: Apache-2.0
"""Which CT is shown: a patient's, or a synthetic one."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag

from endoforge.scene.volume.phantom_settings import PhantomSettings
from endoforge.scene.volume.read_settings import ReadSettings
from endoforge.settings import keys_of

#: Where a phantom comes from.
PHANTOM_PROVENANCE = {"source": "synthetic CT, drawn from rules", "licence": "Apache-2.0"}


class CtFile(ReadSettings):
    """A CT from files."""

    ct: Path = Field(description="a .nii or .nii.gz file, or a folder with one DICOM series")
    remove_couch: bool = Field(
        True,
        description="replace table, mattress, blankets and clothes by air, all that does not hang "
        "together with the body and is thinner than an arm",
    )


def _kind(value: Any) -> str | None:
    keys = keys_of(value)
    if keys is None:
        return None
    return "(ct)" if "ct" in keys else "(phantom)"


AnyCt = Annotated[
    Annotated[CtFile, Tag("(ct)")] | Annotated[PhantomSettings, Tag("(phantom)")],
    Discriminator(_kind),
]
