"""A video that is written in parts, so that a stopped run goes on from the last finished part.

Every part is a whole little video beside the result, in the hidden folder `.<name of the result>.parts`. Its name says
which frames it holds and, as a digest, what they were made from:

    000250-000499-5f0c7d41a9e2b83c.mp4

A part gets its name when it has been read back and is whole; so the names are the journal, and a part is up to date
exactly when a file of its name is there. In the end the parts are joined without encoding anything again, and stay, so
that after a change only the parts it touches are made anew.
"""

from __future__ import annotations

import contextlib
import filecmp
import hashlib
import os
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from core.errors import BadOption, FaceLoomError
from core.files import atomic_path
from core.video.assembly import known_to, padded, verify
from core.video.commands import EncodingPlan, RawFrames, SoundPlan, build_encoding, build_joining
from core.video.probe import probe_video
from core.video.properties import VideoProperties
from core.video.tool import RunningTool, ffmpeg_binary, running

CONTAINERS = (".mp4", ".mov")
"""What can be written in parts: their clocks hold every rate exactly."""

FRAMES_PER_PART = 250

_STAND_IN = "stands in for a frame that failed"


@dataclass(frozen=True)
class Part:
    """Frames `first` to `behind` - 1 of a shot, counted from 0."""

    first: int
    behind: int

    @property
    def count(self) -> int:
        return self.behind - self.first


