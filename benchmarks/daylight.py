"""Whether the light of a picture tells day from night: outdoor pictures of the corpus that a judge saw, by mean brightness.

Pictures of one scene (moments of one clip) are one scene. A rule is what one threshold says; it is chosen on all scenes but one and tried on that one,
for each scene in turn, so that the figure is of scenes that nothing was chosen by.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from benchmarks.common import arguments, report
from benchmarks.label_truth import judged

NIGHT = ("video/aws_person_night.mp4", "video/aws_pet_night.mp4", "faces/compreface/008_B.jpg")
"""Scenes by night, by one look of one judge; all others that are outdoors are by day."""


@dataclass(frozen=True)
class Scene:
    """One place at one time."""

    name: str
    light: tuple[float, ...]
    """Mean brightness of each picture, 0..255."""

    @property
    def night(self) -> bool:
        return self.name in NIGHT


def threshold(scenes: Sequence[Scene]) -> float:
    """Below which most scenes are told right: by night those below it, by day the others, day and night counting alike."""
    lights = sorted({value for scene in scenes for value in scene.light})
    return max(lights, key=lambda least: _balance(scenes, least))


def _balance(scenes: Sequence[Scene], least: float) -> float:
    parts = [
        [np.mean([(light < least) == night for light in each.light]) for each in scenes if each.night == night]
        for night in (True, False)
    ]
    return float(sum(np.mean(part) for part in parts if part))


def main() -> None:
    options = arguments(__doc__)
    found: dict[str, list[float]] = {}
    for picture in judged(options.corpus):
        if "Outdoors" in picture.true:
            grey = cv2.cvtColor(picture.read(options.corpus), cv2.COLOR_BGR2GRAY)
            found.setdefault(picture.key.partition("@")[0], []).append(float(grey.mean()))
    scenes = [Scene(name, tuple(lights)) for name, lights in found.items()]
    told = {"Night": [0, 0], "Day": [0, 0]}
    rows = []
    for scene in scenes:
        least = threshold([each for each in scenes if each is not scene])
        for light in scene.light:
            told["Night" if light < least else "Day"][(light < least) == scene.night] += 1
        rows.append(
            {
                "scene": scene.name,
                "night": scene.night,
                "light": round(float(np.mean(scene.light)), 1),
                "below": round(least, 1),
            }
        )
    figures = {
        "scenes_by_night": sum(each.night for each in scenes),
        "scenes_by_day": sum(not each.night for each in scenes),
    }
    for name, (wrong, right) in told.items():
        figures |= {f"told_{name.lower()}": wrong + right, f"right_{name.lower()}": right}
    report(options, figures=figures, rows=sorted(rows, key=lambda row: row["light"]))


if __name__ == "__main__":
    main()
