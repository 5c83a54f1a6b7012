"""What `merge` does over time: where scenes begin, steadied frames, and how steady the result is, said at the end.

`merge_scenes.json` beside the merged frames keeps the scenes of a shot as long as its files do not change: every frame
has to be looked at to find them. `merge_meters.jsonl` (merger/meters.py) holds the figures of every face, and
`merge_meters.svg` shows them.
"""

from __future__ import annotations

import hashlib
import io
import json
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from functools import lru_cache
from pathlib import Path

from core.files import atomic_write_text
from core.journal import JsonLines
from core.progress import Progress
from mainscripts.merge_jobs import bridge_missed, with_movement
from mainscripts.merge_session import look_for_cuts
from merger.frames import FrameFaces
from merger.journal import RenderKey
from merger.meters import (
    METERS_NAME,
    FaceReading,
    MeterRecord,
    meter_records,
    read_meters,
    steadiness,
    with_figures,
    write_meters,
)
from merger.rounds import FrameJob, settings_of
from merger.settings import MergeSettings
from merger.steadying import SteadyShot, steady_shot

SCENES_NAME = "merge_scenes.json"
CHART_NAME = "merge_meters.svg"
_NAMED_SCENES = 20


def steady_jobs(
    jobs: Sequence[FrameJob],
    scene_starts: Sequence[int] | None,
    folder: Path,
    workers: int,
    progress: Progress,
    fill_missing: str = "off",
) -> SteadyShot:
    """A whole shot, steadied.

    Args:
        scene_starts: of a session, whose frames know how their faces move, and what was missed; None: they are looked
            for, if any frame is to be steadied, blurred by motion, or bridged, and all of that is found here.
        folder: of merged frames.
        fill_missing: a word of merge_faces.FILL_MISSING.
    """
    if scene_starts is None:
        frames = [job.frame for job in jobs]
        settings = settings_of(jobs)
        needed = any(one.looks_around or one.landmark_strength or _blurs_motion(one) for one in settings)
        found = lru_cache(maxsize=1)(lambda: _known_cuts(frames, folder, workers, progress))
        bridged = bridge_missed(frames, found, fill_missing, settings[0].is_classical, progress)
        scene_starts = found() if needed or bridged is not frames else []
        moved = with_movement(bridged, settings, scene_starts)
        jobs = [replace(job, frame=frame) for job, frame in zip(jobs, moved, strict=True)]
    return steady_shot(jobs, scene_starts)


def _blurs_motion(settings: MergeSettings) -> bool:
    """Classical motion knows no cuts."""
    return bool(settings.motion_blur_power) and not settings.is_classical


def _known_cuts(frames: Sequence[FrameFaces], folder: Path, workers: int, progress: Progress) -> list[int]:
    digest = hashlib.blake2b(digest_size=12)
    for frame in frames:
        status = frame.path.stat()
        digest.update(f"{frame.path.name} {status.st_size} {status.st_mtime_ns}\n".encode("utf-8", "surrogateescape"))
        for face in frame.faces:
            digest.update(face.landmarks.tobytes())
    path, shot = folder / SCENES_NAME, digest.hexdigest()
    try:
        known = json.loads(path.read_bytes())
        cuts = known["cuts"]
        if known["shot"] == shot and all(isinstance(cut, int) and 0 < cut < len(frames) for cut in cuts):
            return sorted(cuts)
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = look_for_cuts(frames, workers, progress)
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_text(path, json.dumps({"shot": shot, "cuts": found}) + "\n")
    return found


