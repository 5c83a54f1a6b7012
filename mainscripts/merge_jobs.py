"""What is to be rendered of every frame: which faces, and each with which settings."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

from core import console
from core.progress import Progress, TqdmProgress
from core.words import counted
from merger.frames import FrameFaces, shortened
from merger.gaps import bridge_gaps
from merger.motion import with_classical_motion, with_motion
from merger.rounds import FrameJob
from merger.session import MergeSession
from merger.settings import WHOLE_FRAME, MergeSettings
from merger.temporal import LONGEST_GAP
from merger.timeline import Rendering

_SECONDS_TO_AGREE = 5


def session_jobs(session: MergeSession, frames: Sequence[FrameFaces]) -> list[FrameJob]:
    """Every frame with the faces that are enabled, in their order, and their settings."""
    tracks = [[face.track for face in frame.faces] for frame in frames]
    renderings = [session.renderings(number, mine) for number, mine in enumerate(tracks)]
    every = {id(one): one for several in renderings for _, own in several for one in own}
    moved = with_movement(frames, list(every.values()), session.timeline.cuts)
    places = [session.faces_at(number, mine) for number, mine in enumerate(tracks)]
    usual = map(session.settings_at, range(len(frames)))
    return [_job(*one) for one in zip(moved, places, renderings, usual, strict=True)]


def _job(frame: FrameFaces, places: Sequence[int], renderings: Sequence[Rendering], usual: MergeSettings) -> FrameJob:
    """A frame with some of its faces; where all of them have its usual settings, none wears its own."""
    faces = [frame.faces[place] for place in places]
    if not faces or (len(renderings) == 1 and all(one == usual for one in renderings[0][1])):
        return FrameJob(dataclasses.replace(frame, faces=tuple(faces)), usual)
    own = zip(*(settings for _, settings in renderings), strict=True)
    dressed = tuple(dataclasses.replace(face, settings=mine) for face, mine in zip(faces, own, strict=True))
    return FrameJob(dataclasses.replace(frame, faces=dressed, shares=tuple(share for share, _ in renderings)), usual)


def with_movement(
    frames: Sequence[FrameFaces], settings: Sequence[MergeSettings], cuts: Sequence[int]
) -> Sequence[FrameFaces]:
    """The frames, with how their faces move if the settings of any face ask for motion blur; not across cuts."""
    moving = [one for one in settings if one.motion_blur_power]
    if not moving:
        return frames
    return with_classical_motion(frames) if moving[0].is_classical else with_motion(frames, cuts)


def tell_apart(session: MergeSession, jobs: Sequence[FrameJob], progress: Progress) -> None:
    """Says which faces differ from the others, and where settings dissolve."""
    own = session.timeline.faces_of_their_own()
    if own:
        apart = sum(len({id(face.settings[0]) for face in job.frame.faces if face.settings}) > 1 for job in jobs)
        progress.say(
            f"With settings of their own: {counted(len(own), 'face')} (track {', '.join(map(str, own))}); "
            f"{counted(apart, 'frame')} with faces that differ. What is done to a whole frame is the same for all of "
            f"them ({', '.join(WHOLE_FRAME)})."
        )
    mixed = sum(len(job.frame.shares) > 1 for job in jobs)
    if mixed:
        progress.say(f"Between two settings, rendered with both and mixed: {counted(mixed, 'frame')}.")


def bridge_missed(
    frames: Sequence[FrameFaces], cuts: Callable[[], Sequence[int]], fill: str, is_classical: bool, progress: Progress
) -> Sequence[FrameFaces]:
    """The frames, with faces laid into short gaps where that is wanted.

    Args:
        cuts: finds the places of the frames that begin a scene; only asked where something may be missing.
        fill: a word of FILL_MISSING.
        is_classical: older tools laid none in, so nobody is asked.
    """
    asks = fill == "ask"
    if fill == "off" or (asks and is_classical) or not _changed(frames, bridge_gaps(frames)):
        return frames
    filled = bridge_gaps(frames, cuts())
    missed = _changed(frames, filled)
    if not missed:
        return frames
    what = f"{counted(len(missed), 'frame')} ({shortened(missed)})"
    if not asks:
        progress.say(f"Laid in where it was missed, between frames that show it (--fill-missing on): a face in {what}.")
        return filled
    progress.say(f"Missed for {LONGEST_GAP} frames at most, between frames that show it: a face in {what}.")
    if isinstance(progress, TqdmProgress) and console.pressed_enter_within(_SECONDS_TO_AGREE, "Enter lays it in"):
        return filled
    progress.say("They stay as they are; --fill-missing on lays it in.")
    return frames


def _changed(frames: Sequence[FrameFaces], filled: Sequence[FrameFaces]) -> list[str]:
    return [frame.path.name for frame, other in zip(frames, filled, strict=True) if other is not frame]
