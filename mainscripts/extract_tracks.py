"""Which of the found faces are cut out: linked into tracks, missed ones found again, steadied, and chosen.

Everything here depends on the frames and the options alone, not on how often a run was stopped or on how many processes
worked on it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from core.errors import BadOption
from core.progress import SILENT, Progress, Task
from core.shots import Shots, find_shots
from core.words import counted
from facelib.extraction import FoundFace
from facelib.smoothing import smooth_landmarks
from facelib.tracking import Gap, Sight, Track, fills, gaps, link_faces, runs
from mainscripts.extract_findings import Finding

TOO_SMALL, TOO_UNSURE, OTHER_TRACK, TOO_MANY = "smaller", "unsure", "other tracks", "too many"
_LEAST_PART = 0.1
_NAMED_TRACKS = 12


@dataclass(frozen=True)
class Wanted:
    """What the user asked for; attributes as in mainscripts/extract.py."""

    max_faces: int = 0
    min_face_size: int = 0
    min_confidence: float = 0.0
    only_track: int | str = "all"
    smooth: bool = True


@dataclass(frozen=True, eq=False)
class Tracked:
    """The tracks of a folder of frames.

    Attributes:
        names: of the frames, in order.
        tracks: by number - 1; missed faces that were found again are in them.
    """

    names: tuple[str, ...]
    shots: Shots
    tracks: tuple[Track, ...]


@dataclass(frozen=True, eq=False)
class Chosen:
    """The faces to cut out.

    Attributes:
        faces: frame name -> its faces, those of the largest track first.
        left_out: reason -> number of faces that were found and are not wanted.
        found_again, smoothed: how many of the chosen faces.
    """

    faces: Mapping[str, tuple[FoundFace, ...]]
    left_out: Mapping[str, int] = field(default_factory=dict)
    found_again: int = 0
    smoothed: int = 0


SearchAgain = Callable[[Sequence[tuple[Path, Gap]]], Iterable[FoundFace | None]]


def track_faces(
    frames: Sequence[Path], seen: Sequence[Finding | None], search: SearchAgain, progress: Progress = SILENT
) -> Tracked:
    """Links the faces of all frames and has the missed ones searched for.

    Args:
        frames: in order.
        seen: what was found in each; None where the frame could not be read.
        search: looks where a face should be; one answer for each question, in order.
    """
    names = tuple(path.name for path in frames)
    glances = [None if one is None else one.glance for one in seen]
    shots = find_shots(names, glances, [None if one is None else one.size for one in seen])
    tracks = link_faces([Sight() if one is None else one.sight for one in seen], shots, progress)
    open_gaps = [gap for gap in gaps(tracks, shots) if seen[gap.frame] is not None]
    present = {gap.frame: [*_faces_in(seen[gap.frame])] for gap in open_gaps}
    for gap, face in zip(open_gaps, search([(frames[gap.frame], gap) for gap in open_gaps]), strict=True):
        if face is not None and fills(gap, face, present[gap.frame]):
            tracks[gap.track - 1].faces[gap.frame] = replace(face, gap=True)
            present[gap.frame].append(face)
    return Tracked(names, shots, tuple(tracks))


def _faces_in(finding: Finding | None) -> tuple[FoundFace, ...]:
    return finding.sight.faces if finding is not None else ()


def choose_faces(tracked: Tracked, wanted: Wanted, progress: Progress = SILENT) -> Chosen:
    """The faces of every frame that are wanted, steadied where that was asked for. BadOption: no such track."""
    kept = _kept_tracks(tracked.tracks, wanted.only_track)
    ranked = sorted(tracked.tracks, key=lambda track: (-track.side, track.number))
    chosen: dict[str, list[FoundFace]] = {}
    left_out: Counter[str] = Counter()
    steadied = _steadied(ranked, tracked.shots, progress) if wanted.smooth else {}
    for track in ranked:
        steady = steadied.get(track.number, {})
        for frame, face in track.faces.items():
            reason = _unwanted(face, track.number in kept, len(chosen.get(tracked.names[frame], ())), wanted)
            if reason:
                left_out[reason] += 1
            else:
                face = replace(steady.get(frame, face), track=track.number)
                chosen.setdefault(tracked.names[frame], []).append(face)
    every = [face for of_frame in chosen.values() for face in of_frame]
    return Chosen(
        {name: tuple(of_frame) for name, of_frame in chosen.items()},
        left_out,
        sum(face.gap for face in every),
        sum(face.moved is not None for face in every),
    )


def _unwanted(face: FoundFace, in_kept_track: bool, before: int, wanted: Wanted) -> str:
    """Why a face is left out; "" where it is wanted."""
    if not in_kept_track:
        return OTHER_TRACK
    if face.side < wanted.min_face_size:
        return TOO_SMALL
    if face.score < wanted.min_confidence:
        return TOO_UNSURE
    return TOO_MANY if 0 < wanted.max_faces <= before else ""


def _kept_tracks(tracks: Sequence[Track], which: int | str) -> set[int]:
    """Numbers of the wanted tracks: all, one of each shot, or the one that was named."""
    if which == "all":
        return {track.number for track in tracks}
    if isinstance(which, int):
        if which > len(tracks):
            raise BadOption(
                f"There is no track {which}. Received: --only-track {which}.",
                f"The tracks are 1 to {len(tracks)}." if tracks else "No face was found at all.",
            )
        return {which}
    kept = set()
    by_shot: dict[int, list[Track]] = defaultdict(list)
    for track in tracks:
        by_shot[track.shot].append(track)
    for here in by_shot.values():
        most = max(len(track.faces) for track in here)
        if which == "longest":
            kept.add(max(here, key=lambda track: (len(track.faces), track.side, -track.number)).number)
        else:  # a large face that shows up for a moment is no main character
            lasting = [track for track in here if len(track.faces) >= _LEAST_PART * most]
            kept.add(max(lasting, key=lambda track: (track.side, -track.number)).number)
    return kept


def _steadied(tracks: Sequence[Track], shots: Shots, progress: Progress) -> dict[int, dict[int, FoundFace]]:
    """Track number -> its frames' steadied faces."""
    with progress.task("Smoothing landmarks", sum(len(track.faces) for track in tracks), "face", brief=True) as task:
        return {track.number: _smoothed(track, shots, task) for track in tracks}


