"""A whole shot, merged in this process: every frame measured, steadied by the frames around it, composited, metered.

The engine does the same with many processes; this is the short form to read, for tests, benchmarks and notebooks.
Only the frames within reach of each other are kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from numpy.typing import NDArray

from merger.aligning import AlignedFace, align_faces
from merger.compositing import MergedFrame
from merger.face_tools import FaceAnswer, FaceTools, ask_networks
from merger.frames import FrameFaces
from merger.measures import measure_faces
from merger.merge_frame import composite_faces
from merger.meters import MeterRecord, meter_records, read_colors
from merger.settings import MergeSettings
from merger.stabilizers import Neighborhood
from merger.temporal import REACH, link_faces, steady_faces


@dataclass(frozen=True)
class SequenceFrame:
    """A finished frame of a shot.

    Attributes:
        source: with the landmarks it was merged with.
        merged: the picture and its mask.
        records: what the meters read off it (meters.with_figures completes them).
    """

    source: FrameFaces
    merged: MergedFrame
    records: list[MeterRecord]


@dataclass(frozen=True)
class _Held:
    """A frame that waits for those after it."""

    number: int
    picture: NDArray
    aligned: list[AlignedFace]
    answers: Sequence[FaceAnswer]


def merge_sequence(
    frames: Sequence[FrameFaces],
    read: Callable[[FrameFaces], NDArray],
    settings: Sequence[MergeSettings],
    tools: FaceTools,
    scene_starts: Sequence[int] = (),
) -> Iterator[SequenceFrame]:
    """Merges a shot frame by frame, in order.

    Args:
        read: a frame's picture, (H, W, 3) BGR uint8 or uint16.
        settings: of each frame's faces, but for those that have their own.
        scene_starts: numbers of the frames that begin a scene; nothing is smoothed across.
    """
    tracks = link_faces(frames, scene_starts)
    steadied = steady_faces(frames, tracks, [one.landmark_strength for one in settings])
    around = Neighborhood(steadied, tracks)
    held: list[_Held] = []

    def finish(one: _Held) -> SequenceFrame:
        number, own = one.number, settings[one.number]
        adjustment = around.adjustment(number, own)
        merged = composite_faces(
            *(one.picture, one.aligned, one.answers, own, tools.face_type, tools.resolution),
            adjustment=adjustment,
            shares=steadied[number].shares,
        )
        around.forget_before(number - REACH)
        source = steadied[number]
        readings = read_colors(one.picture, merged, source.faces)
        return SequenceFrame(source, merged, meter_records(number, source, readings))

    for number, frame in enumerate(steadied):
        own = settings[number]
        every = frame.every_settings(own)
        for needed in every:
            tools.require(needed)
        picture = read(frame)
        aligned = align_faces(*(picture, frame.faces, tools.resolution, tools.face_type, own, tools.segment_face_type))
        answers: Sequence[FaceAnswer] = ()
        if aligned and any(one.needs_prediction for one in every):
            answers = ask_networks(tools, [face.question for face in aligned], own)
        around.add(number, measure_faces(picture, aligned, answers, own, tools.face_type))
        held.append(_Held(number, picture, aligned, answers))
        while held and held[0].number <= number - REACH:
            yield finish(held.pop(0))
    for one in held:
        yield finish(one)
