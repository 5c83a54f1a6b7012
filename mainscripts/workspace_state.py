"""What a workspace holds and what does not fit together in it: a plain record, read without changing anything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from core.errors import BrokenFile, MissingInput, UserError
from core.files import free_bytes, list_images, show_bytes
from core.paths import FACE_EXTENSIONS, VIDEO_EXTENSIONS, Workspace, find_video
from core.progress import Progress
from models.registry import MODEL_CLASSES, list_models
from samplelib.faceset import open_faceset

_SHOWN = 5
"""How many names of a list are spelled out; the rest is counted."""


@dataclass(frozen=True)
class SideState:
    """One side, src or dst.

    Attributes:
        video: file name of the video, "" where there is none.
        video_problem: why no single video can be told, "" otherwise.
        frames: pictures in the folder.
        extensions: suffix -> number of frames.
        repeated: stems that several frames share; only the first of them is ever used.
        faces: readable faces.
        broken: face files that cannot be used, with the reason.
        face_types, face_sides: word -> number of faces, pixels -> number of faces.
        frames_without_faces: names of frames that no face refers to (empty while there are no faces at all).
        faces_without_frame: names of faces whose frame is not in the folder (empty while there are no frames at all).
    """

    video: str
    video_problem: str
    frames: int
    extensions: dict[str, int]
    repeated: list[str]
    faces: int
    broken: list[tuple[str, str]]
    face_types: dict[str, int]
    face_sides: dict[int, int]
    frames_without_faces: list[str]
    faces_without_frame: list[str]


@dataclass(frozen=True)
class ModelState:
    """One model in the model folder; `problem` says why its figures cannot be read."""

    name: str
    iteration: int
    problem: str


@dataclass(frozen=True)
class WorkspaceState:
    """The whole workspace.

    Attributes:
        merged, merged_masks: finished frames and masks.
        not_merged: names of destination frames without a finished frame (empty while nothing is merged).
        results: names of finished videos.
        free: bytes free on the workspace's disk.
    """

    root: Path
    src: SideState
    dst: SideState
    models: list[ModelState]
    merged: int
    merged_masks: int
    not_merged: list[str]
    results: list[str]
    free: int


def look_at(workspace: Workspace, progress: Progress) -> WorkspaceState:
    """Reads the names of all frames and the record of every face."""
    dst_frames = _images(workspace.data_dst)
    merged = {p.stem for p in _images(workspace.data_dst_merged)}
    root = workspace.root
    return WorkspaceState(
        root=root,
        src=_side(workspace.video_pattern("src"), workspace.data_src, workspace.data_src_aligned, progress),
        dst=_side(workspace.video_pattern("dst"), workspace.data_dst, workspace.data_dst_aligned, progress),
        models=_models(workspace.model),
        merged=len(merged),
        merged_masks=len(_images(workspace.data_dst_merged_mask)),
        not_merged=[p.name for p in dst_frames if p.stem not in merged] if merged else [],
        results=sorted(
            p.name
            for p in (root.iterdir() if root.is_dir() else ())
            if p.stem in (workspace.result("").name, workspace.result_mask("").name) and p.suffix in VIDEO_EXTENSIONS
        ),
        free=free_bytes(root),
    )


def _images(folder: Path, extensions: Sequence[str] | None = None) -> list[Path]:
    """The pictures of a folder that may be missing."""
    if not folder.is_dir():
        return []
    return list_images(folder) if extensions is None else list_images(folder, extensions)


def _side(pattern: Path, folder: Path, aligned: Path, progress: Progress) -> SideState:
    video = problem = ""
    try:
        video = find_video(pattern).name
    except MissingInput:
        pass  # a project may well start from pictures
    except UserError as several:
        problem = several.what
    frames = _images(folder)
    stems = Counter(p.stem.casefold() for p in frames)
    samples, broken = _faces(aligned, progress)
    named = {Path(s.metadata.frame_name).stem for s in samples}
    present = {p.stem for p in frames}
    return SideState(
        video=video,
        video_problem=problem,
        frames=len(frames),
        extensions=dict(Counter(p.suffix.casefold() for p in frames).most_common()),
        repeated=[stem for stem, count in stems.items() if count > 1],
        faces=len(samples),
        broken=broken,
        face_types=dict(Counter(s.metadata.face_type.value for s in samples).most_common()),
        face_sides=dict(Counter(s.side for s in samples).most_common()),
        frames_without_faces=[p.name for p in frames if p.stem not in named] if samples else [],
        faces_without_frame=(
            [s.path.name for s in samples if Path(s.metadata.frame_name).stem not in present] if frames else []
        ),
    )


def _faces(aligned: Path, progress: Progress) -> tuple[Sequence, list[tuple[str, str]]]:
    try:
        faceset = open_faceset(aligned, progress)
    except MissingInput:  # no folder, or nothing in it, or files of which none is a face
        return (), [(p.name, "this file is not a readable face.") for p in _images(aligned, FACE_EXTENSIONS)]
    except BrokenFile as problem:  # a damaged pack
        return (), [(problem.path.name, problem.why)]
    return faceset.samples, [(path.name, why) for path, why in faceset.problems]


def _models(folder: Path) -> list[ModelState]:
    """The trained models of every class, newest first."""
    saved = [model for class_name in MODEL_CLASSES for model in list_models(folder, class_name)]
    saved.sort(key=lambda model: model.saved_at, reverse=True)
    return [
        ModelState(m.folder.name, m.iteration or 0, "" if m.iteration is not None else "its figures cannot be read")
        for m in saved
    ]


def next_step(state: WorkspaceState) -> str:
    """The script to run next, by name, or what else is missing."""
    src, dst = state.src, state.dst
    class_name = state.models[0].name.rpartition("_")[2] if state.models else ""
    todo = (
        (src.video or src.frames or src.faces, "Put the source video into the workspace as data_src.mp4"),
        (dst.video or dst.frames, "Put the destination video into the workspace as data_dst.mp4"),
        (src.frames or src.faces, "2) extract images from video data_src"),
        (dst.frames, "3) extract images from video data_dst FULL FPS"),
        (src.faces, "4) data_src faceset extract"),
        (dst.faces, "5) data_dst faceset extract"),
        (state.models, "6) train Quick96"),
        (state.merged and not state.not_merged, f"7) merge {class_name}"),
        (state.results, "8) merged to mp4"),
    )
    return next((step for done, step in todo if not done), "Nothing is missing: watch " + ", ".join(state.results))


def table(state: WorkspaceState) -> list[str]:
    """The state in lines to read."""
    lines = [f"Workspace {state.root}"]
    for name, side in (("src", state.src), ("dst", state.dst)):
        lines += [f"  {name:<7} {text}" for text in _side_lines(side)]
    for model in state.models:
        lines.append(f"  model   {model.name}: {model.problem or f'{model.iteration:,} iterations'}")
    if not state.models:
        lines.append("  model   none")
    lines.append(f"  merged  {state.merged:,} frames, {state.merged_masks:,} masks")
    if state.not_merged:
        lines.append(f"  merged  missing: {_some(state.not_merged)}")
    lines.append(f"  result  {', '.join(state.results) or 'none'}")
    lines.append(f"  disk    {show_bytes(state.free)} free")
    lines.append(f"Next: {next_step(state)}")
    return lines


def _side_lines(side: SideState) -> list[str]:
    lines = [f"video {side.video or 'none'}; {side.frames:,} frames; {side.faces:,} faces"]
    if side.video_problem:
        lines.append(side.video_problem)
    if len(side.extensions) > 1:
        mixed = ", ".join(f"{count:,} {suffix}" for suffix, count in side.extensions.items())
        lines.append(f"frames of several kinds: {mixed}")
    if side.repeated:
        lines.append(f"several frames of the same name: {_some(side.repeated)}")
    if side.faces:
        types = ", ".join(f"{count:,} {word}" for word, count in side.face_types.items())
        sides = ", ".join(f"{count:,} of {pixels} px" for pixels, count in side.face_sides.items())
        lines.append(f"faces: {types}; {sides}")
    if side.broken:
        lines.append(f"unusable faces: {_some([f'{name} ({why})' for name, why in side.broken])}")
    if side.frames_without_faces:
        lines.append(f"frames without a face: {_some(side.frames_without_faces)}")
    if side.faces_without_frame:
        lines.append(f"faces whose frame is missing: {_some(side.faces_without_frame)}")
    return lines


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"{len(names):,}: {', '.join(names[:_SHOWN])}{more}"