class Meters:
    """The meters of one run: reads as frames are finished, and tells at the end.

    Every frame is appended to the file at once, without the figures that only its neighbors tell, so that a killed run
    loses nothing; `keep` writes the file anew, in order and complete. Frames of earlier runs that had other settings,
    or another state of the model, are not compared with those of this one.

    Args:
        folder: of merged frames.
        keys: of all frames of the shot, by stem, as they would be rendered now.
    """

    def __init__(self, shot: SteadyShot, folder: Path, keys: Mapping[str, RenderKey]) -> None:
        self._shot = shot
        self._looks = {frame.stem: keys[frame.stem].look for frame in shot.frames}
        self._plan = hashlib.blake2b(" ".join(self._looks.values()).encode(), digest_size=6).hexdigest()
        self._folder = folder
        self._place_of = {frame.stem: place for place, frame in enumerate(shot.frames)}
        self._lines = JsonLines(folder / METERS_NAME)
        self._taken: dict[str, list[MeterRecord]] = {}
        self._records: list[MeterRecord] = []

    def take(self, frame: FrameFaces, readings: Sequence[FaceReading]) -> None:
        """What was read off a frame that was finished just now."""
        read = meter_records(self._place_of[frame.stem], frame, readings)
        records = [replace(record, look=self._looks[frame.stem]) for record in read]
        self._taken[frame.stem] = records
        for record in records:
            self._lines.add(asdict(record))

    def keep(self) -> None:
        """Completes the figures and writes them and the chart, if any are new or left so by a killed run; those of
        frames of earlier runs stay.
        """
        self._lines.close()
        known = read_meters(self._folder / METERS_NAME)
        if not self._taken and all(record.scene is not None for record in known):
            return
        before: dict[str, list[MeterRecord]] = {}
        for record in known:
            before.setdefault(record.stem, []).append(record)
        records = []
        for place, frame in enumerate(self._shot.frames):
            found = self._taken.get(frame.stem)
            if found is None:
                earlier = sorted(before.get(frame.stem, ()), key=lambda record: record.face)
                found = [replace(record, index=place) for record in earlier[: len(frame.faces)]]
            scene = bisect_right(self._shot.scene_starts, place) + 1
            found = [r if r.look != self._looks[frame.stem] else replace(r, plan=self._plan) for r in found]
            records += [replace(r, scene=scene, track=None, flicker=None, old_flicker=None, jitter=None) for r in found]
        self._records = with_figures(records, self._shot.tracks)
        self._folder.mkdir(parents=True, exist_ok=True)
        write_meters(self._folder / METERS_NAME, self._records)
        atomic_write_text(self._folder / CHART_NAME, draw_meters(self._records, self._shot.scene_starts))

    def tell(self, progress: Progress) -> None:
        """Says how steady each scene is, if anything was merged in this run, or in one that was killed meanwhile."""
        if not self._taken:
            self.keep()
        for line in tell(self._records):
            progress.say(line)
        stems = {record.stem for record in self._records}
        unlike = {record.stem for record in self._records if record.plan != self._plan}
        if 0 < len(unlike) < len(stems):
            progress.say(
                f"  {len(unlike)} of {len(stems)} frames were merged with other settings, or another state of the "
                "model: they are compared with each other only."
            )


def tell(records: Sequence[MeterRecord]) -> list[str]:
    """How steady each scene is, a line for each; nothing where nothing could be read."""
    if all(record.flicker is None and record.jitter is None for record in records):
        return []
    scenes = sorted({record.scene or 1 for record in records})
    lines = ["Steadiness (flicker in levels of Lab, jitter in thousandths of the face; --report judges them):"]
    for scene in scenes[:_NAMED_SCENES]:
        mine = [record for record in records if (record.scene or 1) == scene]
        figures = steadiness(mine)
        name = f"scene {scene}, {mine[0].stem} to {mine[-1].stem}" if len(scenes) > 1 else f"{figures.frames} frames"
        lines.append(
            f"  {name}: flicker {_figure(figures.flicker)} (the footage {_figure(figures.old_flicker)}), "
            f"jitter {_figure(figures.jitter)}, the face {_figure(figures.difference)} levels off its surroundings"
        )
    if len(scenes) > _NAMED_SCENES:
        lines.append(f"  and {len(scenes) - _NAMED_SCENES} more scenes; all are in {METERS_NAME}.")
    return lines


def _figure(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.2f}"


def draw_meters(records: Sequence[MeterRecord], scene_starts: Sequence[int] = ()) -> str:
    """Flicker and jitter of every face over the frames, with the footage's own flicker and where scenes begin: SVG."""
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 5), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    for axes, name, color in (
        (upper, "old_flicker", "0.6"),
        (upper, "flicker", "#1f6fd6"),
        (lower, "jitter", "#c8463c"),
    ):
        for number, track in enumerate(sorted({record.track or 0 for record in records})):
            mine = [r for r in records if (r.track or 0) == track and getattr(r, name) is not None]
            label = {"old_flicker": "the footage", "flicker": "the new face"}.get(name) if number == 0 else None
            axes.plot([r.index for r in mine], [getattr(r, name) for r in mine], color=color, linewidth=1, label=label)
    for axes, words in ((upper, "flicker, Lab"), (lower, "jitter, thousandths of the face")):
        axes.set_ylabel(words)
        axes.set_ylim(bottom=0)
        axes.grid(True, color="0.9")
        for start in scene_starts:
            axes.axvline(start, color="0.4", linestyle=":", linewidth=1)
    if records:
        upper.legend(loc="upper right", frameon=False)
    lower.set_xlabel("frame")
    drawn = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "FaceLoom"}):
        FigureCanvasSVG(figure).print_svg(drawn, metadata={"Date": None})
    return drawn.getvalue()
