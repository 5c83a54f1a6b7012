"""A small shot, and the steps from video to result, called as the command line calls them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from core.files import list_images
from core.images import read_image, write_image
from core.paths import Workspace
from core.progress import SilentProgress
from mainscripts.videoed import (
    ExtractVideoOptions,
    extract_video,
)
from mainscripts.videoed_result import VideoFromSequenceOptions, video_from_sequence
from tests.core.video.clips import make_clip

TAGGED_709 = "setparams=colorspace=bt709:color_primaries=bt709:color_trc=bt709:range=tv"
X264 = ("-c:v", "libx264", "-pix_fmt", "yuv420p")


class Told(SilentProgress):
    """A progress that remembers what was said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)

    @property
    def text(self) -> str:
        return "\n".join(self.lines)


def footage(odd_folder: Path) -> Workspace:
    """A workspace with a 12-frame data_dst.mp4: 24000/1001, BT.709, pixel aspect 15:16, with sound."""
    workspace = Workspace(odd_folder / "workspace")
    workspace.root.mkdir()
    filters = f"setsar=15/16,{TAGGED_709}"
    make_clip(workspace.root / "data_dst.mp4", rate="24000/1001", frames=12, filters=filters, sound=True)
    return workspace


def extract(workspace: Workspace, progress: Told | None = None, **rest: object) -> None:
    given = {"input_file": workspace.video_pattern("dst"), "output_dir": workspace.data_dst, **rest}
    extract_video(workspace, ExtractVideoOptions.of(**given), progress or Told())


def fake_merge(workspace: Workspace) -> None:
    """Copies the frames as `merged`, and writes a mask for each."""
    for frame in list_images(workspace.data_dst):
        workspace.data_dst_merged.mkdir(exist_ok=True)
        (workspace.data_dst_merged / frame.name).write_bytes(frame.read_bytes())
        mask = np.zeros(read_image(frame).shape[:2], np.uint8)
        mask[10:30, 20:40] = 255
        write_image(workspace.data_dst_merged_mask / frame.name, mask)


def result(workspace: Workspace, extension: str, progress: Told | None = None, **rest: object) -> Path:
    given = {
        "input_dir": workspace.data_dst_merged,
        "output_file": workspace.result(extension),
        "reference_file": workspace.video_pattern("dst"),
        "include_audio": True,
        **rest,
    }
    video_from_sequence(workspace, VideoFromSequenceOptions.of(**given), progress or Told())
    return Path(str(given["output_file"]))
