"""The classical way to merge, written down without a thought of speed: whole frames in float32, step by step.

It does not share a line with merger/: tests hold the merger against it, and benchmarks/merge.py measures how much
faster the merger is. What it does is spec merging 3.2-3.9, with the decisions of its chapter 8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.geometry import warp
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from facelib.masks import hull_mask


def classical_merge(
    frame: NDArray,
    landmarks: Sequence[NDArray],
    settings: Mapping[str, Any],
    resolution: int,
    face_type: FaceType,
    predict: Callable[[NDArray], tuple[NDArray, NDArray, NDArray]],
) -> tuple[NDArray, NDArray]:
    """Merges one frame; returns the frame and its mask, both of the source's type.

    Args:
        frame: (H, W, 3) uint8 or uint16.
        landmarks: (68, 2) of every face, frame pixels.
        settings: mode, mask_mode, erode_mask, blur_mask, output_face_scale, color_transfer.
        predict: (R, R, 3) float32 -> face (R, R, 3), new face's mask (R, R), old face's mask (R, R).
    """
    most = np.iinfo(frame.dtype).max
    original = frame.astype(np.float32) / most
    out, left_over = original.copy(), np.ones(frame.shape[:2], np.float32)
    for points in landmarks:
        out, mask = _merge_face(original, out, points, settings, resolution, face_type, predict)
        left_over = left_over * (1 - mask)
    return (_levels(out, frame.dtype), _levels(1 - left_over, frame.dtype))


def _levels(picture: NDArray, dtype: Any) -> NDArray:
    return np.floor(np.clip(picture, 0, 1) * np.iinfo(dtype).max + 0.5).astype(dtype)


def _merge_face(
    original: NDArray,
    canvas: NDArray,
    landmarks: NDArray,
    settings: Mapping[str, Any],
    side: int,
    face_type: FaceType,
    predict: Callable[[NDArray], tuple[NDArray, NDArray, NDArray]],
) -> tuple[NDArray, NDArray]:
    height, width = original.shape[:2]
    cut = frame_to_face(landmarks, face_type, side)
    paste = frame_to_face(landmarks, face_type, side, 1 + 0.01 * settings["output_face_scale"])
    old = np.clip(warp(original, cut, side, "cubic", "replicate"), 0, 1)
    new, new_mask, old_mask = (np.clip(part, 0, 1) for part in predict(old))
    mask = {
        "full": lambda: np.ones((side, side), np.float32),
        "dst": lambda: hull_mask(_moved(landmarks, cut), side, side),
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
    # Pixel p of the model is pixel scale p + (scale - 1) / 2 of the fine mask.
    to_mask = np.array([[scale, 0, (scale - 1) / 2], [0, scale, (scale - 1) / 2]]) @ np.vstack([paste, [0, 0, 1]])
    in_frame = np.clip(warp(fine, _inverse(to_mask), (width, height), "cubic", "constant"), 0, 1)
    in_frame = np.where(in_frame < 1 / 255, 0, in_frame).astype(np.float32)
    if settings["mode"] == "original":
        return canvas, in_frame
    weight = in_frame
    if settings["mode"] == "raw-rgb":
        ones = np.ones((side, side), np.float32)
        weight = np.clip(warp(ones, _inverse(paste), (width, height), "cubic", "constant"), 0, 1)
        weight = np.where(weight < 1 / 255, 0, weight)
    else:
        rows, columns = np.nonzero(in_frame > 0.1)
        if len(rows) == 0 or min(np.ptp(rows), np.ptp(columns)) < 4:
            return canvas, in_frame
        if settings["color_transfer"] == "rct":
            at_model = fine if scale == 1 else cv2.resize(fine, (side, side), interpolation=cv2.INTER_AREA)
            new = _reinhard(new, old, (at_model >= 1 / 255) & _inside(cut, side, height, width))
    pasted = np.clip(warp(new.astype(np.float32), _inverse(paste), (width, height), "cubic", "replicate"), 0, 1)
    return canvas * (1 - weight[..., None]) + pasted * weight[..., None], in_frame


def _shaped(mask: NDArray, erode: int, blur: int) -> tuple[NDArray, int]:
    if abs(erode) <= 1 and blur <= 1:
        return mask, 1
    side = mask.shape[0]
    fine = np.clip(cv2.resize(mask, (4 * side, 4 * side), interpolation=cv2.INTER_CUBIC), 0, 1)
    fine = np.pad(fine, side)
    if erode:
        element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (abs(erode), abs(erode)))
        fine = cv2.erode(fine, element) if erode > 0 else cv2.dilate(fine, element)
    inset = blur // 2
    keep = np.zeros_like(fine)
    keep[side + inset : 5 * side - inset, side + inset : 5 * side - inset] = 1
    fine = fine * keep
    if blur:
        width = blur + (1 - blur % 2)
        fine = cv2.GaussianBlur(fine, (width, width), 0)
    return np.clip(fine[side : 5 * side, side : 5 * side], 0, 1), 4


def _reinhard(picture: NDArray, reference: NDArray, where: NDArray) -> NDArray:
    """Lab mean and deviation of `reference` for `picture`, measured where told; contrast changes at most threefold."""
    if where.sum() < 16:
        return picture
    a, b = _lab(picture), _lab(reference)
    for channel, (low, high) in enumerate([(0, 100), (-127, 127), (-127, 127)]):
        x, y = a[..., channel][where].astype(np.float64), b[..., channel][where].astype(np.float64)
        gain = np.clip(max(y.std(), 0.1) / max(x.std(), 0.1), 0.3, 3.0)
        a[..., channel] = np.clip((a[..., channel] - x.mean()) * gain + y.mean(), low, high)
    return np.clip(cv2.cvtColor(a, cv2.COLOR_Lab2BGR), 0, 1)


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
