"""Words, numbers and strips that the sections of `merge --report` share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from core.shots import say_runs
from mainscripts.merge_report_judging import Judged, Spot, Trouble, spread
from mainscripts.report_page import Gallery, Picture
from mainscripts.report_words import MOST_NAMES, SHOWN_FEW, say_frames

StripKey = tuple[int, int | None]
Strips = Mapping[StripKey, bytes]
"""A strip of source, merged frame and mask for each (frame, face)."""

LEGEND = "Each strip: source, merged, mask."
MANY = 0.1
"""Of the frames; more is no accident of single frames."""


def strip_picture(judged: Judged, strips: Strips, frame: int, face: int | None, note: str) -> Picture:
    """The strip of one frame under its name and time."""
    when = judged.moment(frame)
    name = judged.names[frame] + (f" at {when}" if when else "")
    return Picture(name, note, strips.get((frame, face), b""))


def spot_gallery(judged: Judged, strips: Strips, title: str, spots: Sequence[Spot], most: int = SHOWN_FEW) -> Gallery:
    """One strip for each spot."""
    pictures = []
    for spot in spots[:most]:
        words = "; ".join(trouble.words for trouble in spot.troubles)
        if len(spot.frames) > 1:
            words += f" – the worst of {len(spot.frames):,} frames in a row"
        pictures.append(strip_picture(judged, strips, spot.worst, spot.face, words))
    return Gallery(title, tuple(pictures), len(spots), wide=True)


def say_which(judged: Judged, troubles: Iterable[Trouble]) -> str:
    """ "3 frames (00031.png to 00033.png)": how many frames, and which, the first few runs of them."""
    frames = sorted({trouble.frame for trouble in troubles})
    return f"{say_frames(len(frames))} ({say_runs([judged.names[n] for n in frames], 3)})"


def listed(judged: Judged, troubles: Sequence[Trouble]) -> list[dict[str, Any]]:
    """The same for programs."""
    return [{"frame": judged.names[t.frame], "what": t.words} for t in troubles[:MOST_NAMES]]


def as_facts(values: NDArray) -> dict[str, float] | None:
    """Middle and largest of what is known; None: nothing is."""
    seen = spread(values)
    return None if seen is None else {"middle": round(seen[0], 3), "most": round(seen[1], 3)}


def as_column(values: NDArray) -> list[float | None]:
    """One number for each frame, None where it is not known."""
    return [round(value, 3) if np.isfinite(value) else None for value in values.tolist()]
