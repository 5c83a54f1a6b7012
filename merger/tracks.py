"""A setting over time: keys, and what it is between them.

A key says: from this frame on the setting has this value, and so it goes on to the next key:

    hold    it stays as it is up to the next key
    linear  it changes evenly up to the next key
    smooth  it changes without a bend at the keys, and never beyond their values

Words and switches only hold. A key of a word may dissolve: for so many frames, its own the first, what was before and
what it says are both rendered and mixed, in even steps. Nothing changes across a cut: there a key holds up to the next
one. Before the first key the setting has the value it has without any key. Source: spec merging 10.1; the smooth curve
is the monotone cubic of F. N. Fritsch and J. Butland, "A method for constructing local monotone piecewise cubic
interpolants", 1984.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.errors import BadOption
from core.options import check_value, specs
from merger.settings import MergeSettings

CURVES = ("hold", "linear", "smooth")

_SPECS = {spec.name: spec for spec in specs(MergeSettings)}

SETTINGS = tuple(_SPECS)
"""What can have a track."""

MOVING = frozenset(name for name, spec in _SPECS.items() if spec.is_number)
"""Settings that can be anything between two values; the others only hold."""

DISSOLVING = ("mode", "mask_mode", "color_transfer", "sharpen_mode")
"""Words whose keys may dissolve."""

LONGEST_DISSOLVE = 250
"""Frames."""

Mixture = list[tuple[Any, float]]
"""Values and their shares, the newest first."""

_WHOLE = frozenset(("erode_mask", "blur_mask"))
"""Sizes of kernels. The other numbers may have decimals between keys: 1 % of the size of a face is seen to jump."""


@dataclass(frozen=True)
class Key:
    """From `frame` on the setting has `value`; `curve` leads from there to the next key. In the first `dissolve` frames
    what was before is mixed in.
    """

    frame: int
    value: Any
    curve: str = "hold"
    dissolve: int = 0


def check_key(name: str, value: Any, curve: str = "hold") -> tuple[Any, str]:
    """The value as the setting takes it (a number of older tools becomes a word), and the curve.

    Raises:
        BadOption: no such setting, a value it cannot have, or a curve it cannot follow.
    """
    if name not in _SPECS:
        raise BadOption(f"Merging has no setting of this name. Received: {name}.", f"Settings: {', '.join(SETTINGS)}.")
    if curve not in CURVES:
        raise BadOption(f"A key is one of {', '.join(CURVES)}. Received: {curve}.")
    if curve != "hold" and name not in MOVING:
        raise BadOption(f"{name} has nothing between two values, so its keys can only hold. Received: {curve}.")
    spec = _SPECS[name]
    if name in MOVING and isinstance(value, float) and math.isfinite(value):  # of a key that was put between two others
        check_value(spec, spec.kind(value))
        return value, curve
    is_number = isinstance(value, int) and not isinstance(value, bool)
    return check_value(spec, str(value) if spec.choices and is_number else value), curve


def check_dissolve(name: str, frames: int) -> int:
    """Over how many frames a key dissolves. BadOption: it cannot, or not over so many."""
    if frames and name not in DISSOLVING:
        raise BadOption(f"Of all settings {', '.join(DISSOLVING)} may dissolve. Received: {name}.")
    if isinstance(frames, bool) or not isinstance(frames, int) or not 0 <= frames <= LONGEST_DISSOLVE:
        raise BadOption(f"A key dissolves over 0 to {LONGEST_DISSOLVE} frames. Received: {frames}.")
    return frames


def shifted(name: str, value: Any, by: int) -> Any:
    """A number some steps on, within its limits; from a value between two steps it goes to a whole one."""
    spec = _SPECS[name]
    low = -math.inf if spec.low is None else spec.low
    high = math.inf if spec.high is None else spec.high
    return spec.kind(min(max(round(value) + by, low), high))


def following(name: str, value: Any, passed_over: Sequence[str] = ()) -> Any:
    """The next word of a setting, after the last the first; words in `passed_over` are left out."""
    words = list(_SPECS[name].choices)
    place = words.index(value)
    return next((w for w in words[place + 1 :] + words[:place] if w not in passed_over), value)


def value_at(keys: Sequence[Key], frame: int, without: Any, cuts: Sequence[int] = ()) -> Any:
    """The value at a frame.

    Args:
        keys: in rising order of their frames.
        without: what it is before the first key.
        cuts: first frames of scenes, rising, but for the very first.
    """
    place = _last_at(keys, frame)
    if place < 0:
        return without
    key = keys[place]
    if not _moves(keys, place, cuts):
        return key.value
    end = keys[place + 1]
    length, rise = end.frame - key.frame, end.value - key.value
    part = (frame - key.frame) / length
    if key.curve == "linear":
        return key.value + rise * part
    first, last = (length * _slope(keys, n, cuts) for n in (place, place + 1))
    # The cubic through both values with these slopes, as what it adds to the first value (Hermite's form).
    smooth = part * part * (3 - 2 * part)
    return key.value + rise * smooth + part * (1 - part) * ((1 - part) * first - part * last)


def mixture_at(keys: Sequence[Key], frame: int, without: Mixture, cuts: Sequence[int] = ()) -> Mixture:
    """What a word is mixed of at a frame; usually one value alone. `without`: what it is before the first key."""
    mixture: Mixture = []
    left = 1.0
    for key in reversed(keys[: _last_at(keys, frame) + 1]):
        share = _share(key, frame, cuts)
        mixture.append((key.value, left * share))
        left *= 1 - share
        if not left:
            break
    else:
        mixture += [(value, left * share) for value, share in without]
    joined: Mixture = []
    for value, share in mixture:
        if joined and joined[-1][0] == value:
            joined[-1] = value, joined[-1][1] + share
        else:
            joined.append((value, share))
    return joined


def _share(key: Key, frame: int, cuts: Sequence[int]) -> float:
    """How much of a frame is as a key says: all of it where its scene is over, or begins with the key."""
    scene = bisect_right(cuts, key.frame)
    if bisect_right(cuts, frame) != scene or key.frame == (cuts[scene - 1] if scene else 0):
        return 1.0
    return min(1.0, (frame - key.frame + 1) / (key.dissolve + 1))


def settled(name: str, value: Any) -> Any:
    """A value of `value_at` as a frame is rendered with it: kernels have whole sizes."""
    if not isinstance(value, float) or _SPECS[name].kind is float:
        return value
    value = round(value, 3)
    return round(value) if name in _WHOLE or value == int(value) else value


def curve_at(keys: Sequence[Key], frame: int, cuts: Sequence[int] = ()) -> str:
    """The curve a new key at a frame takes, so that what comes after it stays as it was."""
    place = _last_at(keys, frame)
    if place < 0:
        return "hold"
    key = keys[place]
    return key.curve if key.frame == frame or _moves(keys, place, cuts) else "hold"


def _last_at(keys: Sequence[Key], frame: int) -> int:
    return bisect_right(keys, frame, key=lambda key: key.frame) - 1


def _moves(keys: Sequence[Key], place: int, cuts: Sequence[int], curves: Sequence[str] = CURVES[1:]) -> bool:
    """Whether there is something between a key and the next."""
    if not 0 <= place < len(keys) - 1 or keys[place].curve not in curves:
        return False
    return bisect_right(cuts, keys[place].frame) == bisect_right(cuts, keys[place + 1].frame)


def _slope(keys: Sequence[Key], place: int, cuts: Sequence[int]) -> float:
    """Change per frame of a smooth curve at a key: none where the curve begins, ends or turns back."""
    if not (_moves(keys, place - 1, cuts, ("smooth",)) and _moves(keys, place, cuts, ("smooth",))):
        return 0.0
    before, here, after = keys[place - 1 : place + 2]
    left, right = here.frame - before.frame, after.frame - here.frame
    falling, rising = (here.value - before.value) / left, (after.value - here.value) / right
    if falling * rising <= 0:
        return 0.0
    weights = 2 * right + left, right + 2 * left
    return float(sum(weights) / (weights[0] / falling + weights[1] / rising))
