"""Merger sessions of DeepFaceLab: which frame is merged with which settings.

`<name>_<class>_merger_session.dat` is an object stream of frames with their settings; core/legacy_pickle reads it
without running anything. Of a frame its file name and its settings count: its folder is one of another machine, its
landmarks and whether it was finished are known better here. Source: spec merging 4.2, 6.1, 6.2 and errata.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import Any

from core.errors import BadOption, BrokenFile, MissingInput
from core.legacy_pickle import Limits, decode
from core.legacy_values import Classes, Record, Refused
from merger.presets import OLDER_NAMES, check_settings

_LARGEST = 1 << 30
_SETTINGS_CLASS = "MergerConfigMasked"
_FRAME_CLASS = "InteractiveMergerSubprocessor.Frame"
_CLASSES = Classes(
    enumerations=[("facelib.FaceType", "FaceType"), ("facelib", "FaceType")],
    records=[
        ("merger.InteractiveMergerSubprocessor", _FRAME_CLASS),
        ("merger.FrameInfo", "FrameInfo"),
        ("merger.MergerConfig", _SETTINGS_CLASS),
    ],
    paths=[("pathlib", "PosixPath"), ("pathlib", "WindowsPath")],
)
_USUAL: dict[str, Any] = {
    "mode": "overlay",
    "masked_hist_match": True,
    "hist_match_threshold": 238,
    "mask_mode": 4,
    "erode_mask_modifier": 0,
    "blur_mask_modifier": 0,
    "motion_blur_power": 0,
    "output_face_scale": 0,
    "super_resolution_power": 0,
    "color_transfer_mode": 1,
    "sharpen_mode": 0,
    "blursharpen_amount": 0,
    "image_denoise_power": 0,
    "bicubic_degrade_power": 0,
    "color_degrade_power": 0,
}
"""What an older version did not store has these values; what is not among them is passed over."""


@dataclass(frozen=True)
class LegacyFrame:
    """A frame of such a session. settings: by our names and in our words; None: those of the frame before."""

    name: str
    settings: Mapping[str, Any] | None


@dataclass(frozen=True)
class LegacySession:
    """A session: its frames in order, and the iteration of the model it was saved at."""

    frames: list[LegacyFrame]
    iteration: int

    @property
    def distinct_settings(self) -> int:
        """How many different settings its frames have."""
        return len({tuple(sorted(f.settings.items())) for f in self.frames if f.settings is not None})


def read_legacy_session(path: Path) -> LegacySession:
    """Reads a session file of DeepFaceLab.

    Raises:
        MissingInput: no such file.
        BrokenFile: it is damaged, no session, or carries what no session needs, a program for example.
    """
    try:
        size = path.stat().st_size
        if size > _LARGEST:
            raise BrokenFile(path, f"{size} bytes are too many for a session.")
        stream = path.read_bytes()
    except OSError as problem:
        raise MissingInput(f"The session {path} cannot be read: {problem.strerror}.") from problem
    try:
        value = decode(stream, Limits.of_file(len(stream)), classes=_CLASSES)
        return _session(value)
    except Refused as problem:
        raise BrokenFile(path, f"as a session of an older tool it is refused: {problem}") from problem
    except BadOption as problem:
        raise BrokenFile(path, f"a setting in it has an impossible value. {problem.what}") from problem


def _session(value: Any) -> LegacySession:
    if type(value) is not dict or type(value.get("frames")) is not list or type(value.get("model_iter")) is not int:
        raise Refused("it holds no list of frames, or no iteration.")
    return LegacySession([_frame(frame) for frame in value["frames"]], value["model_iter"])


def _frame(value: Any) -> LegacyFrame:
    if not isinstance(value, Record) or value.kind != _FRAME_CLASS:
        raise Refused("something stands among its frames that is none.")
    info, settings = value.get("frame_info"), value.get("cfg")
    if not isinstance(info, Record) or type(info.get("filepath")) is not tuple or not info["filepath"]:
        raise Refused("a frame has no file.")
    if settings is not None and (not isinstance(settings, Record) or settings.kind != _SETTINGS_CLASS):
        raise Refused("a frame has something else in the place of its settings.")
    # The last name alone, whatever slashes are in it: no path of another machine is ever followed.
    name = PureWindowsPath(info["filepath"][-1]).name
    return LegacyFrame(name, None if settings is None else _settings(settings))


def _settings(values: Mapping[str, Any]) -> dict[str, Any]:
    known = {**_USUAL, **{name: value for name, value in values.items() if name in _USUAL}}
    if not all(type(value) in (int, float, str, bool) for value in known.values()):
        raise Refused("a setting is neither number nor text.")
    return check_settings({OLDER_NAMES.get(name, name): value for name, value in known.items()})
