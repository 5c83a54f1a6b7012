"""`facesettool resize` and `facesettool enhance`: a whole faceset in another size or type, or crisper.

The new faces go to `<folder>_resized` or `<folder>_enhanced`; the folder itself is not touched. With `--merge-back`
they then take the places of the old ones, but only when every single face succeeded; the old ones go to the trash, and
`workspace undo` changes them back.

`enhance` is done by a network where the user has supplied it (`FaceEnhancer.npy`); it makes detail up. Without it, or
on request, it is classical: Lanczos resampling and a limited unsharp mask of OpenCV (core/sharpening.py), which makes
edges steeper and invents nothing.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from core.errors import BadOption, BrokenFile, PartialFailure
from core.files import explain_os_error, list_images, move_to_trash, require_free_space, sync_folder
from core.images import encode_jpeg, read_image
from core.options import REQUIRED, Options, option
from core.parallel import Outcome, default_workers, map_ordered
from core.paths import Workspace
from core.progress import Progress
from core.sharpening import upscale_and_sharpen
from facelib.face_type import FaceType
from facelib.metadata import FaceMetadata, read_metadata, write_face
from facelib.nets import pretrained
from mainscripts.facesettool_network import (
    Enlarger,
    each_on_its_device,
    enhance_with,
    make_enhancers,
    network_is_there,
)
from mainscripts.util_pictures import flat_stems, fresh_sibling, report_problems
from samplelib.faceset import open_faceset
from samplelib.resizing import face_from_frame, require_same_picture, resize_face, resized_metadata
from samplelib.sample import LARGEST_SIDE, FacePlace, Sample, open_sample

_MOST_WORKERS = 8
_FACES_PER_WORKER = 50
"""A process of its own pays from so many faces on."""


@dataclass(kw_only=True)
class ResizeOptions(Options):
    input_dir: Path = option(REQUIRED, "Folder of faces", ask=False, help="Packed or not; it is not touched.")
    image_size: int = option(512, "New image size", low=128, high=2048, help="Side of the new faces, in pixels.")
    face_type: str = option(
        "same",
        "Change face type",
        choices={
            "half_face": ("h",),
            "midfull_face": ("mf",),
            "full_face": ("f",),
            "whole_face": ("wf",),
            "head": (),
            "same": (),
        },
        help="same: only the size changes. A wider type needs the frames (--frames-dir); without them what lies "
        "outside the old picture is black.",
    )
    frames_dir: Path | None = option(
        None,
        "Folder of frames",
        ask=False,
        help="Cuts the faces out of their frames anew, where these are there: sharper, and right for wider types.",
    )
    jpeg_quality: int = option(95, "Jpeg quality", low=1, high=100, ask=False, help="Of the new faces.")
    merge_back: bool = option(
        False,
        "Put the new faces in place of the old ones",
        help="Only when every face succeeded; the old ones go to the trash, and workspace undo brings them back.",
    )


def _by_network(settled: Any) -> bool:
    return settled.method == "network" or (settled.method == "auto" and network_is_there())


@dataclass(kw_only=True)
class EnhanceOptions(Options):
    input_dir: Path = option(REQUIRED, "Folder of faces", ask=False, help="Packed or not; it is not touched.")
    scale: int = option(
        1, "Times larger", low=1, high=4, help="1 keeps the size; 2 to 4 enlarge the faces and their records."
    )
    method: str = option(
        "auto",
        "Method",
        choices=("auto", "network", "classical"),
        ask=False,
        help="network: FaceEnhancer.npy, which makes detail up (`weights` says where to put it). classical: steeper "
        "edges. auto: the network when it is there.",
    )
    strength: float = option(
        0.6,
        "Sharpening strength",
        low=0.0,
        high=2.0,
        when=lambda settled: not _by_network(settled),
        help="Classical: 0 only enlarges. Edges get steeper, nothing is invented.",
    )
    device: str = option(
        "auto", "Device", ask=False, help="What the network runs on: auto, cpu, or GPU numbers like 0 or 0+1."
    )
    jpeg_quality: int = option(98, "Jpeg quality", low=1, high=100, ask=False, help="Of the new faces.")
    merge_back: bool = option(
        False,
        "Put the new faces in place of the old ones",
        help="Only when every face succeeded; the old ones go to the trash, and workspace undo brings them back.",
    )


@dataclass(frozen=True)
class ToolReport:
    """What was made.

    Attributes:
        faces: how many new faces there are.
        from_frames: how many of them were cut out of their frames.
        folder: where they are now.
        box: where the old faces are, when the new ones took their places.
    """

    faces: int
    from_frames: int
    folder: Path
    box: Path | None = None


def resize(workspace: Workspace, options: ResizeOptions, progress: Progress) -> ToolReport:
    """Makes every face anew in another size, and perhaps type.

    Raises:
        MissingInput: there are no faces, or the folder of frames does not exist.
        BadOption: the faces are packed, and the new ones should take their places.
        PartialFailure: some faces failed; each is named, and nothing took the place of anything.
    """
    face_type = None if options.face_type == "same" else FaceType.parse(options.face_type)
    frames: dict[str, Path] = {}
    if options.frames_dir is not None:
        frames = {path.name: path for path in list_images(options.frames_dir)}

    def job(place: FacePlace, metadata: FaceMetadata) -> _Job:
        frame = frames.get(metadata.frame_name)
        return _Job(place, Path(), options.jpeg_quality, side=options.image_size, face_type=face_type, frame=frame)

    return _for_all(workspace, options.input_dir, "resized", job, options.merge_back, progress)


def enhance(workspace: Workspace, options: EnhanceOptions, progress: Progress) -> ToolReport:
    """Makes every face crisper, and perhaps larger. Errors as in `resize`, and those of `make_enhancers`."""
    over = _over_processes
    if _by_network(options):
        networks = make_enhancers(options.device)
        names = ", ".join(name for name, _ in networks)
        progress.say(f"Enhancing with the network FaceEnhancer on {names}: it makes detail up.")
        over = partial(each_on_its_device, _work_with, [network for _, network in networks])
    else:
        why = (
            ""
            if options.method == "classical"
            else f" {pretrained.FACE_ENHANCER.name} is not there; `weights` tells more."
        )
        progress.say(
            f"Enhancing by classical means: Lanczos resampling and an unsharp mask. No network is at work.{why}"
        )

    def job(place: FacePlace, metadata: FaceMetadata) -> _Job:
        return _Job(place, Path(), options.jpeg_quality, scale=options.scale, strength=options.strength)

    return _for_all(workspace, options.input_dir, "enhanced", job, options.merge_back, progress, over)


@dataclass(frozen=True)
class _Job:
    """One face and what is to become of it. side, face_type: None keeps that; frame: cut it out of there."""

    place: FacePlace
    target: Path
    quality: int
    side: int | None = None
    face_type: FaceType | None = None
    frame: Path | None = None
    scale: int = 0
    strength: float = 0.0


def _work_on(job: _Job) -> str:
    """Makes one face. Returns where its picture is from: "frame", "face", or why its frame could not be used."""
    sample = open_sample(job.place)
    if job.scale:
        return _write_enhanced(job, sample, lambda image: upscale_and_sharpen(image, job.scale, job.strength))
    metadata, source = sample.metadata, "face"
    image = sample.image()
    side, face_type = job.side or sample.side, job.face_type or metadata.face_type
    if job.frame is not None:
        try:
            frame = read_image(job.frame)
            require_same_picture(frame, image, metadata, job.frame)
            picture, metadata = face_from_frame(frame, metadata, sample.side, side, face_type)
            source = "frame"
        except BrokenFile as problem:
            source = problem.why
    if source != "frame":
        picture, metadata = resize_face(image, metadata, side, face_type)
    write_face(job.target, encode_jpeg(picture, job.quality), metadata)
    return source


def _work_with(network: Enlarger, job: _Job) -> str:
    """Makes one face crisper by the network."""
    return _write_enhanced(job, open_sample(job.place), lambda image: enhance_with(network, image, job.scale))


def _write_enhanced(job: _Job, sample: Sample, change: Callable[[NDArray], NDArray]) -> str:
    if job.scale * sample.side > LARGEST_SIDE:
        raise BrokenFile(sample.path, f"{job.scale} times {sample.side} pixels is more than {LARGEST_SIDE}.")
    picture = change(sample.image())
    metadata = resized_metadata(sample.metadata, sample.side, picture.shape[0])
    write_face(job.target, encode_jpeg(picture, job.quality), metadata)
    return "face"


def _over_processes(jobs: Sequence[_Job]) -> Iterator[Outcome[_Job, str]]:
    workers = min(_MOST_WORKERS, default_workers(), len(jobs) // _FACES_PER_WORKER)
    return map_ordered(_work_on, jobs, workers=workers if workers > 1 else 0)


def _for_all(
    workspace: Workspace,
    folder: Path,
    suffix: str,
    make_job: Callable[[FacePlace, FaceMetadata], _Job],
    merge_back: bool,
    progress: Progress,
    over: Callable[[Sequence[_Job]], Iterator[Outcome[_Job, str]]] = _over_processes,
) -> ToolReport:
    faceset = open_faceset(folder, progress)
    packed = any(sample.place.packed_name for sample in faceset)
    if merge_back and packed:
        raise BadOption(
            f"The faces in {folder} are packed, so no files can take their places. Received: --merge-back.",
            "Unpack them first (util --unpack-faceset), or leave --merge-back out.",
        )
    output = fresh_sibling(workspace, folder, suffix, progress)
    jobs = [
        replace(make_job(sample.place, sample.metadata), target=output / f"{stem}.jpg")
        for sample, stem in zip(faceset, flat_stems(faceset), strict=True)
    ]
    require_free_space(output, sum(sample.place.length or sample.place.path.stat().st_size for sample in faceset))
    problems = [(path.name, reason) for path, reason in faceset.problems]
    done: list[_Job] = []
    sources: list[str] = []
    with progress.task(f"Making faces for {output.name}", len(jobs), "face") as task:
        for outcome in over(jobs):
            if outcome.error is not None:
                problems.append((outcome.item.place.name, outcome.error))
            else:
                done.append(outcome.item)
                sources.append(outcome.value or "")
            task.advance()
    progress.say(f"{len(done)} faces are in {output}.")
    _tell_sources(jobs, sources, progress)
    if problems and merge_back:
        progress.say(f"Not every face succeeded, so {folder} stays as it is.")
    report_problems(problems, len(jobs) + len(faceset.problems), progress)
    box = _merge_back(workspace, folder, output, done, progress) if merge_back else None
    return ToolReport(len(done), sources.count("frame"), folder if merge_back else output, box)


def _tell_sources(jobs: Sequence[_Job], sources: Sequence[str], progress: Progress) -> None:
    if any(job.frame is not None for job in jobs):
        progress.say(f"{sources.count('frame')} were cut out of their frames, the others made from the stored faces.")
        refused = [source for source in sources if source not in ("frame", "face")]
        for reason in sorted(set(refused)):
            progress.say(f"  {refused.count(reason)} frames: {reason}")
    wider = sum(
        source != "frame" and job.face_type is not None and open_sample(job.place).metadata.face_type < job.face_type
        for job, source in zip(jobs[: len(sources)], sources, strict=False)
    )
    if wider:
        progress.say(f"{wider} became wider than their old pictures; what lay outside is black (see --frames-dir).")


def _merge_back(workspace: Workspace, folder: Path, output: Path, jobs: Sequence[_Job], progress: Progress) -> Path:
    """The new faces take the places of the old ones. Every new file is read before an old one moves."""
    for job in jobs:
        read_metadata(job.target)
    old = [job.place.path for job in jobs]
    new = [folder / job.target.name for job in jobs]
    in_the_way = [path for path in new if path not in set(old) and os.path.lexists(path)]
    if in_the_way:
        raise PartialFailure(
            f"{in_the_way[0]} is in the way of a new face, so {folder} stays as it is.",
            f"Move it away and copy the faces from {output}.",
        )
    box = move_to_trash(workspace.trash, old, f"merged back from {output.name} ({folder})", replaced_by=new)
    try:
        for job, path in zip(jobs, new, strict=True):
            os.replace(job.target, path)
        sync_folder(folder)
        if not any(output.iterdir()):
            output.rmdir()
    except OSError as problem:
        raise explain_os_error(problem, folder) from problem
    progress.say(f"They took the places of the old ones, which are in {box} now. To change them back: workspace undo.")
    return box
