# SPDX-License-Identifier: Apache-2.0
"""Organs side by side: each one is cut where one before it in line already lies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from endoforge.scene.anatomy.abdomen import biliary, cavity, fat, gallbladder, hollow, ligament
from endoforge.scene.anatomy.abdomen import liver as livers
from endoforge.scene.anatomy.abdomen.drawing import AbdomenDraw
from endoforge.scene.anatomy.abdomen.organs import Organ, organ_from
from endoforge.scene.anatomy.abdomen.volumes import Volume, carved, kept_inside

_GAP_MM = 0.3
_ROUND_MM = 1.5
_FINE_MM = 1.0
_TUBES = ("stomach", "duodenum", "colon", "small bowel", "spleen")


@dataclass(eq=False)
class Table:
    """Organs that lie in a room already.

    Attributes:
        room: The room.
        organs: What lies there, in order.
    """

    room: Volume
    organs: dict[str, Organ] = field(default_factory=dict)

    def fitted(self, body: Volume) -> Volume:
        """A body within the room, cut where organs already lie."""
        inside = kept_inside(body, self.room, 0.6, 4.0)
        return carved(inside, self.bodies(self.organs), _GAP_MM, _ROUND_MM)

    def bodies(self, names: Sequence[str] | Mapping[str, Organ]) -> list[Volume]:
        """The bodies of those organs among the named that are there."""
        return [self.organs[name].volume for name in names if name in self.organs]

    def lay(self, organ: Organ) -> None:
        """Put an organ there; one that was given under its name stays instead."""
        self.organs.setdefault(organ.name, organ)


def drawn_organs(
    draw: AbdomenDraw, room: Volume, step_mm: float, given: Mapping[str, Organ] | None = None
) -> list[Organ]:
    """All organs of an abdomen, the wall first; what is given keeps its place."""
    table = Table(room, dict(given or {}))
    _lay_liver(draw, table, step_mm)
    _lay_ducts(draw, table)
    for name in _TUBES:
        if name in draw.tubes and name not in table.organs:
            body = table.fitted(hollow.tube_body(draw.tubes[name], 1.2 * step_mm))
            if _is_there(body):
                table.lay(hollow.hollow_organ(draw.tubes[name], body))
    _lay_fat(draw, table, step_mm)
    for organ in ligament.ligament_organs(draw.ligament, table.organs["liver"].volume, room):
        table.lay(organ)
    return [cavity.wall_organ(draw.cavity, room), *table.organs.values()]


def _lay_liver(draw: AbdomenDraw, table: Table, step_mm: float) -> None:
    """Gallbladder and liver: a drawn liver makes a bed for the gallbladder."""
    if "gallbladder" not in table.organs:
        body = gallbladder.gallbladder_volume(draw.gallbladder, 1.2 * _FINE_MM)
        if "liver" in table.organs:
            body = table.fitted(body)
        table.lay(gallbladder.gallbladder_organ(draw.gallbladder, body))
    if "liver" not in table.organs:
        bladder = table.organs["gallbladder"].volume
        body = livers.liver_volume(draw.liver, table.room, step_mm)
        body = carved(livers.drawn_up(body, bladder), [bladder], _GAP_MM, 3.5)
        table.lay(livers.liver_organ(draw.liver, table.fitted(body)))


def _lay_ducts(draw: AbdomenDraw, table: Table) -> None:
    duct = biliary.duct_body(draw.biliary, 0.6 * _FINE_MM)
    artery = biliary.artery_body(draw.biliary, 0.6 * _FINE_MM)
    for name, body, label, material in (
        ("cystic duct", duct, biliary.DUCT_LABEL, "duct"),
        ("cystic artery", artery, biliary.ARTERY_LABEL, "artery"),
    ):
        fitted = table.fitted(body)
        if name not in table.organs and _is_there(fitted):
            table.lay(organ_from(name, label, material, fitted, 3))


def _is_there(body: Volume) -> bool:
    """Whether anything is left of a small body between the others."""
    return bool((body.values < -0.25).any())


def _lay_fat(draw: AbdomenDraw, table: Table, step_mm: float) -> None:
    cord = table.fitted(biliary.ligament_body(draw.biliary, min(step_mm, 1.5)))
    if _is_there(cord):
        organ = fat.fat_organ("hepatoduodenal ligament", draw.fat, cord, 0.6)
        table.lay(replace(organ, label=biliary.LIGAMENT_LABEL))
    sheet = table.fitted(biliary.triangle_body(draw.biliary, _FINE_MM))
    if _is_there(sheet):
        organ = fat.fat_organ("hepatocystic triangle", draw.fat, sheet, 0.4)
        table.lay(replace(organ, label=biliary.TRIANGLE_LABEL))
    bed = table.fitted(fat.bed_volume(table.room, draw.fat, 1.5 * step_mm))
    table.lay(fat.fat_organ("bed", draw.fat, bed, 0.3))
    under = table.bodies(("duodenum", "colon", "small bowel", "bed"))
    apron = fat.omentum_volume(draw.fat, table.room, under, 1.2 * step_mm)
    apron = fat.with_bands(apron, draw.fat, draw.gallbladder.axis_mm[8:], step_mm)
    table.lay(fat.fat_organ("omentum", draw.fat, table.fitted(apron), 1.0))
