"""A shot that is steadied over time, for the engine: which frames have to be measured, and what that makes of each.

    shot = steady_shot(jobs, scene_starts)              # every frame of the shot; landmarks are steadied here
    keys = shot.with_neighbors(keys)                    # what a frame depends on, the frames around it included
    for part in shot.adjusted(wanted, ..., kept=kept):  # measures them, and gives them back ready to be merged
        merge_frames(part, ..., kept=kept)

A long shot is done in parts, so that what is known of a part fits into memory: the measures of its frames, and what the
networks said of their faces. Both reach into the next part, so every frame is measured once, and every face asked about
once; the result is that of the whole.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

from core.progress import Progress
from facelib.prediction import Predictor
from merger.compositors import CompositorSetup, FrameView
from merger.engine import measure_frames
from merger.frames import FrameFaces
from merger.journal import RenderKey
from merger.kept_answers import KeptAnswers, answer_bytes
from merger.measures import FaceMeasures, measure_faces
from merger.rounds import FrameJob
from merger.stabilizers import Neighborhood
from merger.temporal import REACH, Track, link_faces, neighbors, steady_faces

FRAMES_PER_PART = 1000
"""At most: about 150 megabytes of measures at a resolution of 256, 300 with color transfer idt."""

_FEWEST_FRAMES_PER_PART = 4 * REACH
"""Every part starts processes of its own; rather than in smaller parts, some faces are asked about twice."""


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
        for (frame, _), around in neighbors(self.tracks).items():
            if self.jobs[frame].settings.looks_around:
                heard.setdefault(frame, set()).update(other for other, _ in around if other != frame)
        return heard

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
        self,
        wanted: Sequence[FrameJob],
        predictor: Predictor,
        setup: CompositorSetup,
        *,
        workers: int,
        progress: Progress,
        frames_per_part: int = FRAMES_PER_PART,
        kept: KeptAnswers | None = None,
    ) -> Iterator[list[FrameJob]]:
        """The wanted jobs of this shot with what the frames around change of them, part by part, in order.

        Args:
            wanted: in the order of the shot.
            kept: gets what the networks say of a part until the next one is asked for.
        """
        place_of = {job.frame.stem: place for place, job in enumerate(self.jobs)}
        heard = self.heard_by()
        if not any(place_of[job.frame.stem] in heard for job in wanted):
            yield list(wanted)
            return
        kept = kept or KeptAnswers()
        kept.expect(job.frame.stem for job in wanted if place_of[job.frame.stem] in heard)
        around = Neighborhood(self.frames, self.tracks)

        def take(frame: FrameFaces, measures: Sequence[FaceMeasures]) -> None:
            around.add(place_of[frame.stem], measures)

        for part in split_shot(wanted, frames_per_part, setup.resolution, kept.most_bytes):
            places = {place for job in part if (place := place_of[job.frame.stem]) in heard}
            needed = sorted(p for p in places.union(*(heard[place] for place in places)) if not around.knows(p))
            if needed:
                jobs = [self.jobs[place] for place in needed]
                # A frame that cannot be measured cannot be merged either, and is told of there.
                measure_frames(
                    jobs,
                    predictor,
                    setup,
                    measure_view,
                    workers=workers,
                    on_measured=take,
                    progress=progress,
                    kept=kept,
                )
            yield [
                replace(job, adjustment=around.adjustment(place, job.settings)) if place in places else job
                for job in part
                for place in (place_of[job.frame.stem],)
            ]
            kept.forget(job.frame.stem for job in part)
            around.forget_before(place_of[part[-1].frame.stem] + 1 - REACH)


def split_shot(
    wanted: Sequence[FrameJob], most_frames: int, resolution: int, most_bytes: int
) -> Iterator[Sequence[FrameJob]]:
    """The parts of a shot: so long that the answers about their faces, and about those of the frames that are measured
    with them, take no more than `most_bytes`; but neither longer than `most_frames` nor all too short.
    """
    settings = {id(job.settings): job.settings for job in wanted}.values()
    most_faces = most_bytes // answer_bytes(resolution, settings)
    faces_before = [0, *accumulate(len(job.frame.faces) for job in wanted)]
    first = 0
    while first < len(wanted):
        behind = bisect_right(faces_before, faces_before[first] + most_faces) - 1
        if behind < len(wanted):
            behind = max(behind - REACH, first + _FEWEST_FRAMES_PER_PART)
        behind = min(behind, first + most_frames)
        yield wanted[first:behind]
        first = behind


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
