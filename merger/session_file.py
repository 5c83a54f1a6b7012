"""The file of a session: saved whole after every change, with the last twenty states of it beside it.

    {"schema": "MergeSession.1",
     "identity": {"model": "new", "model_class": "SAEHD", "iteration": 1000, "weights": ..., "segmenter": ""},
     "frames_folder": "data_dst",                            from the workspace on, if it lies in there
     "settings": {...}, "keyframing": false, "new_curve": "linear", "cursor": 12, "visited": [[0, 12]],
     "face": 0, "new_dissolve": 0, "view": {...},
     "linked": false, "cuts": [48], "marks": {"7": "hair"}, "presets": {"48": "night"},
     "faces": {"2": {"enabled": false, "order": 0}},
     "tracks": [{"setting": "erode_mask", "face": 0, "keys": [[0, 5, "hold"], [12, 9.5, "smooth"]]},
                {"setting": "mode", "face": 2, "keys": [[12, "seamless", "hold", 9]]}],      dissolving over 9 frames
     "done": [{"what": ..., "edits": [[place, before, after], ...]}], "undone": [...],    for undo and redo
     "frames": [["00001.png", bytes, changed_ns, [[fingerprint of a face, its track], ...]], ...]}

Frames are known by their names: when some were added or taken away, keys and cuts move along. Sessions of a later
schema are refused, those that are damaged are put aside and the newest state that can be read takes their place.
Source: spec merging 9.5.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath
from typing import Any

from core.errors import BrokenFile, FaceLoomError
from core.files import atomic_write_text, explain_os_error, natural_sorted
from merger.ledger import Ledger, Place, Step
from merger.presets import check_settings
from merger.session import MergeSession
from merger.session_changes import Identity, SessionChanges, compare, move_to_frames
from merger.session_records import SessionFrame, View
from merger.settings import MergeSettings
from merger.timeline import ALL_FACES
from merger.tracks import CURVES, SETTINGS, check_dissolve, check_key

SCHEMA, VERSION = "MergeSession", 1
STATES_KEPT = 20
STEPS_KEPT = 500
_EDITS_KEPT = 20_000
"""Of all steps together: a save must be quick."""


@dataclass(frozen=True)
class LoadedSession:
    """A session out of its file.

    Attributes:
        changes: what is different from when it was saved.
        notes: what the user should know about the file itself.
    """

    session: MergeSession
    changes: SessionChanges
    notes: list[str]


class SessionFile:
    """Where a session is kept.

    Args:
        path: `<name>_<class>_merger_session.json`; earlier states lie in the folder beside it.
        root: the workspace.
        frames_folder: where the frames lie.
    """

    def __init__(self, path: Path, identity: Identity, root: Path, frames_folder: Path) -> None:
        self.path = path
        self.earlier = path.with_suffix(".earlier")
        self._identity = identity
        folder, top = os.path.abspath(frames_folder), os.path.abspath(root)
        inside = PurePath(folder).is_relative_to(top)
        self._frames_folder = PurePath(folder).relative_to(top).as_posix() if inside else PurePath(folder).as_posix()
        self._frames_text: tuple[Sequence[SessionFrame], str] = ((), "[]")
        self._saved: tuple[Ledger, int] | None = None

    def save(self, session: MergeSession) -> None:
        """Puts the session in the place of the one before, which joins the earlier ones.

        Raises:
            FaceLoomError: the disk is full, or the folder cannot be written; the file is what it was.
        """
        if self._frames_text[0] is not session.frames:
            rows = [[f.name, f.size, f.changed_ns, [list(face) for face in f.faces]] for f in session.frames]
            self._frames_text = session.frames, json.dumps(rows)
        head = {
            "schema": f"{SCHEMA}.{VERSION}",
            "identity": asdict(self._identity),
            "frames_folder": self._frames_folder,
        }
        text = json.dumps({**head, **_to_plain(session)})
        if self._saved != (session.ledger, session.ledger.version):  # not for where the user looks alone
            self._keep_current()
        atomic_write_text(self.path, f'{text[:-1]}, "frames": {self._frames_text[1]}}}\n')
        self._saved = session.ledger, session.ledger.version

    def _keep_current(self) -> None:
        """A second name for the file as it is; it never goes away before the new one is in its place."""
        if not self.path.exists():
            return
        try:
            self.earlier.mkdir(exist_ok=True)
            states = self._earlier_states()
            place = self.earlier / f"{int(states[-1].stem) + 1 if states else 1:06d}.json"
            try:
                os.link(self.path, place)
            except OSError:  # a disk without second names
                shutil.copyfile(self.path, place)
            for old in states[: max(0, len(states) + 1 - STATES_KEPT)]:
                old.unlink(missing_ok=True)
        except OSError as problem:
            raise explain_os_error(problem, self.earlier) from problem

    def _earlier_states(self) -> list[Path]:
        return natural_sorted(path for path in self.earlier.glob("*.json") if path.stem.isdecimal())

    def load(self, frames: Sequence[SessionFrame]) -> LoadedSession | None:
        """The session as it was saved last, on the frames there are now; None where there is none.

        Raises:
            BrokenFile: it is of a later version of this program.
        """
        notes: list[str] = []
        candidates = [self.path] if self.path.exists() else []
        for path in [*candidates, *reversed(self._earlier_states())]:
            try:
                plain = _read(path)
                session, before = _from_plain(plain)
                identity = Identity(**plain["identity"])
            except _Damaged as problem:
                if path == self.path:
                    notes.append(
                        f"The session {path.name} is damaged ({problem}); it is kept as {self._put_aside('damaged')}."
                    )
                continue
            if path != self.path:
                notes.append(f"The state saved before it is used ({path.parent.name}/{path.name}).")
            changes = compare(identity, before, self._identity, frames)
            return LoadedSession(move_to_frames(session, frames), changes, notes)
        if notes:
            raise BrokenFile(self.path, notes[0], "Without it, the next run begins a new session.")
        return None

    def put_aside(self) -> str:
        """Gives the file another name, so that a new session can begin and this one is not lost; the new name."""
        return self._put_aside("other")

    def _put_aside(self, why: str) -> str:
        for number in range(1, 1000):
            place = self.path.with_name(f"{self.path.stem}.{why}{number}.json")
            if not place.exists():
                break
        try:
            os.replace(self.path, place)
        except OSError as problem:
            raise explain_os_error(problem, self.path) from problem
        return place.name


class _Damaged(Exception):
    """Why a session cannot be read, in words."""


def _read(path: Path) -> dict[str, Any]:
    try:
        plain = json.loads(path.read_text("utf-8"))
    except OSError as problem:
        raise explain_os_error(problem, path) from problem
    except ValueError as problem:
        raise _Damaged("it is no JSON") from problem
    schema = plain.get("schema") if isinstance(plain, dict) else None
    kind, _, version = str(schema).partition(".")
    if kind != SCHEMA or not version.isdecimal():
        raise _Damaged("it is no session")
    if int(version) > VERSION:
        raise BrokenFile(
            path,
            f"it was saved by a later version of FaceLoom ({schema}; this one reads {SCHEMA}.{VERSION}).",
            "Use that version, or move the file away to begin a new session.",
        )
    return plain


def _to_plain(session: MergeSession) -> dict[str, Any]:
    tracks: dict[tuple[str, int], list[list[Any]]] = {}
    for (_, face, name, frame), entry in session.ledger.of_kind("key"):
        tracks.setdefault((str(name), int(face)), []).append([frame, *entry])
    ledger = session.ledger
    return {
        "settings": vars(session.base),
        "keyframing": session.keyframing,
        "new_curve": session.new_curve,
        "cursor": session.cursor,
        "face": session.face,
        "new_dissolve": session.new_dissolve,
        "visited": _runs(session.visited),
        "view": asdict(session.view),
        "linked": session.timeline.is_linked,
        "cuts": sorted(int(place[1]) for place, _ in ledger.of_kind("cut")),
        "marks": {str(place[1]): note for place, note in ledger.of_kind("mark")},
        "presets": {str(place[1]): name for place, name in ledger.of_kind("preset")},
        "faces": {str(place[1]): choice for place, choice in ledger.of_kind("face")},
        "tracks": [{"setting": n, "face": f, "keys": sorted(keys)} for (n, f), keys in sorted(tracks.items())],
        "done": _steps_to_plain(ledger.done),
        "undone": _steps_to_plain(ledger.undone),
    }


def _steps_to_plain(steps: Sequence[Step]) -> list[dict[str, Any]]:
    """The newest steps, as many as may be kept."""
    kept: list[dict[str, Any]] = []
    edits = 0
    for step in reversed(steps[-STEPS_KEPT:]):
        edits += len(step.after)
        if edits > _EDITS_KEPT:
            break
        rows = [[list(place), step.before.get(place), after] for place, after in step.after.items()]
        kept.append({"what": step.what, "edits": rows})
    return kept[::-1]


def _from_plain(plain: dict[str, Any]) -> tuple[MergeSession, list[SessionFrame]]:
    """The session and the frames it was saved with."""
    try:
        frames = [
            SessionFrame(str(name), tuple((str(hash_), int(track)) for hash_, track in faces), int(size), int(changed))
            for name, size, changed, faces in plain["frames"]
        ]
        ledger = Ledger(_entries(plain))
        ledger.done = [_step(step) for step in plain["done"]]
        ledger.undone = [_step(step) for step in plain["undone"]]
        known = {name: value for name, value in plain["settings"].items() if name in SETTINGS}
        session = MergeSession(frames, MergeSettings(**check_settings(known)), ledger=ledger)
        session.keyframing, session.new_curve = bool(plain["keyframing"]), str(plain["new_curve"])
        session.choose_dissolve(plain.get("new_dissolve", 0))
        session.face = int(plain.get("face", ALL_FACES))
        session.cursor = min(max(int(plain["cursor"]), 0), len(frames) - 1)
        session.visited = {
            frame for first, last in plain["visited"] for frame in range(max(first, 0), min(last + 1, len(frames)))
        }
        session.view = View(**plain["view"])
        if session.new_curve not in CURVES:
            raise ValueError(session.new_curve)
        asdict(Identity(**plain["identity"]))
    except (KeyError, ValueError, TypeError, AttributeError) as problem:
        raise _Damaged(f"{type(problem).__name__}: {problem}") from problem
    except FaceLoomError as problem:
        raise _Damaged(problem.what) from problem
    return session, frames


def _entries(plain: dict[str, Any]) -> dict[Place, Any]:
    entries: dict[Place, Any] = {}
    for track in plain["tracks"]:
        for frame, *entry in track["keys"]:
            _enter(entries, ("key", int(track["face"]), str(track["setting"]), int(frame)), entry)
    for frame in plain["cuts"]:
        _enter(entries, ("cut", int(frame)), True)
    for kind, values in (("mark", plain["marks"]), ("preset", plain["presets"]), ("face", plain["faces"])):
        for number, value in values.items():
            _enter(entries, (kind, int(number)), value)
    if plain["linked"]:
        entries["link",] = True
    return entries


def _enter(entries: dict[Place, Any], place: Place, value: Any) -> None:
    """Puts in one entry, checked: a file that was edited by hand must not come up as a fault much later."""
    kind = place[0]
    if value is None:
        entries[place] = None
    elif kind == "key":
        _, _, name, _ = place
        number, curve, *dissolve = value
        entries[place] = (number, str(curve), *dissolve)
        if name in SETTINGS:
            frames = (check_dissolve(str(name), frames) for frames in dissolve)
            entries[place] = (*check_key(str(name), number, curve), *frames)
    elif kind == "face":
        entries[place] = {"enabled": bool(value["enabled"]), "order": int(value["order"])}
    elif kind in ("cut", "link"):
        entries[place] = True
    elif kind in ("mark", "preset"):
        entries[place] = str(value)
    else:
        raise ValueError(f"entries of the kind {kind}")


def _step(plain: dict[str, Any]) -> Step:
    step = Step(str(plain["what"]))
    for place, before, after in plain["edits"]:
        known: Place = tuple(part if isinstance(part, int) else str(part) for part in place)
        _enter(step.before, known, before)
        _enter(step.after, known, after)
    return step


def _runs(frames: set[int]) -> list[list[int]]:
    """{0, 1, 2, 7} -> [[0, 2], [7, 7]]."""
    runs: list[list[int]] = []
    for frame in sorted(frames):
        if runs and frame == runs[-1][1] + 1:
            runs[-1][1] = frame
        else:
            runs.append([frame, frame])
    return runs
