"""How privacy masks are drawn in a document."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field, model_validator

from streamproc.config.base import Settings, wrong
from streamproc.config.regions import Ratio, RegionBox


class MaskSettings(Settings):
    """A part of the picture that is black before anything is analysed, kept, drawn or sent: a ``box`` or a ``polygon``."""

    name: str | None = Field(default=None, min_length=1, max_length=128)
    """For people: street, neighbour's window."""
    box: RegionBox | None = None
    polygon: tuple[tuple[Ratio, Ratio], ...] | None = Field(default=None, min_length=3, max_length=50)
    """3 to 50 corners as [x, y] in 0..1 of the upright frame; concave is fine."""

    @model_validator(mode="after")
    def _one_sound_shape(self) -> MaskSettings:
        from shapely.geometry import Polygon
        from shapely.validation import explain_validity

        if (self.box is None) == (self.polygon is None):
            raise wrong("polygon", "draw either box or polygon")
        shape = Polygon(self.points)
        if not shape.is_valid or shape.area <= 0:
            why = explain_validity(shape) if not shape.is_valid else "it covers nothing"
            raise wrong("polygon", f"the outline cannot be filled ({why}); draw the corners in order around the mask")
        return self

    @property
    def points(self) -> tuple[tuple[float, float], ...]:
        """The corners, whichever way it was drawn."""
        return self.polygon if self.polygon is not None else self.box.points if self.box is not None else ()


def check_recording(masks: Sequence[MaskSettings], recorded: bool, asked_for: bool) -> None:
    """Refuse to record a masked camera unless that is asked for: packets are kept as they come, and masks are not in them."""
    if masks and recorded and not asked_for:
        raise wrong(
            "record",
            "recordings keep what the camera sends, without masks; say record: {unmasked: true} if that is meant, or take record out",
        )
