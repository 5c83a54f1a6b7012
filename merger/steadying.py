"""A shot that is steadied over time, for the engine: which frames have to be measured, and what that makes of each.

    shot = steady_shot(jobs, scene_starts)              # every frame of the shot; landmarks are steadied here
    keys = shot.with_neighbors(keys)                    # what a frame depends on, the frames around it included
    for part in shot.adjusted(wanted, engine):          # measures them, and gives them back ready to be merged
        engine.merge(part, ...)

A shot is done in parts, so that what is known of a part fits into memory: its frames (merger/kept_frames.py) and their
measures. Both reach into the next part, so every frame is read and measured once, and every face asked about once; the
result is that of the whole.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from merger.compositors import FrameView
from merger.engine import Engine
from merger.frames import FrameFaces
from merger.journal import RenderKey
from merger.kept_frames import KeptFrames
from merger.measures import FaceMeasures, measure_faces
from merger.rounds import FrameJob
from merger.stabilizers import Neighborhood
from merger.temporal import REACH, Track, link_faces, neighbors, steady_faces

FRAMES_PER_PART = 1000
"""At most: about 150 megabytes of measures at a resolution of 256, 300 with color transfer idt."""

_FEWEST_FRAMES_PER_PART = 2 * REACH
"""At the end of a part processes wait for each other; rather than in smaller parts, some frames are read twice."""


def measure_view(view: FrameView) -> list[FaceMeasures]:
    """The measures of a frame, in a worker process."""
    return measure_faces(view.frame, view.aligned, view.answers, view.settings, view.face_type)


@dataclass(frozen=True)
class SteadyShot:
    """A shot with steadied landmarks.

    Attributes:
        jobs: every frame, with the landmarks it is merged with.
        tracks: its faces through time.
        scene_starts: places of the frames that begin a scene, but for the first.
    """

    jobs: list[FrameJob]
    tracks: list[Track]
    scene_starts: tuple[int, ...]

    @property
    def frames(self) -> list[FrameFaces]:
        return [job.frame for job in self.jobs]

    def heard_by(self) -> dict[int, set[int]]:
        """Place of a frame -> the other frames whose pixels have a say in it; frames that look at none are left out."""
        heard: dict[int, set[int]] = {}
        for (frame, place), around in neighbors(self.tracks).items():
            job = self.jobs[frame]
            if any(one.looks_around for one in job.frame.faces[place].settings or (job.settings,)):
                heard.setdefault(frame, set()).update(other for other, _ in around if other != frame)
        return heard

    def hearing(self, stems: Collection[str]) -> set[str]:
        """The frames in which any of these have a say, by stem."""
        places = {place for place, job in enumerate(self.jobs) if job.frame.stem in stems}
        return {self.jobs[frame].frame.stem for frame, others in self.heard_by().items() if others & places}

    def with_neighbors(self, keys: Mapping[str, RenderKey]) -> dict[str, RenderKey]:
        """The keys of the whole shot by stem, each with those of the frames that have a say in it."""
        heard = self.heard_by()
        stems = [job.frame.stem for job in self.jobs]
        extended = dict(keys)
        for frame, others in heard.items():
            digest = hashlib.blake2b(digest_size=12)
            for other in sorted(others):
                key = keys[stems[other]]
                digest.update(f"{other - frame} {key.frame} {key.faces} {key.settings}\n".encode())
            if others:
                extended[stems[frame]] = replace(keys[stems[frame]], neighbors=digest.hexdigest())
        return extended

    def adjusted(
        self, wanted: Sequence[FrameJob], engine: Engine, frames_per_part: int = FRAMES_PER_PART
    ) -> Iterator[list[FrameJob]]:
        """The wanted jobs of this shot with what the frames around change of them, part by part, in order.

        Args:
            wanted: in the order of the shot.
            engine: measures them, and is to merge each part before the next one is asked for.
        """
        place_of = {job.frame.stem: place for place, job in enumerate(self.jobs)}
        heard = self.heard_by()
        if not any(place_of[job.frame.stem] in heard for job in wanted):
            yield list(wanted)
            return
        engine.kept.expect(job.frame.stem for job in wanted if place_of[job.frame.stem] in heard)
        around = Neighborhood(self.frames, self.tracks)

        def take(frame: FrameFaces, measures: Sequence[FaceMeasures]) -> None:
            around.add(place_of[frame.stem], measures)

        behind = 0
        while behind < len(wanted):
            first, behind = behind, behind + part_length(engine.kept, frames_per_part)
            part = wanted[first:behind]
            places = {place for job in part if (place := place_of[job.frame.stem]) in heard}
            needed = sorted(p for p in places.union(*(heard[place] for place in places)) if not around.knows(p))
            if needed:
                # A frame that cannot be measured cannot be merged either, and is told of there.
                engine.measure([self.jobs[place] for place in needed], measure_view, take)
            yield [
                replace(job, adjustment=around.adjustment(place, job.settings)) if place in places else job
                for job in part
                for place in (place_of[job.frame.stem],)
            ]
            around.forget_before(place_of[part[-1].frame.stem] + 1 - REACH)


def part_length(kept: KeptFrames, most: int) -> int:
    """So many frames that all of them can be kept, and those that are measured with them for the next part; but neither
    more than `most` nor all too few. What was kept before tells how much room they take.
    """
    room = _FEWEST_FRAMES_PER_PART if kept.room is None else kept.room - REACH
    return min(most, max(_FEWEST_FRAMES_PER_PART, room))


def steady_shot(jobs: Sequence[FrameJob], scene_starts: Sequence[int] = ()) -> SteadyShot:
    """Follows the faces of a whole shot, and steadies their landmarks.

    Args:
        jobs: every frame of the shot, in order, with its settings.
        scene_starts: places of the frames that begin a scene; nothing is smoothed across.
    """
    frames = [job.frame for job in jobs]
    tracks = link_faces(frames, scene_starts)
    steadied = steady_faces(frames, tracks, [job.settings.landmark_strength for job in jobs])
    kept = [replace(job, frame=frame) for job, frame in zip(jobs, steadied, strict=True)]
    return SteadyShot(kept, tracks, tuple(scene_starts))