def plan_parts(frames: int, cuts: Sequence[int] = (), about: int = FRAMES_PER_PART) -> list[Part]:
    """Divides a shot into parts of about `about` frames that begin at cuts where there is one not far away.

    Args:
        frames: of the shot.
        cuts: numbers of frames that begin a new scene.
    """
    parts: list[Part] = []
    first = 0
    while first < frames:
        near = [cut for cut in cuts if first + about // 2 <= cut <= first + about + about // 2]
        behind = min(near, key=lambda cut: abs(cut - first - about), default=first + about)
        if frames - behind < about // 4:  # a short rest goes along
            behind = frames
        parts.append(Part(first, behind))
        first = behind
    return parts


class SegmentedVideo:
    """A result that grows part by part.

    Args:
        target: the video, .mp4 or .mov.
        frames: what the pictures look like.
        plan: how they are encoded.
        parts: of `plan_parts`.
        keys: for every frame, a text that changes whenever its picture would.
        ffmpeg: see `ffmpeg_binary`.

    Raises:
        BadOption: another container.
    """

    def __init__(
        self,
        target: Path,
        frames: RawFrames,
        plan: EncodingPlan,
        parts: Sequence[Part],
        keys: Sequence[str],
        ffmpeg: str | None = None,
    ) -> None:
        if target.suffix.casefold() not in CONTAINERS:
            raise BadOption(f"A stream is written as {' or '.join(CONTAINERS)}. Received: {target.name}.")
        self.target = target
        self.folder = target.with_name(f".{target.name}.parts")
        self.parts = tuple(parts)
        self.frames, self._plan = frames, plan
        self._keys = list(keys)
        self._ffmpeg = ffmpeg
        self._open: _OpenPart | None = None

    def _path(self, part: Part) -> Path:
        made_from = [repr(self.frames), repr(self._plan), *self._keys[part.first : part.behind]]
        digest = hashlib.blake2b("\n".join(made_from).encode("utf-8", "surrogateescape"), digest_size=8).hexdigest()
        return self.folder / f"{part.first:06d}-{part.behind - 1:06d}-{digest}{self.target.suffix}"

    @property
    def missing(self) -> list[Part]:
        """The parts that are still to be made."""
        return [part for part in self.parts if not self._path(part).is_file()]

    def part_of(self, number: int) -> Part:
        """The part that frame `number` belongs to."""
        return next(part for part in self.parts if part.first <= number < part.behind)

    def write(self, number: int, picture: np.ndarray, is_final: bool = True) -> None:
        """Takes the next picture of a missing part; parts in any order, within a part frame by frame.

        Args:
            number: of the frame, from 0.
            picture: as `frames` says.
            is_final: False for a picture that only stands in: its part is made anew by the next run.

        Raises:
            FaceLoomError: the picture is of another kind than the others; ffmpeg failed (ToolFailed).
        """
        height, width, depth = *picture.shape[:2], 8 * picture.itemsize
        if (width, height, depth) != (self.frames.width, self.frames.height, self.frames.depth):
            raise FaceLoomError(
                f"All frames of a video must be alike: frame {number + 1} has {width}x{height} pixels of {depth} bits, "
                f"the first one {self.frames.width}x{self.frames.height} of {self.frames.depth}.",
                "Extract the frames again, or merge into pictures.",
            )
        if self._open is None:
            part = self.part_of(number)
            self._open = _OpenPart(part, self._plan, self.frames, self.folder, self._ffmpeg)
        if not is_final:
            self._keys[number] = _STAND_IN
        self._open.feed(number, picture)
        if self._open.is_complete:
            self._open.finish(self._path(self._open.part))
            self._open = None

    def join(self, sound: SoundPlan | None = None, put_away: Callable[[], None] = lambda: None) -> VideoProperties:
        """Makes the result of all parts, and a sound track.

        Args:
            put_away: called just before the new video takes the place of an earlier one that is not the same.

        Raises:
            ToolFailed: ffmpeg failed, or the result is not what it must be; an earlier result is as it was before.
        """
        paths = [self._path(part) for part in self.parts]
        binary = ffmpeg_binary(self._ffmpeg)
        count = sum(part.count for part in self.parts)
        listing = self.folder / "parts.txt"
        listing.write_text("ffconcat version 1.0\n" + "".join(f"file '{path.name}'\n" for path in paths), "utf-8")
        with atomic_path(self.target) as unfinished:
            command = build_joining(binary, listing, self.frames.rate, sound, unfinished)
            with running(command) as tool:
                tool.output.read()
                tool.finish()
            made = probe_video(unfinished, self._ffmpeg).video
            verify(made, self._plan.padded(self.frames), count, sound, self.target)
            if not (self.target.is_file() and filecmp.cmp(unfinished, self.target, shallow=False)):
                put_away()
        self.forget({path.name for path in paths})
        return made

    def close(self) -> None:
        """Ends an unfinished part; it leaves nothing behind."""
        if self._open is not None:
            self._open.drop()
            self._open = None

    def forget(self, current: Collection[str] = ()) -> None:
        """Removes parts: those that changes have replaced, or all.

        Args:
            current: names of files that stay.
        """
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            if path.name not in current:
                with contextlib.suppress(OSError):
                    path.unlink()


class _OpenPart:
    """The part that is being encoded."""

    def __init__(self, part: Part, plan: EncodingPlan, frames: RawFrames, folder: Path, ffmpeg: str | None) -> None:
        self.part = part
        self._stored = plan.padded(frames)
        self._next = part.first
        self._ffmpeg = ffmpeg
        folder.mkdir(parents=True, exist_ok=True)
        self._unfinished = folder / f".{part.first:06d}.{os.getpid()}{plan.extension}"
        self._running = contextlib.ExitStack()
        binary = ffmpeg_binary(ffmpeg)
        command = build_encoding(binary, self._stored, known_to(binary, plan), None, self._unfinished)
        self._tool: RunningTool = self._running.enter_context(running(command, feeding=True))

    @property
    def is_complete(self) -> bool:
        return self._next == self.part.behind

    def feed(self, number: int, picture: np.ndarray) -> None:
        if number != self._next:
            self.drop()
            raise ValueError(f"Frame {self._next} comes next in this part. Received: {number}.")
        try:
            self._tool.feed(padded(picture, self._stored).data)
        except BaseException:
            self.drop()
            raise
        self._next += 1

    def finish(self, path: Path) -> None:
        """Reads the part back and gives it its name."""
        try:
            self._tool.end_feed()
            self._tool.output.read()
            self._tool.finish()
            made = probe_video(self._unfinished, self._ffmpeg).video
            verify(made, self._stored, self.part.count, None, path)
            with open(self._unfinished, "rb+") as stream:
                os.fsync(stream.fileno())
            os.replace(self._unfinished, path)
        finally:
            self.drop()

    def drop(self) -> None:
        self._running.close()
        with contextlib.suppress(OSError):
            self._unfinished.unlink()