def _smoothed(track: Track, shots: Shots, task: Task) -> dict[int, FoundFace]:
    """Frame -> steadied face, for those that smoothing has moved."""
    steady = {}
    for run in runs(track, shots):
        raw = np.stack([track.faces[frame].landmarks for frame in run])
        sides = np.array([track.faces[frame].side for frame in run])
        smooth = smooth_landmarks(raw, sides)
        moved = np.linalg.norm(smooth - raw, axis=2).max(axis=1) / sides
        for frame, landmarks, far in zip(run, smooth, moved, strict=True):
            if far > 0:
                face = track.faces[frame]
                again = FoundFace.from_landmarks(landmarks, face.score, face.presence)
                steady[frame] = replace(again, gap=face.gap, moved=float(far))
        task.advance(len(run))
    return steady


def tell(chosen: Chosen, wanted: Wanted) -> list[str]:
    """What the user should know of what was found again, smoothed and left out, a line each."""
    lines = []
    if chosen.found_again:
        lines.append(f"Found again where the detector missed them: {counted(chosen.found_again, 'face')}")
    if chosen.smoothed:
        lines.append(f"Landmarks smoothed over time: {counted(chosen.smoothed, 'face')}")
    words = {
        TOO_SMALL: f"smaller than {wanted.min_face_size} pixels (--min-face-size)",
        TOO_UNSURE: f"below confidence {wanted.min_confidence:g} (--min-confidence)",
        OTHER_TRACK: "of other tracks (--only-track)",
        TOO_MANY: f"beyond {wanted.max_faces} a frame (--max-faces)",
    }
    told = [f"{chosen.left_out[reason]} {word}" for reason, word in words.items() if chosen.left_out.get(reason)]
    if told:
        lines.append(f"Left out: {', '.join(told)}")
    return lines


def tell_tracks(tracked: Tracked) -> list[str]:
    """The longest tracks in the order of their numbers; nothing where no face was followed anywhere."""
    if all(len(track.faces) < 2 for track in tracked.tracks):
        return []
    longest = sorted(tracked.tracks, key=lambda track: (-len(track.faces), track.number))
    shown = sorted(longest[:_NAMED_TRACKS], key=lambda track: track.number)
    lines = [f"Tracks: {len(tracked.tracks)}"]
    for track in shown:
        frames = track.frames
        lines.append(
            f"  track {track.number}: {tracked.names[frames[0]]} to {tracked.names[frames[-1]]}, "
            f"{counted(len(frames), 'frame')}, faces of {track.side:.0f} pixels"
        )
    rest = longest[_NAMED_TRACKS:]
    if rest:
        lines.append(f"  and {len(rest)} more of at most {len(rest[0].faces)} frames")
    return lines
