"""The settings of every frame of a shot, and its scenes: what tracks of keys and cuts come to.

Where a frame has no key before it, the settings are those the timeline was begun with. A face may have tracks of its
own, which go before those of all faces. What is done to a frame as a whole (settings.WHOLE_FRAME) has tracks of all
faces only. Entries of the ledger:

    ("key", face, setting, frame) -> (value, curve)     face 0: all faces; a third number: frames it dissolves over
    ("cut", frame) -> True                              a scene begins here
    ("link",) -> True                                   keys lead across cuts
    ("preset", frame) -> name                           what the scene that begins here was last given
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

from core.errors import BadOption
from merger.ledger import Ledger, Place
from merger.settings import WHOLE_FRAME, MergeSettings
from merger.tracks import (
    DISSOLVING,
    SETTINGS,
    Key,
    Mixture,
    check_dissolve,
    check_key,
    curve_at,
    mixture_at,
    settled,
    value_at,
)

ALL_FACES = 0

SCOPES = ("frame", "scene", "alike", "onward", "all")
"""Where settings are applied: this frame, its scene, all scenes with the same preset, from here on, everywhere."""

Rendering = tuple[float, list[MergeSettings]]
"""One of those a frame is mixed of: its share, and the settings of each face."""


class Timeline:
    """The settings and scenes of `count` frames.

    Args:
        base: the settings where no key says otherwise.
    """

    def __init__(self, count: int, base: MergeSettings, ledger: Ledger) -> None:
        self.count = count
        self.base = base
        self.ledger = ledger
        self._seen = -1
        self._tracks: dict[int, dict[str, list[Key]]] = {}
        self._cuts: list[int] = []
        self._shared: dict[tuple, MergeSettings] = {}

    def _look(self) -> None:
        """Reads the ledger again where it has changed."""
        if self._seen == self.ledger.version:
            return
        tracks: dict[int, dict[str, list[Key]]] = defaultdict(lambda: defaultdict(list))
        for (_, face, name, frame), entry in self.ledger.of_kind("key"):
            if name in SETTINGS:  # others are those of a later version, which are kept
                tracks[int(face)][str(name)].append(Key(int(frame), *entry))
        for named in tracks.values():
            for keys in named.values():
                keys.sort(key=lambda key: key.frame)
        self._tracks = {face: dict(named) for face, named in tracks.items()}
        starts = (int(place[1]) for place, _ in self.ledger.of_kind("cut"))
        self._cuts = sorted(frame for frame in starts if 0 < frame < self.count)
        self._seen = self.ledger.version

    # What is.

    @property
    def cuts(self) -> list[int]:
        """The first frames of all scenes but the first."""
        self._look()
        return self._cuts

    @property
    def scenes(self) -> list[range]:
        """The frames of each scene."""
        borders = [0, *self.cuts, self.count]
        return [range(first, end) for first, end in pairwise(borders)]

    def scene_of(self, frame: int) -> range:
        """The scene a frame belongs to."""
        return self.scenes[bisect_right(self.cuts, frame)]

    def preset_of(self, scene: range) -> str | None:
        """The preset that a scene was last given."""
        return self.ledger.entries.get(("preset", scene.start))

    def reach(self, scope: str, frame: int) -> list[range]:
        """The frames that a word of SCOPES means at a frame. BadOption: no such word."""
        scene = self.scene_of(frame)
        if scope == "alike":
            wanted = self.preset_of(scene)
            return [other for other in self.scenes if wanted and self.preset_of(other) == wanted] or [scene]
        parts = {
            "frame": range(frame, frame + 1),
            "scene": scene,
            "onward": range(frame, self.count),
            "all": range(self.count),
        }
        if scope not in parts:
            raise BadOption(f"Settings are applied to one of {', '.join(SCOPES)}. Received: {scope}.")
        return [parts[scope]]

    @property
    def is_linked(self) -> bool:
        """Whether keys lead across cuts."""
        return ("link",) in self.ledger.entries

    def keys(self, name: str, face: int = ALL_FACES) -> list[Key]:
        """The keys of one track, in order."""
        self._look()
        return self._tracks.get(face, {}).get(name, [])

    def key_frames(self) -> list[int]:
        """Every frame that has a key."""
        self._look()
        return sorted({k.frame for named in self._tracks.values() for keys in named.values() for k in keys})

    def faces_of_their_own(self) -> list[int]:
        """The faces that have tracks of their own."""
        self._look()
        return sorted(face for face in self._tracks if face != ALL_FACES)

    def value(self, name: str, frame: int, face: int = ALL_FACES) -> Any:
        """A setting at a frame, as the frame is rendered with it."""
        return settled(name, self._raw(name, frame, face))

    def _raw(self, name: str, frame: int, face: int) -> Any:
        shared = value_at(self.keys(name), frame, getattr(self.base, name), self._borders())
        if face == ALL_FACES or name in WHOLE_FRAME:
            return shared
        own = value_at(self.keys(name, face), frame, shared, self._borders())
        return shared if "raw-predict" in (own, shared) else own

    def _borders(self) -> Sequence[int]:
        return () if self.is_linked else self.cuts

    def settings_at(self, frame: int, face: int = ALL_FACES) -> MergeSettings:
        """The settings a frame (of a face) is rendered with. Frames with equal ones share one object."""
        self._look()
        if face != ALL_FACES and self.value("mode", frame) == "raw-predict":
            face = ALL_FACES
        names = {*self._tracks.get(ALL_FACES, {}), *self._tracks.get(face, {})}
        return self._base_with({name: self.value(name, frame, face) for name in names})

    def _base_with(self, values: Mapping[str, Any]) -> MergeSettings:
        changed = {name: values[name] for name in sorted(values) if values[name] != getattr(self.base, name)}
        known = tuple(changed.items())
        if known not in self._shared:
            self._shared[known] = dataclasses.replace(self.base, **changed) if changed else self.base
        return self._shared[known]

    def renderings(self, frame: int, faces: Sequence[int]) -> list[Rendering]:
        """What a frame is mixed of: usually one rendering; while settings dissolve, one for each state of them. Those
        that dissolve at the same time, of any faces, do so together.

        Args:
            faces: of the frame, at least one; settings are in their order.
        """
        newest = [self.settings_at(frame, face) for face in faces]
        mixtures = {
            (place, name): mixture
            for place, face in enumerate(faces)
            for name in DISSOLVING
            if len(mixture := self._mixture(name, frame, face)) > 1
        }
        if not mixtures or newest[0].mode == "raw-predict":
            return [(1.0, newest)]
        ends = {round(end, 9) for mixture in mixtures.values() for end in accumulate(s for _, s in mixture[:-1])}
        found: list[Rendering] = []
        for low, high in pairwise([0.0, *sorted(ends), 1.0]):
            settings = []
            for place, own in enumerate(newest):
                words = {n: _value_in(m, (low + high) / 2) for (of, n), m in mixtures.items() if of == place}
                settings.append(self._base_with({**vars(own), **words}))
            if found and [s.effective() for s in found[-1][1]] == [s.effective() for s in settings]:
                found[-1] = found[-1][0] + high - low, found[-1][1]
            else:
                found.append((high - low, settings))
        return found if len(found) > 1 else [(1.0, newest)]

    def _mixture(self, name: str, frame: int, face: int) -> Mixture:
        """What a word is mixed of; nothing where it cannot be. A square (raw-predict) cannot be mixed with a frame."""
        mixture = mixture_at(self.keys(name), frame, [(getattr(self.base, name), 1.0)], self.cuts)
        if face != ALL_FACES:
            mixture = mixture_at(self.keys(name, face), frame, mixture, self.cuts)
        return [] if any(value == "raw-predict" for value, _ in mixture) else mixture

    # What is changed. Each returns whether anything did.

    def spread(
        self,
        what: str,
        first: int,
        end: int,
        values: Mapping[str, Any],
        face: int = ALL_FACES,
        *,
        pin: bool,
        tidy: bool = True,
        curve: str | None = None,
        dissolve: int = 0,
    ) -> bool:
        """Gives the frames from `first` up to, not including, `end` these values.

        Args:
            pin: what comes after keeps the values it has; else it follows, up to its next key.
            tidy: keys that change nothing are taken away.
            curve: of the new keys; None: that of what they are put into.
            dissolve: frames over which new keys of words do, where none is now; others keep theirs.
        """
        edits: dict[Place, Any] = {}
        for name, value in values.items():
            if face != ALL_FACES and value == "raw-predict":
                continue
            owner = _owner(name, face)
            edits |= self._spread_one(name, range(first, end), value, owner, pin, tidy, curve, dissolve)
        return self.ledger.change(what, edits)

    def _spread_one(
        self, name: str, frames: range, value: Any, face: int, pin: bool, tidy: bool, curve: str | None, dissolve: int
    ) -> dict[Place, Any]:
        first, end = frames.start, frames.stop
        keys = self.keys(name, face)
        if curve is None and len(frames) == 1 and self._raw(name, first, face) == value:
            return {}
        track = {key.frame: _entry(key.value, key.curve, key.dissolve) for key in keys}
        before = dict(track)
        inside = curve_at(keys, first, self._borders()) if len(frames) == 1 else "hold"
        if pin and end < self.count and end not in track:
            track[end] = (self.value(name, end, face), curve_at(keys, end, self._borders()))
        for frame in [frame for frame in track if first <= frame < end]:
            del track[frame]
        usual = dissolve if name in DISSOLVING else 0
        over = next((key.dissolve for key in keys if key.frame == first), usual)
        track[first] = _entry(*check_key(name, value, curve or inside), over)
        if tidy:
            for frame in (first, end):
                self._drop_if_idle(name, track, frame, face)
        changed = {frame for frame in before.keys() | track.keys() if before.get(frame) != track.get(frame)}
        return {("key", face, name, frame): track.get(frame) for frame in changed}

    def _drop_if_idle(self, name: str, track: dict[int, tuple[Any, ...]], frame: int, face: int) -> None:
        """Takes away a key that only goes on with what is before it."""
        earlier = max((f for f in track if f < frame), default=None)
        if earlier is not None:
            before = track[earlier][:2]
        elif face == ALL_FACES:
            before = (getattr(self.base, name), "hold")
        else:
            return
        if frame in track and track[frame][:2] == before and before[1] == "hold":
            del track[frame]

    def set_key(
        self, what: str, name: str, frame: int, value: Any, curve: str, face: int = ALL_FACES, dissolve: int = 0
    ) -> bool:
        """Puts one key. BadOption: a value or curve the setting cannot have, or it cannot dissolve."""
        check_owner(face, value)
        entry = _entry(*check_key(name, value, curve), check_dissolve(name, dissolve))
        return self.ledger.change(what, {("key", _owner(name, face), name, frame): entry})

    def move_key(self, name: str, frame: int, to: int, face: int = ALL_FACES, *, copy: bool = False) -> bool:
        """Puts a key elsewhere, over one that is there; the old one goes unless copied. BadOption: none is there."""
        found = self.ledger.entries.get(("key", face, name, frame))
        if found is None:
            raise BadOption(f"{name} has no key at this frame. Received: {frame}.")
        if to == frame:
            return False
        gone: dict[Place, Any] = {} if copy else {("key", face, name, frame): None}
        return self.ledger.change("keys", {("key", face, name, to): found, **gone})

    def pin_all(self, frame: int, face: int = ALL_FACES) -> bool:
        """Puts a key for every setting that changes over time, with the value it has here anyway."""
        self._look()
        edits: dict[Place, Any] = {}
        for name in self._tracks.get(face, {}):
            place: Place = ("key", face, name, frame)
            if place not in self.ledger.entries:
                curve = curve_at(self.keys(name, face), frame, self._borders())
                edits[place] = (self.value(name, frame, face), curve)
        return self.ledger.change("keys", edits)

    def remove_keys(self, frame: int) -> bool:
        """Takes away every key of a frame."""
        return self.ledger.change("keys", {place: None for place, _ in self.ledger.of_kind("key") if place[3] == frame})

    def remove_tracks(self, face: int) -> bool:
        """Takes away what a face has of its own."""
        own = [place for place, _ in self.ledger.of_kind("key") if place[1] == face and face != ALL_FACES]
        return self.ledger.change(f"settings of face {face}", dict.fromkeys(own))

    def replace_keys(self, what: str, values: Mapping[int, Mapping[str, Any]], face: int = ALL_FACES) -> bool:
        """Puts keys that hold in the place of all there are, or of all that one face has of its own: at each of these
        frames for what is another value there than before.
        """
        gone = (place for place, _ in self.ledger.of_kind("key") if face in (ALL_FACES, place[1]))
        edits: dict[Place, Any] = dict.fromkeys(gone)
        current: dict[str, Any] = dict(vars(self.base)) if face == ALL_FACES else {}
        for frame in sorted(values):
            for name, value in values[frame].items():
                checked, curve = check_key(name, value)
                if _owner(name, face) != face or (face != ALL_FACES and checked == "raw-predict"):
                    continue
                if name not in current or current[name] != checked:
                    edits["key", face, name, frame] = (checked, curve)
                current[name] = checked
        return self.ledger.change(what, edits)

    def change_cuts(self, here: Iterable[int] = (), not_here: Iterable[int] = ()) -> bool:
        """Lets scenes begin at some frames, and at others no longer. The first scene always begins the shot."""
        edits: dict[Place, Any] = {("cut", frame): None for frame in not_here}
        edits |= {("cut", frame): True for frame in here if 0 < frame < self.count}
        return self.ledger.change("cuts", edits)

    def link(self, linked: bool) -> bool:
        """Whether keys shall lead across cuts."""
        return self.ledger.change("link", {("link",): True if linked else None})


def check_owner(face: int, value: Any) -> None:
    """BadOption: a value that one face cannot have alone."""
    if face != ALL_FACES and value == "raw-predict":
        raise BadOption(
            f"raw-predict makes a square of the whole frame. Received: raw-predict for face {face}.",
            "Choose it for all faces.",
        )


def _owner(name: str, face: int) -> int:
    """Whose track a setting of a face is kept in."""
    return ALL_FACES if name in WHOLE_FRAME else face


def _entry(value: Any, curve: str, dissolve: int) -> tuple[Any, ...]:
    """What the ledger holds of a key."""
    return (value, curve, dissolve) if dissolve else (value, curve)


def _value_in(mixture: Mixture, place: float) -> Any:
    """The value at a place of [0, 1], where the values lie one after the other, as wide as their shares."""
    ends = accumulate(share for _, share in mixture)
    return next((value for (value, _), end in zip(mixture, ends, strict=True) if place < end), mixture[-1][0])
