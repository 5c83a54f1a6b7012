"""A sitting at a shot: settings over time, scenes, where the user is, and which frames show what is set.

    session = MergeSession(frames, settings)
    session.set("erode_mask", 10)           # from this frame on, up to the next key
    session.next_frame()
    session.settings_at(7)                  # what frame 7 is rendered with

Every method is what a key or a button does; keys are in merger/keys.py, files in merger/session_file.py. As in the
classical merger a setting that is changed on a frame goes on to the frames after it, but those that were visited
already keep what they had (spec merging 5.3, 10.1); with `keyframing` they do not. Frames are counted from 0.

Entries of the ledger, beside those of merger/timeline.py:

    ("mark", frame) -> note                    a frame to come back to
    ("face", track) -> {"enabled": .., "order": ..}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from core.errors import BadOption
from merger.ledger import Ledger
from merger.session_records import SessionFace, SessionFrame, View
from merger.session_states import FrameStates, Look
from merger.settings import MergeSettings
from merger.timeline import ALL_FACES, Rendering, Timeline, check_owner
from merger.tracks import CURVES, DISSOLVING, MOVING, SETTINGS, check_dissolve, check_key, following, shifted


class MergeSession(FrameStates):
    """See the module.

    Args:
        frames: the shot, in order; at least one.
        base: the settings where no key says otherwise.
        cuts: the first frames of its scenes.
    """

    def __init__(
        self,
        frames: Sequence[SessionFrame],
        base: MergeSettings,
        cuts: Sequence[int] = (),
        ledger: Ledger | None = None,
    ) -> None:
        super().__init__()
        if not frames:
            raise BadOption(
                "A session needs frames. Received: none.", "Run 3) extract images from video data_dst first."
            )
        self.frames = tuple(frames)
        self.ledger = ledger if ledger is not None else Ledger({("cut", frame): True for frame in cuts})
        self.timeline = Timeline(len(self.frames), base, self.ledger)
        self.cursor = 0
        self.visited = {0}
        self.keyframing = False
        self.new_curve = "linear"
        """Of the keys that are put while keyframing."""
        self.new_dissolve = 0
        """Frames over which new keys of words dissolve."""
        self.face = ALL_FACES
        """Whose settings are changed: the number of a face's track, or all faces."""
        self.view = View()
        self.is_running = False
        """Whether it goes on to the next frame by itself as soon as one is done."""
        self.unavailable: Mapping[str, Sequence[str]] = {}
        """Words of settings that cannot be used here, for example masks of a network that is not there."""
        self.last_setting: str | None = None
        self.on_change: Callable[[], None] = lambda: None
        """Called after every change of what is worth saving."""

    # Settings.

    @property
    def base(self) -> MergeSettings:
        return self.timeline.base

    @property
    def scenes(self) -> list[range]:
        """The frames of each scene."""
        return self.timeline.scenes

    def settings_at(self, frame: int, face_track: int | None = None) -> MergeSettings:
        """What a frame is rendered with, or one of its faces."""
        return self.timeline.settings_at(frame, ALL_FACES if face_track is None else face_track)

    @property
    def settings(self) -> MergeSettings:
        """Those of the current frame, of the face that is being worked at."""
        return self.settings_at(self.cursor, self.face)

    def set(self, name: str, value: Any) -> bool:
        """Gives a setting a value from the current frame on; whether that changed anything.

        Raises:
            BadOption: no such setting, or a value it cannot have.
        """
        value, _ = check_key(name, value)
        check_owner(self.face, value)
        self.last_setting = name
        self.is_running = False
        curve = self.new_curve if self.keyframing and name in MOVING else None
        return self._spread(
            f"{name} {self.cursor} {self.face}", self.cursor, self.cursor + 1, {name: value}, curve=curve
        )

    def shift(self, name: str, by: int) -> bool:
        """Adds to a number, within its limits."""
        return self.set(name, shifted(name, self.timeline.value(name, self.cursor, self.face), by))

    def cycle(self, name: str) -> bool:
        """The next word of a setting that can be used here, or the other side of a switch."""
        value = self.timeline.value(name, self.cursor, self.face)
        if isinstance(value, bool):
            return self.set(name, not value)
        return self.set(name, following(name, value, self.unavailable.get(name, ())))

    def reset_last(self) -> bool:
        """Gives the setting that was changed last the value the session began with."""
        return self.last_setting is not None and self.set(self.last_setting, getattr(self.base, self.last_setting))

    def apply(self, values: Mapping[str, Any], scope: str = "frame", preset: str | None = None) -> bool:
        """Gives frames some settings, such as those of a preset; what is not named stays.

        Args:
            scope: a word of timeline.SCOPES. What lies behind keeps what it has.
            preset: the name the values are known by; the scenes that get them remember it.
        """
        checked = {name: check_key(name, value)[0] for name, value in values.items()}
        what = f"apply {scope} {self.cursor}"
        changed = False
        for part in self.timeline.reach(scope, self.cursor):
            changed |= self._spread(what, part.start, part.stop, checked, pin=scope != "frame" or None)
            scenes = [scene.start for scene in self.scenes if part.start <= scene.start and scene.stop <= part.stop]
            if preset is not None:
                changed |= self.ledger.change(what, {("preset", start): preset for start in scenes})
        return self._changed(changed)

    def replace_settings(self, values: Mapping[int, Mapping[str, Any]]) -> bool:
        """Takes all keys away, of the face that is worked at, and gives frames these settings instead; each goes on up
        to the next frame that has some.

        They count as visited, as in the sitting they come from.
        """
        changed = self.timeline.replace_keys(f"settings of {len(values)} frames", values, self.face)
        self.visited |= set(values)
        return self._changed(changed)

    def apply_current(self, scope: str) -> bool:
        """Gives other frames the settings of this one."""
        values = {name: self.timeline.value(name, self.cursor, self.face) for name in SETTINGS}
        return self.apply(values, scope, self.preset_of_scene())

    def preset_of_scene(self) -> str | None:
        """The preset that the current scene was last given."""
        return self.timeline.preset_of(self.timeline.scene_of(self.cursor))

    def _spread(
        self,
        what: str,
        first: int,
        end: int,
        values: Mapping[str, Any],
        *,
        face: int | None = None,
        pin: bool | None = None,
        curve: str | None = None,
    ) -> bool:
        """pin: None keeps what a visited frame behind has, unless keys are put by hand."""
        pinned = (not self.keyframing and end in self.visited) if pin is None else pin
        face = self.face if face is None else face
        tidy = not self.keyframing
        place = (what, first, end, values, face)
        changed = self.timeline.spread(*place, pin=pinned, tidy=tidy, curve=curve, dissolve=self.new_dissolve)
        return self._changed(changed)

    # Keys, scenes, marks, faces.

    def set_key(self, name: str, frame: int, value: Any, curve: str = "hold", dissolve: int = 0) -> bool:
        """Puts one key anywhere. BadOption: a value or a curve the setting cannot have, or it cannot dissolve."""
        return self._changed(self.timeline.set_key("keys", name, frame, value, curve, self.face, dissolve))

    def set_keys(self) -> bool:
        """Puts a key here for every setting that changes over time, so that it stays what it is."""
        return self._changed(self.timeline.pin_all(self.cursor, self.face))

    def remove_keys(self) -> bool:
        """Takes the keys of the current frame away."""
        return self._changed(self.timeline.remove_keys(self.cursor))

    def choose_curve(self, curve: str) -> None:
        """The curve of keys that are put from now on while keyframing."""
        if curve not in CURVES:
            raise BadOption(f"A key is one of {', '.join(CURVES)}. Received: {curve}.")
        self.new_curve = curve

    def choose_dissolve(self, frames: int) -> None:
        """Over how many frames keys of words dissolve that are put from now on. BadOption: too many."""
        self.new_dissolve = check_dissolve(DISSOLVING[0], frames)

    def switch_keyframing(self) -> None:
        """From the classical way to keys by hand, and back."""
        self.keyframing = not self.keyframing
        self._changed(True)

    def switch_cut(self) -> bool:
        """Lets a scene begin at the current frame, or no longer."""
        here = [self.cursor]
        is_cut = self.cursor in self.timeline.cuts
        return self._changed(self.timeline.change_cuts((), here) if is_cut else self.timeline.change_cuts(here))

    def move_cut(self, frame: int, to: int) -> bool:
        """Lets a scene begin at another frame. BadOption: none begins there."""
        if frame not in self.timeline.cuts:
            raise BadOption(f"No scene begins at this frame. Received: {frame}.")
        return self._changed(self.timeline.change_cuts([to], [frame]))

    def link_scenes(self, linked: bool) -> bool:
        """Whether keys lead across cuts."""
        return self._changed(self.timeline.link(linked))

    def mark(self, frame: int, note: str | None = "") -> bool:
        """Marks a frame, with a note perhaps; None takes the mark away."""
        return self._changed(self.ledger.change(f"mark {frame}", {("mark", frame): note}))

    @property
    def marks(self) -> dict[int, str]:
        """Marked frames and their notes, in order."""
        return dict(sorted((int(place[1]), note) for place, note in self.ledger.of_kind("mark")))

    @property
    def faces(self) -> list[SessionFace]:
        """Every face of the shot, by number of its track."""
        counts: dict[int, int] = {}
        for frame in self.frames:
            for track in frame.tracks:
                counts[track] = counts.get(track, 0) + 1
        own = self.timeline.faces_of_their_own()
        return [
            SessionFace(track, self._face(track)["enabled"], self._face(track)["order"], counts[track], track in own)
            for track in sorted(counts)
        ]

    def choose_face(self, track: int, *, enabled: bool | None = None, order: int | None = None) -> bool:
        """Whether a face is swapped, and how far in front it is composited (later: in front)."""
        asked = {"enabled": enabled, "order": order}
        values = {**self._face(track), **{name: value for name, value in asked.items() if value is not None}}
        return self._changed(self.ledger.change(f"face {track}", {("face", track): values}))

    def work_at(self, face: int) -> bool:
        """Whose settings are changed from now on: the number of a track, or ALL_FACES. BadOption: there is none."""
        if face != ALL_FACES and face not in (known := [one.track for one in self.faces]):
            raise BadOption(f"There is no face {face}. Received: {face}.", f"Faces: {', '.join(map(str, known))}.")
        changed, self.face = face != self.face, face
        return self._changed(changed)

    def next_face(self, step: int = 1) -> bool:
        """To the next face of this frame, after the last one to all of them."""
        around = [ALL_FACES, *sorted({*self.frames[self.cursor].tracks, self.face} - {ALL_FACES})]
        return self.work_at(around[(around.index(self.face) + step) % len(around)])

    def follow_all(self, track: int) -> bool:
        """Takes away what a face has of its own: it follows the settings of all faces."""
        return self._changed(self.timeline.remove_tracks(track))

    def faces_at(self, frame: int, tracks: Sequence[int] | None = None) -> list[int]:
        """Which faces of a frame are swapped, by their places in it, in the order they are composited.

        Args:
            tracks: of each of its faces; None: of those the session knows.
        """
        tracks = self.frames[frame].tracks if tracks is None else tracks
        swapped = [n for n, track in enumerate(tracks) if self._face(track)["enabled"]]
        return sorted(swapped, key=lambda n: (self._face(tracks[n])["order"], n))

    def _face(self, track: int) -> dict[str, Any]:
        return self.ledger.entries.get(("face", track), {"enabled": True, "order": 0})

    def renderings(self, frame: int, tracks: Sequence[int] | None = None) -> list[Rendering]:
        """What a frame is mixed of, with the settings of its swapped faces, in order; else of the frame."""
        tracks = self.frames[frame].tracks if tracks is None else tracks
        return self.timeline.renderings(frame, [tracks[n] for n in self.faces_at(frame, tracks)] or [ALL_FACES])

    def look(self, frame: int) -> Look:
        """What the settings say about a frame now; take it along when you render, for `rendered`."""
        renderings = [
            (share, *((one.landmark_strength, *one.effective().items()) for one in own))
            for share, own in self.renderings(frame)
        ]
        return (*self.faces_at(frame), *renderings)

    def undo(self) -> str | None:
        """Takes the last step back; what it was."""
        return self._stepped(self.ledger.undo())

    def redo(self) -> str | None:
        """Takes the last step that was taken back again."""
        return self._stepped(self.ledger.redo())

    def _stepped(self, what: str | None) -> str | None:
        self._changed(what is not None)
        return what

    def _changed(self, changed: bool) -> bool:
        if changed:
            self.on_change()
        return changed

    # Where the user is.

    def go(self, frame: int) -> bool:
        """To any frame; beyond the ends to the last one there is. Whether it is another one."""
        self.is_running = False
        return self._go(frame)

    def _go(self, frame: int) -> bool:
        frame = min(max(frame, 0), len(self.frames) - 1)
        moved = frame != self.cursor
        self.cursor = frame
        self.visited.add(frame)
        return self._changed(moved)

    def next_frame(self) -> bool:
        return self.go(self.cursor + 1)

    def previous_frame(self) -> bool:
        return self.go(self.cursor - 1)

    def first_frame(self) -> bool:
        return self.go(0)

    def last_frame(self) -> bool:
        return self.go(len(self.frames) - 1)

    def render_rest(self) -> None:
        """Goes on to the next frame as soon as one is done, up to the last."""
        self.is_running = True
        self._go_on()

    def _go_on(self) -> None:
        while self.is_running and self.is_settled(self.cursor):
            if not self._go(self.cursor + 1):
                self.is_running = False

    def next_with_settings(self) -> bool:
        """To the next frame, which takes the settings of this one."""
        return self._carry(self.cursor + 1, self.cursor + 2, self.cursor + 1)

    def rest_with_settings(self) -> bool:
        """To the next frame; it and all behind it take the settings of this one, and count as not visited."""
        self.visited = {frame for frame in self.visited if frame <= self.cursor}
        return self._carry(self.cursor + 1, len(self.frames), self.cursor + 1, pin=False)

    def previous_with_settings(self) -> bool:
        """To the frame before, which takes the settings of this one."""
        return self._carry(self.cursor - 1, self.cursor, self.cursor - 1, pin=True)

    def first_with_settings(self) -> bool:
        """To the first frame; it and all passed ones take the settings of this one."""
        return self._carry(0, self.cursor, 0, pin=True)

    def _carry(self, first: int, end: int, to: int, pin: bool | None = None) -> bool:
        """Gives the frames from `first` up to `end` the settings of the current one, of every face."""
        here = self.cursor
        if 0 <= first < end <= len(self.frames):
            for face in (ALL_FACES, *self.timeline.faces_of_their_own()):
                values = {n: self.timeline.value(n, here, face) for n in SETTINGS if self.timeline.keys(n, face)}
                self._spread(f"carry {here} {to}", first, end, values, face=face, pin=pin)
        return self.go(to)

    def next_key(self) -> bool:
        return self.go(min((f for f in self.timeline.key_frames() if f > self.cursor), default=self.cursor))

    def previous_key(self) -> bool:
        return self.go(max((f for f in self.timeline.key_frames() if f < self.cursor), default=self.cursor))

    def next_scene(self) -> bool:
        return self.go(min((f for f in self.timeline.cuts if f > self.cursor), default=self.cursor))

    def previous_scene(self) -> bool:
        return self.go(max((f for f in (0, *self.timeline.cuts) if f < self.cursor), default=self.cursor))
