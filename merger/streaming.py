"""Merged frames go straight into videos: one of the picture, one of the mask.

Frames are finished in any order, by several processes, as plain files in a folder; they leave it in the order of the
shot, into whatever part (core/video/segments.py) is being made, and are gone. What is in finished parts is not rendered
again. Source: spec merging 9.6.
"""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from core.errors import FaceLoomError
from core.images import read_gray, read_image, to_uint8
from core.video.commands import SoundPlan
from core.video.properties import VideoProperties
from core.video.segments import SegmentedVideo
from merger.outputs import RawWriter


class StreamWriter:
    """Two videos that are written together.

    Args:
        picture: of the frames; of 4 channels, its alpha is the mask.
        mask: of the masks, in the same parts.
        with_alpha: whether `picture` has 4 channels.
    """

    def __init__(self, picture: SegmentedVideo, mask: SegmentedVideo, with_alpha: bool = False) -> None:
        self.picture, self.mask = picture, mask
        self._with_alpha = with_alpha
        self._missing = [{part.first for part in video.missing} for video in (picture, mask)]

    @property
    def wanted(self) -> list[int]:
        """The frames that are to be rendered, ascending: those of all missing parts."""
        starts = set.union(*self._missing)
        return [n for part in self.picture.parts if part.first in starts for n in range(part.first, part.behind)]

    def write(self, number: int, image: NDArray, mask: NDArray, is_final: bool = True) -> None:
        """Takes the next wanted frame.

        Args:
            number: of the frame, from 0.
            image: (H, W, 3) BGR, uint8 or uint16.
            mask: (H, W) of the same type.
            is_final: False for a frame that only stands in; see SegmentedVideo.write.
        """
        first = self.picture.part_of(number).first
        picture = np.dstack([image, mask]) if self._with_alpha else image
        mask = mask if self.mask.frames.depth == 16 else to_uint8(mask)  # a lossless .mp4 holds 8 bits
        for video, missing, pixels in zip((self.picture, self.mask), self._missing, (picture, mask), strict=True):
            if first in missing:
                video.write(number, pixels, is_final)

    def join(self, sound: SoundPlan | None, put_away: Callable[[Path], None]) -> list[VideoProperties]:
        """Makes the two results; `put_away` is told of each before it takes the place of an earlier one."""
        return [
            self.picture.join(sound, lambda: put_away(self.picture.target)),
            self.mask.join(None, lambda: put_away(self.mask.target)),
        ]

    def close(self) -> None:
        """Ends unfinished parts."""
        self.picture.close()
        self.mask.close()


class FrameQueue:
    """Where finished frames wait for their turn; use with `with`, which clears it away.

    To those who render it is what the journal is to them who write pictures: it hears of every finished frame.

    Args:
        writer: takes them.
        folder: for the files, which nobody else uses.
        stems: of all frames of the shot, in order.
    """

    def __init__(self, writer: StreamWriter, folder: Path, stems: Sequence[str]) -> None:
        self._writer = writer
        self._folder = folder
        self.frames_folder, self.masks_folder = folder / "frames", folder / "masks"
        self._stems = stems
        self._numbers = {stem: number for number, stem in enumerate(stems)}
        self._wanted = writer.wanted[::-1]
        self._waiting: dict[int, bool] = {}

    def __enter__(self) -> FrameQueue:
        shutil.rmtree(self._folder, ignore_errors=True)  # of a run that was killed
        self.frames_folder.mkdir(parents=True)
        self.masks_folder.mkdir()
        return self

    def __exit__(self, *_: object) -> None:
        self._writer.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @property
    def wanted(self) -> list[int]:
        """Numbers of the frames that are still to come, ascending."""
        return self._wanted[::-1]

    def record(self, stem: str, *_: object) -> None:
        """The two files of a frame are there; all whose turn it is are written."""
        self._arrived(stem, True)

    def withdraw(self, stem: str) -> None:
        """A frame failed; its source stands in for it, and its part will be made anew by the next run.

        Raises:
            FaceLoomError: not even the source is there, and a video has no holes.
        """
        if not (self.frames_folder / f"{stem}{RawWriter.suffixes[0]}").exists():
            raise FaceLoomError(
                f"The frame {stem} could not be merged, and its source cannot stand in for it.",
                "Mend its cause and run the same command again: finished parts are kept.",
            )
        self._arrived(stem, False)

    def _arrived(self, stem: str, is_final: bool) -> None:
        self._waiting[self._numbers[stem]] = is_final
        while self._wanted and self._wanted[-1] in self._waiting:
            number = self._wanted.pop()
            places = zip((self.frames_folder, self.masks_folder), RawWriter.suffixes, strict=True)
            image, mask = (folder / f"{self._stems[number]}{suffix}" for folder, suffix in places)
            self._writer.write(number, read_image(image), read_gray(mask), self._waiting.pop(number))
            for path in (image, mask):
                with contextlib.suppress(OSError):
                    path.unlink()
