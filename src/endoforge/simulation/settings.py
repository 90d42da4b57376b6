# SPDX-License-Identifier: Apache-2.0
"""What a simulation can be told. Each part's own settings live beside that part."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from endoforge.optics.settings import LightSettings, SensorSettings, TissueSettings
from endoforge.scene.anatomy.settings import AnatomySettings, ProceduralAnatomy
from endoforge.scene.settings import TrajectorySettings
from endoforge.settings import Settings


class FisheyeSettings(Settings):
    """A wide lens, Kannala-Brandt, principal point in the middle."""

    model: Literal["fisheye"] = "fisheye"
    width: int = Field(320, ge=16, le=4096, description="image width, px")
    height: int = Field(256, ge=16, le=4096, description="image height, px")
    diagonal_deg: float = Field(140.0, gt=10, lt=220, description="field from corner to corner")
    distortion: tuple[float, float, float, float] = Field(
        (0.0, 0.0, 0.0, 0.0), description="Kannala-Brandt k1 to k4; all 0 is equidistant"
    )


class PinholeSettings(Settings):
    """A narrow lens, Brown-Conrady, principal point in the middle."""

    model: Literal["pinhole"] = "pinhole"
    width: int = Field(320, ge=16, le=4096, description="image width, px")
    height: int = Field(256, ge=16, le=4096, description="image height, px")
    horizontal_deg: float = Field(90.0, gt=5, lt=170, description="field from left to right")
    distortion: tuple[float, float, float, float, float] = Field(
        (0.0, 0.0, 0.0, 0.0, 0.0), description="Brown-Conrady k1, k2, p1, p2, k3 (OpenCV's order)"
    )


class CameraFileSettings(Settings):
    """A calibrated camera from a JSON file."""

    file: Path = Field(description="camera file as docs/reference/camera-file.md describes it")


def _camera_kind(value: Any) -> str:
    values = value if isinstance(value, dict) else vars(value)
    return "file" if "file" in values else str(values.get("model", "fisheye"))


CameraSettings = Annotated[
    Annotated[FisheyeSettings, Tag("fisheye")]
    | Annotated[PinholeSettings, Tag("pinhole")]
    | Annotated[CameraFileSettings, Tag("file")],
    Discriminator(_camera_kind),
]


class ColonSimulation(Settings):
    """A camera travelling through colons, one anatomy and one look per sequence."""

    simulator: Literal["colon"] = "colon"
    frames: int = Field(2000, ge=1, description="frames in the whole data set")
    sequence_frames: int = Field(100, ge=1, le=10_000, description="frames per sequence and shard")
    seed: int = Field(0, ge=0, description="same seed and settings, same data set")
    anatomy: AnatomySettings = ProceduralAnatomy()
    camera: CameraSettings = FisheyeSettings()
    tissue: TissueSettings = TissueSettings()
    light: LightSettings = LightSettings()
    sensor: SensorSettings = SensorSettings()
    trajectory: TrajectorySettings = TrajectorySettings()

    @property
    def sequences(self) -> int:
        """Number of sequences; the last one may be shorter."""
        return -(-self.frames // self.sequence_frames)

    def frames_of(self, sequence: int) -> int:
        """Number of frames in one sequence."""
        return min(self.sequence_frames, self.frames - sequence * self.sequence_frames)
