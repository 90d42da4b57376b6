# SPDX-License-Identifier: Apache-2.0
"""What a simulation can be told. Each part's own settings live beside that part."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from endoforge.distributions import Distribution, check_ends
from endoforge.optics.illumination_settings import IlluminationSettings
from endoforge.optics.settings import LightSettings, SensorSettings, TissueSettings
from endoforge.optics.transfer_settings import TransferSettings
from endoforge.render.settings import TransportSettings
from endoforge.render.volume.settings import DepthRule, QualitySettings
from endoforge.scene.anatomy.abdomen.settings import AbdomenSettings, AnyAbdomen
from endoforge.scene.anatomy.settings import AnatomySettings, ProceduralAnatomy
from endoforge.scene.instruments.settings import InstrumentSettings
from endoforge.scene.paths.settings import LaparoscopeSettings, PathSettings
from endoforge.scene.settings import TrajectorySettings
from endoforge.scene.volume.lumen_settings import LumenSettings
from endoforge.scene.volume.phantom_settings import PhantomSettings
from endoforge.scene.volume.settings import AnyCt
from endoforge.settings import Settings
from endoforge.simulation.camera_settings import CameraSettings, FisheyeSettings
from endoforge.simulation.label_choice import OF_SURFACES, OF_VOLUMES, LabelName, choose_labels
from endoforge.simulation.randomisation import (
    SURFACE_DOMAINS,
    VOLUME_DOMAINS,
    Domain,
    RandomisationSettings,
)


def _labels_kind(value: Any) -> str:
    return "(names)" if isinstance(value, list | tuple) else "(all)"


class Simulation(Settings):
    """What the simulators have in common."""

    frames: int = Field(2000, ge=1, description="frames in the whole data set")
    sequence_frames: int = Field(100, ge=1, le=10_000, description="frames per sequence and shard")
    seed: int = Field(0, ge=0, description="same seed and settings, same data set")
    first_sequence: int = Field(
        0, ge=0, description="number whose random streams the first sequence uses; for replays"
    )
    labels: Annotated[
        Annotated[Literal["all"], Tag("(all)")] | Annotated[tuple[LabelName, ...], Tag("(names)")],
        Discriminator(_labels_kind),
    ] = Field("all", description="labels beyond depth, normals, classes, instances and flow")
    depth_step_mm: float = Field(
        0.005,
        ge=0.0001,
        le=0.1,
        description="resolution of stored depth, mm; 65,535 steps must reach the farthest surface",
    )
    scope: str = Field("", description="shipped scope that camera, light and sensor come from")
    randomise: RandomisationSettings = RandomisationSettings()
    camera: CameraSettings = FisheyeSettings()
    light: LightSettings = LightSettings()
    sensor: SensorSettings = SensorSettings()

    @property
    def domains(self) -> tuple[Domain, ...]:
        """The parts that are drawn, each from random streams of its own."""
        return SURFACE_DOMAINS

    @property
    def sequences(self) -> int:
        """Number of sequences; the last one may be shorter."""
        return -(-self.frames // self.sequence_frames)

    def frames_of(self, sequence: int) -> int:
        """Number of frames in one sequence."""
        return min(self.sequence_frames, self.frames - sequence * self.sequence_frames)

    @property
    def wanted(self) -> tuple[LabelName, ...]:
        """The optional labels that are written."""
        return choose_labels(self.labels, self._missing())

    def _missing(self) -> frozenset[LabelName]:
        """Labels that this scene cannot give."""
        return frozenset() if self.camera.stereo else frozenset({"stereo"})

    @model_validator(mode="after")
    def _can_be_labelled(self) -> "Simulation":
        choose_labels(self.labels, self._missing())
        return self


class SurfaceSimulation(Simulation):
    """What the simulators of surfaces have in common."""

    tracked_points: int = Field(64, ge=0, le=4096, description="points followed in a sequence")
    organs: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="looks that differ from the shipped ones: settings of a tissue, by material",
    )
    instruments: InstrumentSettings = InstrumentSettings()
    transport: TransportSettings = TransportSettings()

    def _missing(self) -> frozenset[LabelName]:
        """Labels that this scene cannot give."""
        missing = {*super()._missing(), *OF_VOLUMES}
        if not self.instruments.tools and self.instruments.channel is None:
            missing.add("keypoints")
            if not self._tissue_moves():
                missing.add("moving")
        return frozenset(missing)

    def _tissue_moves(self) -> bool:
        """Whether the anatomy moves by itself."""
        anatomy = getattr(self, "anatomy", None)
        anatomy = getattr(anatomy, "drawn", anatomy)
        return any(getattr(anatomy, name, None) is not None for name in ("motility", "motion"))


class ColonSimulation(SurfaceSimulation):
    """A camera travelling through colons, one anatomy and one look per sequence."""

    simulator: Literal["colon"] = "colon"
    anatomy: AnatomySettings = ProceduralAnatomy()
    tissue: TissueSettings = TissueSettings()
    trajectory: PathSettings = TrajectorySettings()


class LaparoscopySimulation(SurfaceSimulation):
    """A laparoscope among the organs of an insufflated abdomen."""

    simulator: Literal["laparoscopy"] = "laparoscopy"
    anatomy: AnyAbdomen = AbdomenSettings()
    trajectory: PathSettings = LaparoscopeSettings()


class PupilSettings(Settings):
    """The opening of a real lens, which blurs what is out of focus in the picture alone."""

    aperture_mm: Distribution = Field(
        (0.0, 0.0), description="diameter of the entrance pupil, mm; 0 is sharp everywhere"
    )
    focus_mm: Distribution = Field((20.0, 20.0), description="depth in focus, mm; own choice")

    @model_validator(mode="after")
    def _plausible(self) -> "PupilSettings":
        check_ends(self, {"aperture_mm": (0.0, 50.0), "focus_mm": (1.0, 5000.0)})
        return self


class CinematicSimulation(Simulation):
    """Path-traced views of a CT, from inside or from outside."""

    simulator: Literal["cinematic"] = "cinematic"
    anatomy: AnyCt = PhantomSettings()
    lumen: LumenSettings = LumenSettings()
    trajectory: PathSettings = TrajectorySettings()
    transfer: TransferSettings = TransferSettings(preset="colon-lumen")
    illumination: IlluminationSettings = IlluminationSettings()
    pupil: PupilSettings = PupilSettings()
    quality: QualitySettings = QualitySettings()
    depth: DepthRule = Field(
        "half",
        description="what the depth means: where half of the light is stopped, the mean place of "
        "stopping, or where the first light is; docs/concepts/volume-labels.md",
    )

    @property
    def domains(self) -> tuple[Domain, ...]:
        """The parts that are drawn, each from random streams of its own."""
        return VOLUME_DOMAINS

    def _missing(self) -> frozenset[LabelName]:
        """Labels that a volume cannot give."""
        return OF_SURFACES | super()._missing()


AnySimulation = ColonSimulation | LaparoscopySimulation | CinematicSimulation

#: The simulators by the name that a recipe gives.
SIMULATORS: dict[str, type[AnySimulation]] = {
    "colon": ColonSimulation,
    "laparoscopy": LaparoscopySimulation,
    "cinematic": CinematicSimulation,
}
