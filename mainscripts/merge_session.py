"""The session of a merge: `merge --session` renders every frame with the settings that were saved for it.

`<name>_<class>_merger_session.json` in the folder of models (merger/session_file.py). Where there is none, one is begun
with the settings of the flags, and scenes are found. `--import-session` takes the settings out of a session of an older
tool, `--session-table` writes what every frame is rendered with as a table.
"""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from core.errors import BadOption
from core.files import atomic_write_text
from core.images import read_image
from core.options import Options, option
from core.parallel import map_ordered
from core.paths import Workspace, merge_session_file
from core.progress import Progress
from core.shots import glance
from core.words import counted
from mainscripts.merge_jobs import bridge_missed, session_jobs, tell_apart
from merger.face_choice import parse_face_settings
from merger.frames import FrameFace, FrameFaces, frame_stem, shortened
from merger.legacy_session import read_legacy_session
from merger.rounds import FrameJob, settings_of
from merger.scenes import find_cuts
from merger.session import MergeSession
from merger.session_changes import Identity
from merger.session_file import SessionFile
from merger.session_records import SessionFrame
from merger.settings import MergeSettings
from merger.timeline import ALL_FACES
from merger.tracks import SETTINGS
from models.registry import find_model

if TYPE_CHECKING:
    from mainscripts.merge_options import Folders, MergeOptions

OLDER_FRAMES = ("render", "keep")

_USES = ("session", "import_session", "session_table")
"""Options that need a session."""

_FEW_FRAMES = 100
"""So many are looked at sooner by this process than by others that have to start first."""


@dataclass(kw_only=True)
class SessionOptions(Options):
    """What `merge` can be told about sessions."""

    session: bool = option(
        False,
        "Session",
        ask=False,
        help="Every frame as its saved session says, and without questions. Begins one where there is none.",
    )
    import_session: Path | None = option(
        None,
        "Import session",
        ask=False,
        help="Takes the settings of every frame from a DeepFaceLab session (..._merger_session.dat) into the session.",
    )
    session_table: Path | None = option(
        None, "Session table", ask=False, help="Writes the settings of every frame to this file, as CSV."
    )
    older_frames: str = option(
        "render",
        "Frames of an earlier state of the model",
        choices=OLDER_FRAMES,
        ask=False,
        help="When only the model has changed since a frame was merged: render merges it again, keep leaves it.",
    )

    @property
    def uses_session(self) -> bool:
        """Whether frames have settings of their own."""
        return any(getattr(self, name) for name in _USES)


def settled_by_session(given: Mapping[str, Any]) -> Collection[str]:
    """The settings, where a session has its own: nobody is asked for any. A new one begins with the last answers."""
    return SETTINGS if any(given.get(name) for name in _USES) else ()


@dataclass(frozen=True)
class MergePlan:
    """What is to be rendered.

    Attributes:
        jobs: every frame with its settings, and the faces that are swapped in it.
        options: asking for every network that any frame needs.
        scene_starts: places of the frames that begin a scene, where a session knows them.
    """

    jobs: list[FrameJob]
    options: MergeOptions
    scene_starts: list[int] = field(default_factory=list)


def plan_merge(
    workspace: Workspace,
    options: MergeOptions,
    folders: Folders,
    frames: Sequence[FrameFaces],
    progress: Progress,
) -> MergePlan:
    """Every frame with the settings it is to be rendered with: those of the options, or of the session.

    Raises:
        UserError: no such model, no such file, or a session of a later version.
        BrokenFile: the session is damaged, or the one to import is.
    """
    settings = MergeSettings.part_of(options)
    if options.older_frames == "keep" and options.stream is not None:
        raise BadOption(
            "A stream is made of frames of one state of the model. Received: --older-frames keep and --stream.",
            "Leave one of them out.",
        )
    own = parse_face_settings(options.face_settings)
    if not options.uses_session:
        if not own:
            return MergePlan([FrameJob(frame, settings) for frame in frames], options)
        session = _begin([_session_frame(frame) for frame in frames], settings, own)
        return _planned(session, frames, options, progress)
    saved = find_model(folders.models, options.model, options.force_model_name or options.model_name)
    identity = Identity(saved.name, saved.class_name, saved.iteration or 0)
    file = SessionFile(
        merge_session_file(folders.models, saved.name, saved.class_name), identity, workspace.root, folders.frames
    )
    session = _open(file, settings, frames, options, progress)
    if options.import_session is not None:
        _import(session, options.import_session, progress)
        file.save(session)
    if options.session_table is not None:
        atomic_write_text(options.session_table, settings_table(session))
        progress.say(f"The settings of every frame are in {options.session_table}.")
    how = (options.fill_missing, session.base.is_classical, progress)
    return _planned(session, bridge_missed(frames, lambda: session.timeline.cuts, *how), options, progress)


