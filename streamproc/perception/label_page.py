"""Writes docs/labels.md: every label, what is above it, what finds it, and the most that it can be told with.

``python -m streamproc.perception.label_page > docs/labels.md``
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterator

from streamproc.perception.calibration import calibrations
from streamproc.perception.taxonomy import Label, taxonomy
from streamproc.perception.word_sums import word_sums
from streamproc.vision.names import COCO, OPEN_IMAGES_24

_TOLD = 50.0
_BY_FACES = {"Face": 100.0, "Man": 100.0, "Woman": 100.0, "Adult": 100.0, "Smile": 100.0}
_BY_SCENE = {"Indoors": 100.0, "Outdoors": 100.0}
_BY_COUNT = {"Crowd": 100.0}
_HEAD = """# Labels

Written by `make docs`; do not edit. {total} names, {told} of which can be told at the default confidence of 50 with `{first}`.

- **found by**: *objects* are the detectors' classes, with boxes; *classifier* is an ImageNet classifier on the whole picture, on crops of objects
  and on people's upper and lower halves, each label with the sum of all classes below it; *faces* are face attributes, told where a face is
  large, frontal and sure; *scene* is what shares and objects say together; *count* counts people; *narrower* labels bring it along.
- **most**: the highest confidence that it is told with, by classifier (`{first}` / `{second}`). A label of a family without judged pictures is
  told with 75 at most, because nobody has measured how often it is right. Under 50 it is there for those who ask for less.
- Filters match names, other names and categories in any case of letters. A filter for a name that is not on this page finds nothing, and the
  log says so once (`label_filter_unknown`).
- Not told: Day and Night. Brightness does not part them (`python -m benchmarks.daylight`, [accuracy.md](accuracy.md)): a street under lamps is as bright
  as a road on a grey day, and three scenes by night are too few to calibrate anything on.
- Not told: Standing, Walking, Running and Sitting. No model here sees limbs, and no picture or clip of the test corpus says who stands, walks, runs or
  sits, so there is neither a finder nor a truth that its percentage could be fitted on. That somebody moves on is known of tracks, not of labels.
- How often a label is right, by band of confidence and by family: `python -m benchmarks.labels --bands`, and [accuracy.md](accuracy.md).
"""


def page() -> str:
    """The whole page."""
    words = taxonomy()
    first, second = calibrations()
    rows: dict[str, list[str]] = defaultdict(list)
    told = 0
    for label in sorted(words.labels.values(), key=lambda each: each.name):
        most = {name: _most(label.name, name) for name in (first, second)}
        told += most[first] >= _TOLD
        figures = f"{most[first]:.0f} / {most[second]:.0f}"
        also = ", ".join(label.aliases)
        above = ", ".join(label.parents)
        rows[label.categories[0]].append(
            f"| {label.name} | {also} | {above} | {', '.join(_finders(label))} | {figures} |"
        )
    parts = [_HEAD.format(total=len(words.labels), told=told, first=first, second=second)]
    for category in sorted(rows):
        parts += [
            f"## {category}\n",
            "| label | other names | broader | found by | most |",
            "|---|---|---|---|---|",
            *rows[category],
            "",
        ]
    parts += ["## Left out\n", "Classes of ImageNet that lead to no label.\n", "| class | why |", "|---|---|"]
    parts += [f"| {name} | {why} |" for name, why in words.left_out.items()]
    return "\n".join(parts) + "\n"


def _finders(label: Label) -> Iterator[str]:
    words = taxonomy()
    if any(words.models.get(name) == label.name for name in _detected()):
        yield "objects"
    if label.name in words.imagenet.values():
        yield "classifier"
    for name, found in (("faces", _BY_FACES), ("scene", _BY_SCENE), ("count", _BY_COUNT)):
        if label.name in found:
            yield name
    if any(label.name in each.parents for each in words.labels.values()):
        yield "narrower"


def _most(name: str, classifier: str) -> float:
    """0..100, of a label or of what is below it."""
    words, sums = taxonomy(), word_sums()
    others = _BY_FACES | _BY_SCENE | _BY_COUNT
    below = [each for each in words.labels if words.is_a(each, name)]
    if any(words.models.get(each) in below for each in _detected()) or any(each in others for each in below):
        return 100.0
    return max(calibrations()[classifier].most(each, words, sums) for each in below)


def _detected() -> Iterator[str]:
    from streamproc.perception.detect import common_name

    yield from (common_name(name) for name in (*COCO, *OPEN_IMAGES_24))


if __name__ == "__main__":
    sys.stdout.write(page())
