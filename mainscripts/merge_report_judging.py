"""The judgments of `merge --report`: what stands out in a merged shot, frame by frame, as numbers.

Flicker and jitter are those of merger/meters.py: second differences, so at the ends of a scene, and beside frames
without the face, there are none. Of several faces in a frame the worst one counts. Lab differences are Euclidean
(CIE76); 1 can just be seen side by side.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from core.shots import find_shots
from mainscripts.merge_report_looks import FrameLook, Place
from mainscripts.report_findings import Doubt
from merger.meters import MeterRecord, with_figures
from merger.scenes import find_cuts
from merger.temporal import link_faces

FLICKER_LIMIT = 2.0
"""Lab levels of the second difference: a single frame that is 1 level off. A shared clip of twelve seconds, merged: 0.2
in the middle, 1.1 at most; its source has the same."""
JITTER_LIMIT = 20.0
"""Thousandths of the square's side, of the second difference: a single frame that is 1 % off. The same clip: 2 in the
middle, 10 at most."""
COLOR_LIMIT = 10.0
"""Lab levels by which the color of the face changed."""
YAW_LIMIT = 60.0
"""Degrees; source: spec merging 10.9."""
_OWN_SHARE = 1.5
"""What the source does by itself counts so many times before the merge is to blame."""

KINDS = ("failed", "missing", "broken", "unchanged", "flicker", "jitter", "color", "doubt", "bridged", "yaw", "border")
"""What may stand out, the gravest first."""
UNFINISHED = ("failed", "missing", "broken", "unchanged")

FaceKey = tuple[int, int]
"""Number of a frame in the shot and of a face in the frame, both from 0."""


@dataclass(frozen=True)
class Trouble:
    """What stands out in one frame.

    Attributes:
        frame: its number in the shot.
        kind: of KINDS.
        words: what is to be said of it.
        weight: 1 and above, worst first.
        face: number of the face in its frame; None: the whole frame.
    """

    frame: int
    kind: str
    words: str
    weight: float
    face: int | None = None


@dataclass(frozen=True)
class Spot:
    """Frames in a row, of one scene, in which the same stands out.

    Attributes:
        frames: their numbers.
        worst: the one of them that most needs a look, and what stands out there.
    """

    frames: range
    worst: int
    troubles: tuple[Trouble, ...]

    @property
    def weight(self) -> float:
        """Worst first."""
        return sum(trouble.weight for trouble in self.troubles)

    @property
    def face(self) -> int | None:
        """Whose face it is; None: the whole frame."""
        return next((trouble.face for trouble in self.troubles if trouble.face is not None), None)


@dataclass(frozen=True)
class Known:
    """What is known of the shot besides its pictures.

    Attributes:
        failed: frame -> why it could not be merged, as far as that is known.
        unrecorded: frames that are among the merged, and that no merge has entered in its journal.
        doubts: why the landmarks of a face may be wrong.
        sureness: of each face the detector's score and the landmark network's logit, NaN where nothing was noted.
        pasted: by stem and number of the face from 1, what the merge wrote down of it.
        rate: frames a second; None: not known, or not all frames of the film are here.
        cuts: first frames of all scenes but the first; None: they are to be found.
    """

    failed: Mapping[int, str] = field(default_factory=dict)
    unrecorded: frozenset[int] = frozenset()
    doubts: Mapping[FaceKey, Doubt] = field(default_factory=dict)
    sureness: Mapping[FaceKey, tuple[float, float]] = field(default_factory=dict)
    pasted: Mapping[tuple[str, int], MeterRecord] = field(default_factory=dict)
    rate: Fraction | None = None
    cuts: tuple[int, ...] | None = None


@dataclass(frozen=True, eq=False)
class Judged:
    """A merged shot: its frames in order, what was seen of them and what else is known."""

    places: Sequence[Place]
    looks: Sequence[FrameLook]
    known: Known = field(default_factory=Known)

    def __len__(self) -> int:
        return len(self.places)

    @cached_property
    def names(self) -> list[str]:
        """File names of the frames."""
        return [place.name for place in self.places]

    @cached_property
    def scenes(self) -> list[range]:
        """The frames of each scene, found as the merge finds them."""
        cuts = self.known.cuts
        if cuts is None:
            glances = [look.glance if look.size is not None else None for look in self.looks]
            found = find_cuts([place.faces for place in self.places], glances, [look.size for look in self.looks])
            cuts = tuple(found)
        return [range(first, after) for first, after in pairwise([0, *cuts, len(self)])]

    @cached_property
    def _scene_numbers(self) -> NDArray[np.int64]:
        return np.repeat(np.arange(1, len(self.scenes) + 1), [len(scene) for scene in self.scenes])

    @cached_property
    def _leaps(self) -> list[int]:
        """Frames before which others of the film are not here: nothing is compared across."""
        times = find_shots(self.names, [None] * len(self), [None] * len(self)).times
        return (np.flatnonzero(np.diff(times) > 1) + 1).tolist()

    def scene_of(self, frame: int) -> int:
        """The number of a frame's scene, from 1."""
        return int(self._scene_numbers[frame])

    def moment(self, frame: int) -> str:
        """When a frame is on the screen, "1:02.40"; empty where the rate is not known."""
        if not self.known.rate:
            return ""
        minutes, seconds = divmod(float(frame / self.known.rate), 60)
        return f"{minutes:.0f}:{seconds:05.2f}"

    @cached_property
    def records(self) -> dict[FaceKey, MeterRecord]:
        """Every face, with the square it was pasted by where the merge wrote that down."""
        return self._figures(pasted=True)

    @cached_property
    def found_records(self) -> dict[FaceKey, MeterRecord]:
        """Every face, with the square that its landmarks ask for."""
        return self._figures(pasted=False) if self.known.pasted else self.records

    def _figures(self, pasted: bool) -> dict[FaceKey, MeterRecord]:
        records = [record for look in self.looks for record in look.records]
        if pasted:
            records = [_as_pasted(record, self.known.pasted) for record in records]
        starts = [*(scene.start for scene in self.scenes), *self._leaps]
        tracks = link_faces([place.faces for place in self.places], starts)
        return {(record.index, record.face - 1): record for record in with_figures(records, tracks)}

    def worst_of(self, values: Mapping[FaceKey, float | None]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Of each frame the largest value, (N,), NaN without one, and whose it is."""
        worst, whose = np.full(len(self), np.nan), np.zeros(len(self), np.int64)
        for (frame, face), value in values.items():
            if value is not None and not worst[frame] >= value:
                worst[frame], whose[frame] = value, face
        return worst, whose

    @cached_property
    def flicker(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Of each frame: Lab levels, and whose face it is."""
        return self.worst_of({key: record.flicker for key, record in self.records.items()})

    @cached_property
    def source_flicker(self) -> NDArray[np.float64]:
        """The same of the source, at the same pixels."""
        return self.worst_of({key: record.old_flicker for key, record in self.records.items()})[0]

    @cached_property
    def jitter(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Of each frame: thousandths of the side, and whose face it is."""
        return self.worst_of({key: record.jitter for key, record in self.records.items()})

    @cached_property
    def landmark_jitter(self) -> NDArray[np.float64]:
        """The same of the faces as they were extracted."""
        return self.worst_of({key: record.jitter for key, record in self.found_records.items()})[0]

    @cached_property
    def ring(self) -> NDArray[np.float64]:
        """How far the color of the face is from that of the ring around its mask, Lab levels: (N,)."""
        return self.worst_of({key: _length(record.difference) for key, record in self.records.items()})[0]

    @cached_property
    def source_ring(self) -> NDArray[np.float64]:
        """The same of the source."""
        return self.worst_of({key: _length(record.old_difference) for key, record in self.records.items()})[0]

    @cached_property
    def color(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """How far these two are apart, as colors: (N,), and whose face it is."""
        return self.worst_of({key: _length(shift) for key, shift in self.color_shifts.items()})

    @cached_property
    def color_shifts(self) -> dict[FaceKey, NDArray[np.float64]]:
        """The same as colors, Lab (3,), of the faces of which it is known."""
        return {
            key: np.subtract(record.difference, record.old_difference)
            for key, record in self.records.items()
            if record.difference is not None and record.old_difference is not None
        }

    @cached_property
    def without_face(self) -> list[int]:
        """Frames in which no face is known, nor was laid in."""
        return [place.number for place in self.places if not place.faces.faces and place.number not in self.bridged]

    @cached_property
    def bridged(self) -> list[int]:
        """Frames into which the merge laid a face that nobody found there."""
        stems = {stem for (stem, _), record in self.known.pasted.items() if record.bridged}
        return [place.number for place in self.places if place.faces.stem in stems]

    @cached_property
    def troubles(self) -> list[Trouble]:
        """Everything that stands out, in the order of KINDS, and there worst first."""
        found = [*self._of_files(), *self._over_time(), *self._of_faces()]
        return sorted(found, key=lambda t: (KINDS.index(t.kind), -t.weight, t.frame))

    def of_kind(self, *kinds: str) -> list[Trouble]:
        """The troubles of these kinds."""
        return [trouble for trouble in self.troubles if trouble.kind in kinds]

    @cached_property
    def by_frame(self) -> dict[int, list[Trouble]]:
        """What stands out in each frame in which something does, in the order of the frames."""
        return _by_frame(self.troubles)

    def spots(self, troubles: Sequence[Trouble]) -> list[Spot]:
        """These troubles, frames in a row together, those that most need a look first."""
        rows: list[list[tuple[int, list[Trouble]]]] = []
        before: tuple = ()
        for frame, found in _by_frame(troubles).items():
            now = (frame, self.scene_of(frame), {trouble.kind for trouble in found})
            if before and before == (frame - 1, *now[1:]):
                rows[-1].append((frame, found))
            else:
                rows.append([(frame, found)])
            before = now
        spots = []
        for row in rows:
            worst, found = max(row, key=lambda pair: (sum(t.weight for t in pair[1]), -pair[0]))
            spots.append(Spot(range(row[0][0], row[-1][0] + 1), worst, tuple(found)))
        return sorted(spots, key=lambda spot: (-spot.weight, spot.worst))

    def _of_files(self) -> list[Trouble]:
        found = []
        for n, (place, look) in enumerate(zip(self.places, self.looks, strict=True)):
            broken = bool(look.broken)
            if n in self.known.failed:
                found.append(Trouble(n, "failed", f"could not be merged: {self.known.failed[n].rstrip('.')}", 10.0))
            elif place.merged is None:
                found.append(Trouble(n, "missing", "has not been merged", 10.0))
            elif look.unchanged and place.faces.faces and n in self.known.unrecorded:
                found.append(Trouble(n, "failed", "is a copy of its source: it could not be merged", 10.0))
            elif look.unchanged and place.faces.faces:
                found.append(Trouble(n, "unchanged", "is merged, and yet the same as its source", 6.0))
            if broken:
                words = "; ".join(f"{name}: {reason.rstrip('.')}" for name, reason in look.broken)
                found.append(Trouble(n, "broken", f"cannot be read: {words}", 9.0))
            if place.merged is not None and place.mask is None:
                found.append(Trouble(n, "broken", "has no mask file", 3.0))
        return found

    def _over_time(self) -> list[Trouble]:
        found = []
        (flicker, whose), own = self.flicker, np.nan_to_num(self.source_flicker)
        for n in np.flatnonzero(np.nan_to_num(flicker) > np.maximum(FLICKER_LIMIT, _OWN_SHARE * own)).tolist():
            words = f"the color jumps by {flicker[n] / 2:.1f} levels"
            found.append(Trouble(n, "flicker", words, float(flicker[n]) / FLICKER_LIMIT, int(whose[n])))
        jitter, whose = self.jitter
        for n in np.flatnonzero(np.nan_to_num(jitter) > JITTER_LIMIT).tolist():
            words = f"the face jumps by {jitter[n] / 20:.1f} % of its size"
            found.append(Trouble(n, "jitter", words, float(jitter[n]) / JITTER_LIMIT, int(whose[n])))
        return found

    def _of_faces(self) -> list[Trouble]:
        color, whose = self.color
        found = [
            Trouble(n, "color", f"the color is {color[n]:.0f} levels off", float(color[n]) / COLOR_LIMIT, int(whose[n]))
            for n in np.flatnonzero(np.nan_to_num(color) > COLOR_LIMIT).tolist()
        ]
        found += [Trouble(n, "doubt", one.reason, one.weight, face) for (n, face), one in self.known.doubts.items()]
        found += [Trouble(n, "bridged", "a face was laid in where none was found", 1.0) for n in self.bridged]
        for (n, face), record in self.records.items():
            if abs(record.yaw) > YAW_LIMIT:
                words = f"the head is turned {abs(record.yaw):.0f}° {'left' if record.yaw > 0 else 'right'}"
                found.append(Trouble(n, "yaw", words, 1 + (abs(record.yaw) - YAW_LIMIT) / 30, face))
        for n, look in enumerate(self.looks):
            if look.touches:
                at_border = next((r.face - 1 for r in look.records if r.touches_border), None)
                edges = " and ".join(look.touches)
                found.append(Trouble(n, "border", f"the mask touches the {edges} edge of the frame", 1.0, at_border))
        return found


def _by_frame(troubles: Sequence[Trouble]) -> dict[int, list[Trouble]]:
    found: dict[int, list[Trouble]] = {}
    for trouble in troubles:
        found.setdefault(trouble.frame, []).append(trouble)
    return dict(sorted(found.items()))


def _as_pasted(record: MeterRecord, pasted: Mapping[tuple[str, int], MeterRecord]) -> MeterRecord:
    told = pasted.get((record.stem, record.face))
    if told is None:
        return record
    return dataclasses.replace(record, center=told.center, side=told.side, roll=told.roll)


def _length(color: Sequence[float] | NDArray | None) -> float | None:
    return None if color is None else float(np.linalg.norm(color))


def spread(values: NDArray) -> tuple[float, float] | None:
    """Middle and largest of the values that are known; None: there are none."""
    known = values[np.isfinite(values)]
    return (float(np.median(known)), float(known.max())) if len(known) else None