def _planned(
    session: MergeSession, frames: Sequence[FrameFaces], options: MergeOptions, progress: Progress
) -> MergePlan:
    jobs = session_jobs(session, frames)
    tell_apart(session, jobs, progress)
    return MergePlan(jobs, _asking_for_all(options, settings_of(jobs)), list(session.timeline.cuts))


def _begin(
    frames: Sequence[SessionFrame],
    settings: MergeSettings,
    own: Mapping[int, Mapping[str, Any]],
    cuts: Sequence[int] = (),
) -> MergeSession:
    """A new session. own: of single faces, from the first frame on."""
    session = MergeSession(frames, settings, cuts)
    for track, values in own.items():
        session.work_at(track)
        for name, value in values.items():
            session.set_key(name, 0, value)
    session.work_at(ALL_FACES)
    return session


def _open(
    file: SessionFile, settings: MergeSettings, frames: Sequence[FrameFaces], options: MergeOptions, progress: Progress
) -> MergeSession:
    """The saved session, and what is different from then; or a new one."""
    known = [_session_frame(frame) for frame in frames]
    found = file.load(known)
    if found is not None and found.changes.is_other_shot:
        progress.say(f"The saved session is of other frames; it is kept as {file.put_aside()}.")
        found = None
    if found is None:
        usual = MergeSettings()
        own = [f"{n} {getattr(settings, n)}" for n in SETTINGS if getattr(settings, n) != getattr(usual, n)]
        progress.say(f"A session is begun with {', '.join(own) or 'the usual settings'}: {file.path}.")
        faces = parse_face_settings(options.face_settings)
        session = _begin(known, settings, faces, look_for_cuts(frames, options.workers, progress))
        progress.say(f"{counted(len(session.scenes), 'scene')}.")
        file.save(session)
        return session
    for sentence in (*found.notes, *found.changes.sentences(known)):
        progress.say(sentence)
    if found.changes.is_other_model and options.older_frames == "render":
        progress.say("Frames merged before are rendered anew; --older-frames keep leaves them as they are.")
    _name_conflicts(found.session, options, progress)
    if found.notes or found.changes.sentences(known):
        file.save(found.session)
    count = sum(1 for place, _ in found.session.ledger.of_kind("key"))
    progress.say(f"Session {file.path.name}: {counted(count, 'key')}, {counted(len(found.session.scenes), 'scene')}.")
    return found.session


def _session_frame(frame: FrameFaces) -> SessionFrame:
    status = frame.path.stat()
    faces = tuple((_fingerprint(face), face.track) for face in frame.faces)
    return SessionFrame(frame.path.name, faces, status.st_size, status.st_mtime_ns)


def _fingerprint(face: FrameFace) -> str:
    digest = hashlib.blake2b(digest_size=6)
    digest.update(np.ascontiguousarray(face.landmarks, np.float32).tobytes())
    digest.update(np.float64(face.brow_lift).tobytes())
    return digest.hexdigest()


