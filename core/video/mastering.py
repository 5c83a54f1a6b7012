"""What an HDR video says beside its color tags: on which display it was graded, and how bright its pictures get.

SMPTE ST 2086 and CTA-861.3, as ffmpeg's options take them, in the codes that the standards store:

    mastering   "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)": x and y of the primaries and of
                white in 0.00002, the brightest and the darkest light in 0.0001 cd/m2
    light       "1000,400": MaxCLL and MaxFALL, the brightest pixel and the brightest picture, in cd/m2

ffmpeg prints x and y with four decimals, which is how they are specified, and light with six.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

_PAIR = r"\(([\d.]+),? ?([\d.]+)\)"  # ffmpeg leaves out the blank or the comma here and there
_DISPLAY = re.compile(
    rf"Mastering display metadata: has_primaries:1 has_luminance:1 r{_PAIR} g{_PAIR} b{_PAIR} wp{_PAIR} "
    r"min_luminance=([\d.]+), max_luminance=([\d.]+)"
)
_LIGHT = re.compile(r"Content light level metadata: MaxCLL=(\d+), MaxFALL=(\d+)")
_OF_SINGLE_PICTURES = {"HDR10+": re.compile(r"\bHDR10\+"), "Dolby Vision": re.compile(r"\b(DOVI|Dolby Vision)\b")}


def read_mastering(lines: Iterable[str]) -> tuple[str | None, str | None, tuple[str, ...]]:
    """Reads ffmpeg's words about a stream or about its first picture.

    Returns:
        (mastering, light, names of data that belong to single pictures, so that no other picture can have them); None
        where nothing is said.
    """
    mastering = light = None
    bound: list[str] = []
    for line in lines:
        if match := _DISPLAY.search(line):
            mastering = mastering or _display_words([float(text) for text in match.groups()])
        elif match := _LIGHT.search(line):
            light = light or f"{int(match[1])},{int(match[2])}"
        else:
            bound += [name for name, known in _OF_SINGLE_PICTURES.items() if known.search(line) and name not in bound]
    return mastering, light, tuple(bound)


def _display_words(values: list[float]) -> str:
    red_x, red_y, green_x, green_y, blue_x, blue_y, white_x, white_y = (round(v * 50000) for v in values[:8])
    darkest, brightest = (round(v * 10000) for v in values[8:])
    return (
        f"G({green_x},{green_y})B({blue_x},{blue_y})R({red_x},{red_y})WP({white_x},{white_y})L({brightest},{darkest})"
    )
