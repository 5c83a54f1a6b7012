"""The settings of every frame of a shot, and its scenes: what tracks of keys and cuts come to.

Where a frame has no key before it, the settings are those the timeline was begun with. A face may have tracks of its
own, which go before those of all faces. Entries of the ledger:

    ("key", face, setting, frame) -> (value, curve)     face 0: all faces
    ("cut", frame) -> True                              a scene begins here
    ("link",) -> True                                   keys lead across cuts
    ("preset", frame) -> name                           what the scene that begins here was last given
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from core.errors import BadOption
from merger.ledger import Ledger, Place
from merger.settings import MergeSettings
from merger.tracks import SETTINGS, Key, check_key, curve_at, settled, value_at

ALL_FACES = 0


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
        for (_, face, name, frame), (value, curve) in self.ledger.of_kind("key"):
            if name in SETTINGS:  # others are those of a later version, which are kept
                tracks[int(face)][str(name)].append(Key(int(frame), value, curve))
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
        return shared if face == ALL_FACES else value_at(self.keys(name, face), frame, shared, self._borders())

    def _borders(self) -> Sequence[int]:
        return () if self.is_linked else self.cuts

    def settings_at(self, frame: int, face: int = ALL_FACES) -> MergeSettings:
        """The settings a frame (of a face) is rendered with. Frames with equal ones share one object."""
        self._look()
        names = {*self._tracks.get(ALL_FACES, {}), *self._tracks.get(face, {})}
        values = {name: self.value(name, frame, face) for name in sorted(names)}
        values = {name: value for name, value in values.items() if value != getattr(self.base, name)}
        known = tuple(values.items())
        if known not in self._shared:
            self._shared[known] = dataclasses.replace(self.base, **values) if values else self.base
        return self._shared[known]

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
    ) -> bool:
        """Gives the frames from `first` up to, not including, `end` these values.

        Args:
            pin: what comes after keeps the values it has; else it follows, up to its next key.
            tidy: keys that change nothing are taken away.
            curve: of the new keys; None: that of what they are put into.
        """
        edits: dict[Place, Any] = {}
        for name, value in values.items():
            edits |= self._spread_one(name, range(first, end), value, face, pin, tidy, curve)
        return self.ledger.change(what, edits)

    def _spread_one(
        self, name: str, frames: range, value: Any, face: int, pin: bool, tidy: bool, curve: str | None
    ) -> dict[Place, Any]:
        first, end = frames.start, frames.stop
        keys = self.keys(name, face)
        if curve is None and len(frames) == 1 and self._raw(name, first, face) == value:
            return {}
        track = {key.frame: (key.value, key.curve) for key in keys}
        before = dict(track)
        inside = curve_at(keys, first, self._borders()) if len(frames) == 1 else "hold"
        if pin and end < self.count and end not in track:
            track[end] = (self.value(name, end, face), curve_at(keys, end, self._borders()))
        for frame in [frame for frame in track if first <= frame < end]:
            del track[frame]
        track[first] = check_key(name, value, curve or inside)
        if tidy:
            for frame in (first, end):
                self._drop_if_idle(name, track, frame, face)
        changed = {frame for frame in before.keys() | track.keys() if before.get(frame) != track.get(frame)}
        return {("key", face, name, frame): track.get(frame) for frame in changed}

    def _drop_if_idle(self, name: str, track: dict[int, tuple[Any, str]], frame: int, face: int) -> None:
        """Takes away a key that only goes on with what is before it."""
        earlier = max((f for f in track if f < frame), default=None)
        if earlier is not None:
            before = track[earlier]
        elif face == ALL_FACES:
            before = (getattr(self.base, name), "hold")
        else:
            return
        if track.get(frame) == before and before[1] == "hold":
            del track[frame]

    def set_key(self, what: str, name: str, frame: int, value: Any, curve: str, face: int = ALL_FACES) -> bool:
        """Puts one key. BadOption: a value or curve the setting cannot have."""
        return self.ledger.change(what, {("key", face, name, frame): check_key(name, value, curve)})

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

    def replace_keys(self, what: str, values: Mapping[int, Mapping[str, Any]]) -> bool:
        """Puts keys that hold in the place of all there are: at each of these frames for what is another value there
        than before.
        """
        edits: dict[Place, Any] = {place: None for place, _ in self.ledger.of_kind("key")}
        current = dict(vars(self.base))
        for frame in sorted(values):
            for name, value in values[frame].items():
                checked, curve = check_key(name, value)
                if current[name] != checked:
                    edits["key", ALL_FACES, name, frame] = (checked, curve)
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