def _name_conflicts(session: MergeSession, given: MergeOptions, progress: Progress) -> None:
    """Settings that were given, and that the session sets otherwise: the session counts."""
    every = [session.settings_at(frame) for frame in range(len(session.frames))]
    passed_over = [
        f"{name} {getattr(given, name)}"
        for name in SETTINGS
        if given.was_given(name) and any(getattr(s, name) != getattr(given, name) for s in every)
    ]
    passed_over += [
        f"face {track} {name} {value}"
        for track, values in parse_face_settings(given.face_settings).items()
        for name, value in values.items()
        if any(getattr(session.settings_at(n, track), name) != value for n in range(len(session.frames)))
    ]
    if passed_over:
        progress.say(
            f"The session has settings of its own, so these are not used: {', '.join(passed_over)}. Merge without "
            "--session to use them for every frame."
        )


def _glance_at(path: Path) -> tuple[NDArray[np.uint8], tuple[int, int]]:
    picture = read_image(path)
    if picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    return glance(picture), (picture.shape[1], picture.shape[0])


def look_for_cuts(frames: Sequence[FrameFaces], workers: int, progress: Progress) -> list[int]:
    """Looks at every frame once. One that cannot be read ends no scene; merging will tell of it."""
    paths = [frame.path for frame in frames]
    seen = []
    with progress.task("Looking for scenes", total=len(paths), unit="frame") as task:
        for outcome in map_ordered(_glance_at, paths, workers=0 if len(paths) <= _FEW_FRAMES else workers):
            seen.append((None, None) if outcome.value is None else outcome.value)
            task.advance()
    return find_cuts(frames, [look for look, _ in seen], [size for _, size in seen])


def _import(session: MergeSession, path: Path, progress: Progress) -> None:
    """Puts the settings of an older tool's session onto the frames of the same names."""
    older = read_legacy_session(path)
    places = {frame.stem: place for place, frame in enumerate(session.frames)}
    given = [(frame_stem(frame.name), frame.settings) for frame in older.frames]
    values = {places[stem]: settings for stem, settings in given if settings is not None and stem in places}
    strangers = [stem for stem, _ in given if stem not in places]
    if len(strangers) == len(given):
        raise BadOption(f"None of the frames of {path} is among those to be merged.", "Import it where its frames are.")
    session.replace_settings(values)
    progress.say(
        f"{path.name}: {older.distinct_settings} different settings of {counted(len(values), 'frame')}, saved at "
        f"iteration {older.iteration:,} of its model."
    )
    if strangers:
        progress.say(f"Left out, as they are not here: {counted(len(strangers), 'frame')} ({shortened(strangers)}).")


def settings_table(session: MergeSession) -> str:
    """What every frame is rendered with, as CSV: one row per frame, one column per setting; and a further row for each
    of its faces that has settings of its own.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["frame", "scene", "face", *SETTINGS, "note"])
    own = session.timeline.faces_of_their_own()
    for number, frame in enumerate(session.frames):
        scene = session.scenes.index(session.timeline.scene_of(number)) + 1
        for face in (ALL_FACES, *(track for track in own if track in frame.tracks)):
            settings = session.settings_at(number, face)
            note = session.marks.get(number, "") if face == ALL_FACES else ""
            values = (getattr(settings, name) for name in SETTINGS)
            rows.writerow([frame.name, scene, face or "all", *values, note])
    return text.getvalue()


def _asking_for_all(options: MergeOptions, every: Sequence[MergeSettings]) -> MergeOptions:
    """The options as if one frame needed every network that any frame needs."""
    needs: dict[str, list[Any]] = {
        "mode": [one.mode for one in every if one.mode != "original"],
        "mask_mode": [one.mask_mode for one in every if one.segments_new_face or one.segments_old_face],
        "super_resolution_power": [one.super_resolution_power for one in every if one.enhances],
        "morph_factor": [one.morph_factor for one in every if one.morph_factor != 1.0],
    }
    first = {field.name: getattr(every[0], field.name) for field in dataclasses.fields(MergeSettings)}
    return dataclasses.replace(options, **{**first, **{name: values[0] for name, values in needs.items() if values}})


def leaves_as_is(options: SessionOptions, reasons: Sequence[str]) -> bool:
    """Whether a frame that is not up to date stays as it is: only the model has changed, and that is wanted so."""
    return options.older_frames == "keep" and list(reasons) == ["model"]
