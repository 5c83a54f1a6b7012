"""Every fixed name of the workspace and of `_internal`, spelled once.

The workspace is found by convention, without a project file (spec steps-and-cli 1.1):

    workspace/
      data_src.*  data_dst.*            the two videos
      data_src/   data_dst/             their frames
      .../aligned/ .../aligned_debug/   their faces, and pictures that show what was found
      data_dst/merged/ merged_mask/     finished frames and masks
      model/                            trained models
      result.*  result_mask.*           finished videos
      trash/<time>/                     what steps put away; `workspace undo` brings it back
      .state/                           last answers
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from core.errors import BadOption, MissingInput

IMAGE_EXTENSIONS = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp", ".bmp")
"""Pictures that count as frames (any case)."""

FACE_EXTENSIONS = (".jpg", ".jpeg")
"""Pictures that can carry a face record (any case)."""

EXTRACTION_JOURNAL = ".faceloom.jsonl"
"""In a folder of faces: what became of every frame, and a second copy of every face's record."""

EXTRACTION_FINDINGS = ".faceloom_found.jsonl"
"""In a folder of faces: what the finder saw in every frame, so that it need not look twice."""

VIDEO_EXTENSIONS = (
    *(".3gp", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4"),
    *(".mpeg", ".mpg", ".mts", ".mxf", ".ogv", ".ts", ".vob", ".webm", ".wmv"),
)
"""Files that `data_src.*` may mean (any case); `data_src.aac` or `data_src.json` beside the video is passed over."""


def repository_root() -> Path:
    """The folder that holds `main.py`."""
    return Path(__file__).resolve().parent.parent


def internal_folder() -> Path:
    """`_internal`: what machines put there. The environment variable FACELOOM_INTERNAL names another place."""
    override = os.environ.get("FACELOOM_INTERNAL")
    return Path(override).expanduser().resolve() if override else repository_root() / "_internal"


def weights_folder() -> Path:
    """Weights of the ready networks that find faces."""
    return internal_folder() / "weights"


def logs_folder() -> Path:
    """One log file per step that was run."""
    return internal_folder() / "logs"


def pretrained_quick96_folder() -> Path:
    """Optional starting weights of Quick96, one HDF5 file per part."""
    return internal_folder() / "pretrain_Quick96"


def pretraining_faces_folder() -> Path:
    """Optional faces of many people, loose or as a pack, for the pretraining of models."""
    return internal_folder() / "pretrain_faces"


def sibling(folder: Path, suffix: str) -> Path:
    """The folder beside `folder` whose name has `suffix` appended: aligned -> aligned_debug."""
    return folder.with_name(f"{folder.name}_{suffix}")


@dataclass(frozen=True)
class Workspace:
    """The user's work; nothing else in the tree is written to."""

    root: Path

    @property
    def data_src(self) -> Path:
        return self.root / "data_src"

    @property
    def data_dst(self) -> Path:
        return self.root / "data_dst"

    @property
    def data_src_aligned(self) -> Path:
        return self.data_src / "aligned"

    @property
    def data_dst_aligned(self) -> Path:
        return self.data_dst / "aligned"

    @property
    def data_src_aligned_debug(self) -> Path:
        return sibling(self.data_src_aligned, "debug")

    @property
    def data_dst_aligned_debug(self) -> Path:
        return sibling(self.data_dst_aligned, "debug")

    @property
    def data_dst_merged(self) -> Path:
        return self.data_dst / "merged"

    @property
    def data_dst_merged_mask(self) -> Path:
        return self.data_dst / "merged_mask"

    @property
    def model(self) -> Path:
        return self.root / "model"

    @property
    def merge_presets(self) -> Path:
        """Settings of merging, kept under names."""
        return self.root / "presets" / "merge"

    @property
    def trash(self) -> Path:
        return self.root / "trash"

    @property
    def state(self) -> Path:
        return self.root / ".state"

    @property
    def answers_file(self) -> Path:
        return self.state / "answers.json"

    def video_pattern(self, side: str) -> Path:
        """`data_src.*` or `data_dst.*`, to be resolved by `find_video`. `side` is "src" or "dst"."""
        return self.root / f"data_{side}.*"

    def result(self, extension: str) -> Path:
        """The finished video, e.g. result(".mp4")."""
        return self.root / f"result{extension}"

    def result_mask(self, extension: str) -> Path:
        """The finished video of the masks, e.g. result_mask(".mp4")."""
        return self.root / f"result_mask{extension}"


def merge_session_file(models: Path, model: str, model_class: str) -> Path:
    """Where the merge session of a model lies: beside the model, in the folder of models."""
    return models / f"{model}_{model_class}_merger_session.json"


def merge_session_files(models: Path, model: str, model_class: str) -> list[Path]:
    """Everything there is of the merge session of a model: its file, earlier states, and what was put aside."""
    stem = merge_session_file(models, model, model_class).stem
    return sorted(path for path in models.iterdir() if path.name.startswith(f"{stem}."))


def default_workspace() -> Workspace:
    """`workspace` beside `main.py`, unless the environment variable FACELOOM_WORKSPACE names another place."""
    override = os.environ.get("FACELOOM_WORKSPACE")
    return Workspace(Path(override).expanduser().resolve() if override else repository_root() / "workspace")


def find_video(pattern: Path) -> Path:
    """Turns `.../data_src.*` into the one video it means; any other path must exist and is returned as it is.

    Stems are compared without case; only files with a video extension count.

    Raises:
        MissingInput: no such video.
        BadOption: several candidates; they are listed.
    """
    if pattern.suffix != ".*":
        if not pattern.is_file():
            raise MissingInput(f"There is no video {pattern}.", "Check the name, or put the video there.")
        return pattern
    stem = pattern.name[: -len(".*")].casefold()
    folder = pattern.parent
    candidates = sorted(
        p
        for p in (folder.iterdir() if folder.is_dir() else ())
        if p.is_file() and p.stem.casefold() == stem and p.suffix.casefold() in VIDEO_EXTENSIONS
    )
    if not candidates:
        raise MissingInput(
            f"There is no video {pattern}.",
            f"Put your video there as {folder / pattern.stem}.mp4 (or .mov, .mkv, .avi ...) and run this step again.",
        )
    if len(candidates) > 1:
        names = ", ".join(p.name for p in candidates)
        raise BadOption(
            f"More than one video could be meant by {pattern.name}. Received: {names}.",
            "Rename or move all but one, or name the file itself (--input-file; for a result --reference-file).",
        )
    return candidates[0]
