"""Which frames of a shot are meant: `--range 100-250`, `--frames 17,20-25,intro_003`.

Numbers are those in the frames' names, as users see them in the folder: the last digits of a stem. A name is a frame's
file name, with or without the suffix.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from core.errors import BadOption
from merger.frames import FrameFaces, shortened

_SPAN = re.compile(r"\s*(\d*)\s*-\s*(\d*)\s*")


def choose_frames(
    frames: Sequence[FrameFaces], frame_range: str | None = None, frame_list: str | None = None
) -> list[FrameFaces]:
    """The chosen frames, in the order of the shot; all of them where nothing is asked for.

    Args:
        frame_range: "A-B", "A-" or "-B", both ends included.
        frame_list: numbers, spans of numbers and names, with commas between them; added to the range.

    Raises:
        BadOption: not to be understood, or no frame is meant.
    """
    if frame_range is None and frame_list is None:
        return list(frames)
    numbers = [_number(frame.stem) for frame in frames]
    chosen: set[int] = set()
    if frame_range is not None:
        chosen |= _span(frames, numbers, frame_range, f"--range {frame_range}")
    if frame_list is not None:
        words = [word.strip() for word in frame_list.split(",") if word.strip()]
        if not words:
            raise BadOption("No frames are named. Received: --frames with an empty list.", _known(frames))
        for word in words:
            chosen |= _named(frames, numbers, word)
    return [frame for place, frame in enumerate(frames) if place in chosen]


def _number(stem: str) -> int | None:
    """The last digits of a name; None where it has none."""
    found = re.findall(r"\d+", stem)
    return int(found[-1]) if found else None


def _named(frames: Sequence[FrameFaces], numbers: Sequence[int | None], word: str) -> set[int]:
    """What one word of a list means: a name goes before a number, and both before a span."""
    exact = {place for place, frame in enumerate(frames) if word in (frame.stem, frame.path.name)}
    if exact:
        return exact
    flag = f"--frames {word}"
    if not word.isdecimal():
        if _SPAN.fullmatch(word):
            return _span(frames, numbers, word, flag)
        raise BadOption(f"No frame has this name. Received: {flag}.", _known(frames))
    places = {place for place, number in enumerate(numbers) if number == int(word)}
    if not places:
        raise BadOption(f"No frame has this number. Received: {flag}.", _known(frames))
    if len(places) > 1:
        names = shortened([frames[place].stem for place in sorted(places)])
        raise BadOption(f"Several frames have this number: {names}. Received: {flag}.", "Give the names instead.")
    return places


def _span(frames: Sequence[FrameFaces], numbers: Sequence[int | None], text: str, flag: str) -> set[int]:
    found = _SPAN.fullmatch(text)
    last: int | None
    if text.strip().isdecimal():
        first = last = int(text)
    elif found is None or not (found[1] or found[2]):
        raise BadOption(f"A range of frames is A-B, A- or -B, with numbers. Received: {flag}.", _known(frames))
    else:
        first, last = int(found[1] or 0), int(found[2]) if found[2] else None
    if last is not None and last < first:
        raise BadOption(f"A range ends where it begins, or later. Received: {flag}.", f"Write {last}-{first}.")
    places = {
        place
        for place, number in enumerate(numbers)
        if number is not None and first <= number and (last is None or number <= last)
    }
    if not places:
        raise BadOption(f"No frame lies in this range. Received: {flag}.", _known(frames))
    return places


def _known(frames: Sequence[FrameFaces]) -> str:
    return f"The frames are {frames[0].stem} to {frames[-1].stem}."
