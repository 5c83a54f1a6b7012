"""The classical way to merge, written down without a thought of speed: whole frames in float32, step by step.

Tests hold the merger against it, and benchmarks/merge.py measures how much faster the merger is. It does not share a
line with merger/, but for the rectangle that is solved in seamless modes, which is the merger's choice. What it does is
spec merging 3.2-3.9, with the decisions of its chapter 8; what older tools did, without them, is dfl_merge.py.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks import classical_color
from benchmarks.dfl_merge import shaped, sharpened, softened, solved
from core.filters import motion_kernel
from core.geometry import warp
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from facelib.masks import hull_mask
from merger.compositing import PlacedMask, Region
from merger.seamless import clone_region

Colors = Callable[[str, NDArray, NDArray, NDArray, NDArray], NDArray]
"""Stands in for the transfers that are drawn at random: mode, new, old, measured pixels, picture to change."""


def classical_merge(
    frame: NDArray,
    landmarks: Sequence[NDArray],
    settings: Mapping[str, Any],
    resolution: int,
    face_type: FaceType,
    predict: Callable[[NDArray], tuple[NDArray, NDArray, NDArray]],
    motion: tuple[float, float] = (0.0, 0.0),
    colors: Colors | None = None,
) -> tuple[NDArray, NDArray]:
    """Merges one frame; returns the frame and its mask, both of the source's type.

    Args:
        frame: (H, W, 3) uint8 or uint16.
        landmarks: (68, 2) of every face, frame pixels.
        settings: as MergeSettings has them; XSeg, super resolution and color degrade are not done here.
        predict: (R, R, 3) float32 -> face (R, R, 3), new face's mask (R, R), old face's mask (R, R).
        motion: of the face, pixels from one frame to the next.
        colors: for idt, sot and mix; None: their classical forms.
    """
    most = np.iinfo(frame.dtype).max
    original = frame.astype(np.float32) / most
    out, left_over = original, np.ones(frame.shape[:2], np.float32)
    for number, points in enumerate(landmarks):
        face = _Face(original, points, settings, resolution, face_type, predict, motion, colors or _drawn)
        if number == 0 and face.is_worth_pasting:
            out = softened(original, settings["image_denoise_power"], settings["bicubic_degrade_power"])
        out = face.put_on(out)
        left_over = left_over * (1 - face.mask)
    return (_levels(out, frame.dtype), _levels(1 - left_over, frame.dtype))


def _levels(picture: NDArray, dtype: Any) -> NDArray:
    return np.floor(np.clip(picture, 0, 1) * np.iinfo(dtype).max + 0.5).astype(dtype)


class _Face:
    """One face of a frame: its mask, and what is put on the canvas."""

    def __init__(
        self,
        original: NDArray,
        landmarks: NDArray,
        settings: Mapping[str, Any],
        side: int,
        face_type: FaceType,
        predict: Callable[[NDArray], tuple[NDArray, NDArray, NDArray]],
        motion: tuple[float, float],
        colors: Colors,
    ) -> None:
        height, width = original.shape[:2]
        self.original, self.settings, self.side = original, settings, side
        self.motion, self.colors = motion, colors
        self.cut = frame_to_face(landmarks, face_type, side)
        self.paste = frame_to_face(landmarks, face_type, side, 1 + 0.01 * settings["output_face_scale"])
        self.old = np.clip(warp(original, self.cut, side, "cubic", "replicate"), 0, 1)
        self.new, new_mask, old_mask = (np.clip(part, 0, 1) for part in predict(self.old))
        mask = {
            "full": lambda: np.ones((side, side), np.float32),
            "dst": lambda: hull_mask(_moved(landmarks, self.cut), side, side),
            "learned-prd": lambda: new_mask,
            "learned-dst": lambda: old_mask,
            "learned-prd*learned-dst": lambda: new_mask * old_mask,
            "learned-prd+learned-dst": lambda: np.clip(new_mask + old_mask, 0, 1),
        }[settings["mask_mode"]]()
        mask = np.where(mask < 1 / 255, 0, mask).astype(np.float32)
        if settings["mode"] == "raw-rgb":
            fine, scale = mask, 1
        else:
            fine, scale = _shaped(mask, settings["erode_mask"], settings["blur_mask"])
        self.at_model = fine if scale == 1 else cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA)
        # Pixel p of the model is pixel scale p + (scale - 1) / 2 of the fine mask.
        scaled = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]])
        to_mask = scaled @ np.vstack([self.paste, [0, 0, 1]])
        in_frame = np.clip(warp(fine, _inverse(to_mask), (width, height), "cubic", "constant"), 0, 1)
        self.mask = np.where(in_frame < 1 / 255, 0, in_frame).astype(np.float32)
        self.is_inside = _inside(self.cut, side, height, width)

    @property
    def is_worth_pasting(self) -> bool:
        rows, columns = np.nonzero(self.mask > 0.1)
        return bool(len(rows) > 0 and min(np.ptp(rows), np.ptp(columns)) >= 4)

    def put_on(self, canvas: NDArray) -> NDArray:
        s = self.settings
        height, width = canvas.shape[:2]
        size = (width, height)
        if s["mode"] == "original":
            return canvas
        weight = self.mask
        if s["mode"] == "raw-rgb":
            ones = np.ones((self.side, self.side), np.float32)
            weight = np.clip(warp(ones, _inverse(self.paste), size, "cubic", "constant"), 0, 1)
            weight = np.where(weight < 1 / 255, 0, weight)
            face = np.clip(warp(self.new.astype(np.float32), _inverse(self.paste), size, "cubic", "replicate"), 0, 1)
            return canvas * (1 - weight[..., None]) + face * weight[..., None]
        if not self.is_worth_pasting:
            return canvas
        new = self.new.astype(np.float32)
        if not s["mode"].startswith("seamless"):
            new = self.colored(new, new)
        if s["mode"] == "hist-match":
            white = (self.at_model < 1 / 255)[..., None] & s["masked_hist_match"]
            seen, old = (np.where(white, 1, p).astype(np.float32) for p in (new, self.old))
            new = classical_color.histograms(seen, old, s["hist_match_threshold"], self.is_inside, new)
        new = np.clip(sharpened(new, s["sharpen_mode"], s["blursharpen_amount"]), 0, 1)
        face = np.clip(warp(new, _inverse(self.paste), size, "cubic", "replicate"), 0, 1)
        if s["mode"].startswith("seamless"):
            face = self.cloned(face)
        dx, dy = (part * s["motion_blur_power"] / 100 for part in self.motion)
        if np.hypot(dx, dy) >= 0.05:
            face = cv2.filter2D(face, -1, motion_kernel(dx, dy), borderType=cv2.BORDER_REPLICATE)
        return canvas * (1 - weight[..., None]) + face * weight[..., None]

    def cloned(self, face: NDArray) -> NDArray:
        s, height, width = self.settings, *self.mask.shape
        region, _ = clone_region(PlacedMask(Region(0, 0, width, height), self.mask), self.mask.shape)
        box = np.s_[region.top : region.bottom, region.left : region.right]
        result = self.original.copy()
        if s.get("clone") == "opencv":  # for measuring time: what everybody has, in whole levels
            result = _cloned_by_opencv(face, self.original, self.mask > 0.1)
        else:
            result[box] = np.clip(solved(face, self.original, self.mask > 0.1, box), 0, 1)
        if s["color_transfer"] == "none" and s["mode"] == "seamless":
            return result
        seen = np.clip(warp(result, self.cut, self.side, "cubic", "replicate"), 0, 1)
        result = self.colored(seen, result)
        if s["mode"] == "seamless-hist-match":
            seen = np.clip(warp(result, self.cut, self.side, "cubic", "replicate"), 0, 1)
            threshold = s["hist_match_threshold"]
            result = classical_color.histograms(seen, self.old, threshold, self.is_inside, result)
        return result

    def colored(self, seen: NDArray, picture: NDArray) -> NDArray:
        """`picture` changed as the colors of `seen` are to be changed for it to look like the old face."""
        mode = self.settings["color_transfer"]
        masked = mode == "rct" or mode.endswith("-m")
        measured = (self.at_model >= 1 / 255) & self.is_inside if masked else self.is_inside
        if mode == "none" or measured.sum() < 16:
            return picture
        if mode == "rct":
            return _reinhard(seen, self.old, measured, picture)
        if mode == "lct":
            return classical_color.linear(seen, self.old, measured, 3.0, picture)
        if mode.startswith("mkl"):
            return classical_color.monge_kantorovich(seen, self.old, measured, 1e-5, 3.0, picture)
        return self.colors(mode, seen, self.old, measured, picture)


def _cloned_by_opencv(face: NDArray, original: NDArray, chosen: NDArray) -> NDArray:
    source, target = ((p * 255).astype(np.uint8) for p in (face, original))
    left, top, width, height = cv2.boundingRect(chosen.astype(np.uint8))
    center = (left + width // 2, top + height // 2)
    cloned = cv2.seamlessClone(source, target, chosen.astype(np.uint8) * 255, center, cv2.NORMAL_CLONE)
    return cloned.astype(np.float32) / 255


def _drawn(mode: str, new: NDArray, old: NDArray, measured: NDArray, _: NDArray) -> NDArray:
    """idt, sot, mix as they were: with black outside of what is measured, and on the face itself."""
    rng = np.random.default_rng(1)
    form: Any = {"idt": classical_color.distribution, "sot": classical_color.transport, "mix": classical_color.mix}
    new, old = (p * measured[..., None] for p in (new, old))
    return np.clip(form[mode.removesuffix("-m")](new.astype(np.float32), old.astype(np.float32), rng), 0, 1)


def _shaped(mask: NDArray, erode: int, blur: int) -> tuple[NDArray, int]:
    if abs(erode) <= 1 and blur <= 1:
        return mask, 1
    side = mask.shape[0]
    fine = np.clip(cv2.resize(mask, (4 * side, 4 * side), interpolation=cv2.INTER_CUBIC), 0, 1)
    return shaped(fine, side, erode, blur), 4


def _reinhard(seen: NDArray, reference: NDArray, where: NDArray, picture: NDArray) -> NDArray:
    """Lab mean and deviation of `reference` for `seen`, measured where told, and `picture` changed with it; contrast
    changes at most threefold."""
    a, b, changed = _lab(seen), _lab(reference), _lab(picture)
    for channel, (low, high) in enumerate([(0, 100), (-127, 127), (-127, 127)]):
        x, y = a[..., channel][where].astype(np.float64), b[..., channel][where].astype(np.float64)
        gain = np.clip(max(y.std(), 0.1) / max(x.std(), 0.1), 0.3, 3.0)
        changed[..., channel] = np.clip((changed[..., channel] - x.mean()) * gain + y.mean(), low, high)
    return np.clip(cv2.cvtColor(changed, cv2.COLOR_Lab2BGR), 0, 1)


def _lab(picture: NDArray) -> NDArray:
    linear = np.where(picture <= 0.04045, picture / 12.92, ((picture + 0.055) / 1.055) ** 2.4)
    return cv2.cvtColor(linear.astype(np.float32), cv2.COLOR_LBGR2Lab)


def _inside(cut: NDArray, side: int, height: int, width: int) -> NDArray:
    rows, columns = np.mgrid[:side, :side]
    x, y = np.moveaxis(_moved(np.stack([columns, rows], axis=-1).astype(np.float64), _inverse(cut)), -1, 0)
    return (x >= -0.5) & (x <= width - 0.5) & (y >= -0.5) & (y <= height - 0.5)


def _moved(points: NDArray, matrix: NDArray) -> NDArray:
    return (points @ matrix[:, :2].T + matrix[:, 2]).astype(points.dtype)


def _inverse(matrix: NDArray) -> NDArray:
    return np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
