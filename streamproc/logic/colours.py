"""Dominant colours of a picture, named: the nearest CSS colour, and one of twelve plain ones.

The service tells that there are twelve simplified colours but not which; ours are the basic colour terms of English that it was seen to
use and their company. Names of CSS colours and their values are those of CSS Color Module Level 4, section 6.1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
import numpy.typing as npt

from streamproc.core.media import Image

_SIDE = 160
_CENTRES = 12

CSS = (
    "aliceblue f0f8ff antiquewhite faebd7 aquamarine 7fffd4 azure f0ffff beige f5f5dc bisque ffe4c4 black 000000 "
    "blanchedalmond ffebcd blue 0000ff blueviolet 8a2be2 brown a52a2a burlywood deb887 cadetblue 5f9ea0 chartreuse 7fff00 "
    "chocolate d2691e coral ff7f50 cornflowerblue 6495ed cornsilk fff8dc crimson dc143c cyan 00ffff darkblue 00008b "
    "darkcyan 008b8b darkgoldenrod b8860b darkgrey a9a9a9 darkgreen 006400 darkkhaki bdb76b darkmagenta 8b008b "
    "darkolivegreen 556b2f darkorange ff8c00 darkorchid 9932cc darkred 8b0000 darksalmon e9967a darkseagreen 8fbc8f "
    "darkslateblue 483d8b darkslategrey 2f4f4f darkturquoise 00ced1 darkviolet 9400d3 deeppink ff1493 deepskyblue 00bfff "
    "dimgrey 696969 dodgerblue 1e90ff firebrick b22222 floralwhite fffaf0 forestgreen 228b22 fuchsia ff00ff gainsboro dcdcdc "
    "ghostwhite f8f8ff gold ffd700 goldenrod daa520 grey 808080 green 008000 greenyellow adff2f honeydew f0fff0 hotpink ff69b4 "
    "indianred cd5c5c indigo 4b0082 ivory fffff0 khaki f0e68c lavender e6e6fa lavenderblush fff0f5 lawngreen 7cfc00 "
    "lemonchiffon fffacd lightblue add8e6 lightcoral f08080 lightcyan e0ffff lightgoldenrodyellow fafad2 lightgreen 90ee90 "
    "lightgrey d3d3d3 lightpink ffb6c1 lightsalmon ffa07a lightseagreen 20b2aa lightskyblue 87cefa lightslategrey 778899 "
    "lightsteelblue b0c4de lightyellow ffffe0 lime 00ff00 limegreen 32cd32 linen faf0e6 maroon 800000 mediumaquamarine 66cdaa "
    "mediumblue 0000cd mediumorchid ba55d3 mediumpurple 9370db mediumseagreen 3cb371 mediumslateblue 7b68ee "
    "mediumspringgreen 00fa9a mediumturquoise 48d1cc mediumvioletred c71585 midnightblue 191970 mintcream f5fffa "
    "mistyrose ffe4e1 moccasin ffe4b5 navajowhite ffdead navy 000080 oldlace fdf5e6 olive 808000 olivedrab 6b8e23 orange ffa500 "
    "orangered ff4500 orchid da70d6 palegoldenrod eee8aa palegreen 98fb98 paleturquoise afeeee palevioletred db7093 "
    "papayawhip ffefd5 peachpuff ffdab9 peru cd853f pink ffc0cb plum dda0dd powderblue b0e0e6 purple 800080 rebeccapurple 663399 "
    "red ff0000 rosybrown bc8f8f royalblue 4169e1 saddlebrown 8b4513 salmon fa8072 sandybrown f4a460 seagreen 2e8b57 "
    "seashell fff5ee sienna a0522d silver c0c0c0 skyblue 87ceeb slateblue 6a5acd slategrey 708090 snow fffafa springgreen 00ff7f "
    "steelblue 4682b4 tan d2b48c teal 008080 thistle d8bfd8 tomato ff6347 turquoise 40e0d0 violet ee82ee wheat f5deb3 white ffffff "
    "whitesmoke f5f5f5 yellow ffff00 yellowgreen 9acd32"
)
SIMPLIFIED = (
    "black", "blue", "brown", "cyan", "green", "grey", "orange", "pink", "purple", "red", "white", "yellow"
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Colour:
    """One dominant colour."""

    red: int
    green: int
    blue: int
    css: str
    simplified: str
    share: float
    """Of the pixels, 0..100."""

    @property
    def hex(self) -> str:
        return f"#{self.red:02x}{self.green:02x}{self.blue:02x}"


def dominant_colours(image: Image, most: int = 10) -> list[Colour]:
    """The colours that cover most of a BGR picture, most first, each snapped to the nearest CSS colour."""
    scale = _SIDE / max(image.shape[:2])
    small = image if scale >= 1 else cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    pixels = _lab(np.asarray(small, np.uint8).reshape(-1, 3))
    count = min(_CENTRES, len(np.unique(np.round(pixels), axis=0)))
    criteria = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 12, 1.0)
    cv2.setRNGSeed(0)
    _, labels, centres = cv2.kmeans(pixels, count, None, criteria, 1, cv2.KMEANS_PP_CENTERS)
    names, values, labs = _css()
    nearest = np.linalg.norm(centres[:, None] - labs[None], axis=2).argmin(1)
    shares: dict[int, float] = {}
    for index, covered in zip(nearest.tolist(), np.bincount(labels.ravel(), minlength=count), strict=True):
        shares[index] = shares.get(index, 0.0) + 100.0 * float(covered) / len(pixels)
    ordered = sorted(shares.items(), key=lambda item: (-item[1], names[item[0]]))
    return [
        Colour(*_rgb(values[index]), css=names[index], simplified=plain_name(names[index], values[index]), share=share)
        for index, share in ordered[:most]
    ]


def plain_name(css: str, rgb: npt.NDArray[np.uint8]) -> str:
    """One of the twelve. What CSS calls a grey is one (the service was seen to say so of darkslategrey)."""
    return "grey" if css.endswith("grey") else simplified(rgb)


def simplified(rgb: npt.NDArray[np.uint8]) -> str:
    """One of the twelve plain names, by hue, saturation and lightness."""
    hue, light, saturation = (float(v) for v in cv2.cvtColor(rgb.reshape(1, 1, 3), cv2.COLOR_RGB2HLS)[0, 0])
    hue, light, saturation = hue * 2, light / 255, saturation / 255
    if light < 0.1:
        return "black"
    if light > 0.93:
        return "white"
    if saturation < 0.16 or (saturation < 0.3 and light < 0.2):
        return "grey"
    if hue < 15 or hue >= 345:
        return "pink" if light > 0.7 else "red"
    if hue < 45:
        return "brown" if light < 0.45 or saturation < 0.45 else "orange"
    if hue < 70:
        return "yellow" if light > 0.3 else "brown"
    if hue < 165:
        return "green"
    if hue < 195:
        return "cyan"
    if hue < 255:
        return "blue"
    if hue < 320 and light < 0.7:
        return "purple"
    return "pink"


def _rgb(value: npt.NDArray[np.uint8]) -> tuple[int, int, int]:
    red, green, blue = (int(part) for part in value)
    return red, green, blue


def _lab(bgr: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
    scaled = bgr.reshape(1, -1, 3).astype(np.float32) / 255
    return np.asarray(cv2.cvtColor(scaled, cv2.COLOR_BGR2LAB), np.float32).reshape(-1, 3)


@cache
def _css() -> tuple[list[str], npt.NDArray[np.uint8], npt.NDArray[np.float32]]:
    words = CSS.split()
    values = np.array([list(bytes.fromhex(code)) for code in words[1::2]], np.uint8)
    return words[::2], values, _lab(np.ascontiguousarray(values[:, ::-1]))
