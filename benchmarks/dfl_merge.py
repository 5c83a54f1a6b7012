"""What `merge --compat dfl` has to give, without a thought of speed: whole frames in float32, step by step.

It does not share a line with merger/; tests hold the merger against it. What it does is spec merging 3.2-3.9 with what
chapter 8 settles differently even in compatibility: every resized mask is clipped (Q16), a flat channel has no gain,
and a seamless face is not moved at the frame's border (Q20: there Poisson's equation is solved by a general solver).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import scipy.sparse
import scipy.sparse.linalg
from numpy.typing import NDArray

from benchmarks.classical_color import distribution, histograms, linear, mix, monge_kantorovich, transport
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from facelib.masks import hull_mask

Settings = Mapping[str, Any]

HAIR = 1e-3
"""Levels are cut off; a float that is meant to be a whole level may lie a hair below it."""


@dataclass(frozen=True)
class Networks:
    """Stand-ins: `predict` face -> (face, mask, mask); `segment` (256, 256, 3) -> (256, 256); `enhance` face -> 4x."""

    resolution: int
    face_type: FaceType
    predict: Callable[[NDArray], tuple[NDArray, NDArray, NDArray]]
    segment: Callable[[NDArray], NDArray] = lambda _: np.zeros((256, 256), np.float32)
    enhance: Callable[[NDArray], NDArray] = lambda face: face


def dfl_merge(
    frame: NDArray,
    faces: Sequence[NDArray],
    settings: Settings,
    networks: Networks,
    motion: tuple[float, float] = (0.0, 0.0),
) -> tuple[NDArray, NDArray]:
    """Merges one frame; returns frame and mask in levels. `motion`: of the face over two frames, pixels."""
    most = np.float32(np.iinfo(frame.dtype).max)
    picture = frame.astype(np.float32) / most
    final: NDArray | None = None
    for landmarks in faces:
        out, mask = _merge_face(picture, landmarks, settings, networks, motion)
        if final is None:
            final, total = out, mask
        else:
            final = final * (1 - mask[..., None]) + out * mask[..., None]
            total = np.clip(total + mask, 0, 1)
    if final is None:
        return frame.copy(), np.zeros(frame.shape[:2], frame.dtype)
    return (np.clip(final, 0, 1) * most + HAIR).astype(frame.dtype), (total * most + HAIR).astype(frame.dtype)


def _merge_face(
    picture: NDArray, landmarks: NDArray, s: Settings, networks: Networks, motion: tuple[float, float]
) -> tuple[NDArray, NDArray]:
    height, width = picture.shape[:2]
    r, kind = networks.resolution, networks.face_type
    side = 4 * r if s["super_resolution_power"] else r
    zoom = 1 + 0.01 * s["output_face_scale"]
    cut, paste = frame_to_face(landmarks, kind, side), frame_to_face(landmarks, kind, side, zoom)
    mask_paste, seg_cut = frame_to_face(landmarks, kind, 4 * r, zoom), frame_to_face(landmarks, kind, 256)

    def pasted(square: NDArray, matrix: NDArray) -> NDArray:
        return cv2.warpAffine(square, matrix, (width, height), flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP)

    hull = hull_mask(landmarks, height, width, exact=True)
    old = _clip(cv2.warpAffine(picture, cut, (side, side), flags=cv2.INTER_CUBIC))
    hull_cut = _clip(cv2.warpAffine(hull, cut, (side, side), flags=cv2.INTER_CUBIC))
    shown = old if side == r else cv2.resize(old, (r, r), interpolation=cv2.INTER_LINEAR)
    new, m1, m2 = (_clip(part) for part in networks.predict(shown))
    if s["super_resolution_power"]:
        q = np.float32(s["super_resolution_power"] / 100)
        large = cv2.resize(new, (side, side), interpolation=cv2.INTER_LINEAR)
        new = _clip(large * (1 - q) + networks.enhance(new) * q)
    m1, m2 = _to(m1, side), _to(m2, side)

    def seen(square: NDArray) -> NDArray:
        segment = np.clip(networks.segment(square), 0, 1)
        return _to(np.where(segment < 0.1, 0, segment).astype(np.float32), side)

    def xp() -> NDArray:
        return seen(cv2.resize(new, (256, 256), interpolation=cv2.INTER_CUBIC))

    def xd() -> NDArray:
        return seen(cv2.warpAffine(picture, seg_cut, (256, 256), flags=cv2.INTER_CUBIC))

    mask = {
        "full": lambda: np.ones((side, side), np.float32),
        "dst": lambda: hull_cut,
        "learned-prd": lambda: m1,
        "learned-dst": lambda: m2,
        "learned-prd*learned-dst": lambda: m1 * m2,
        "learned-prd+learned-dst": lambda: np.clip(m1 + m2, 0, 1),
        "XSeg-prd": xp,
        "XSeg-dst": xd,
        "XSeg-prd*XSeg-dst": lambda: xp() * xd(),
        "learned-prd*learned-dst*XSeg-prd*XSeg-dst": lambda: m1 * m2 * xp() * xd(),
    }[s["mask_mode"]]()
    mask = np.where(mask < 1 / 255, 0, mask).astype(np.float32)
    fine = _to(mask, 4 * r)
    if "raw" not in s["mode"]:
        fine = shaped(fine, r, s["erode_mask"], s["blur_mask"])
    in_frame = _clip(pasted(fine, mask_paste))
    in_frame = np.where(in_frame < 1 / 255, 0, in_frame).astype(np.float32)
    in_square = _to(fine, side)
    if s["mode"] == "original":
        return picture, in_frame
    if s["mode"] == "raw-predict":
        return new, in_square
    if s["mode"] == "raw-rgb":
        covered = pasted(np.ones_like(new), paste)
        return _clip(picture * (1 - covered) + pasted(new, paste) * covered), in_frame
    rows, columns = np.nonzero(in_frame >= 0.1)
    if len(rows) == 0 or min(np.ptp(rows), np.ptp(columns)) < 4:
        return picture, in_frame
    area = np.where(in_square > 0, 1, in_square).astype(np.float32)
    seamless = s["mode"].startswith("seamless")
    if not seamless:
        new = _colored(s["color_transfer"], new, old, area)
    if s["mode"] == "hist-match":
        h = area[..., None] if s["masked_hist_match"] else np.float32(1)
        new = histograms(np.minimum(new * h + (1 - h), 1), old * h + (1 - h), s["hist_match_threshold"], bins=None)
    face = _clip(pasted(new, paste))
    if seamless:
        face = _cloned(face, picture, in_frame)
    weight = in_frame[..., None]
    out = picture * (1 - weight) + face * weight
    worked = ("motion_blur_power", "blursharpen_amount", "image_denoise_power", "bicubic_degrade_power")
    if (
        (seamless and s["color_transfer"] != "none")
        or s["mode"] == "seamless-hist-match"
        or any(s[name] for name in worked)
    ):
        again = cv2.warpAffine(out, cut, (side, side), flags=cv2.INTER_CUBIC)
        if seamless:
            again = _colored(s["color_transfer"], again, old, area)
        if s["mode"] == "seamless-hist-match":
            again = histograms(again, old, s["hist_match_threshold"], bins=None)
        again = _smeared(again, motion, s)
        again = sharpened(again, s["sharpen_mode"], s["blursharpen_amount"])
        background = softened(picture, s["image_denoise_power"], s["bicubic_degrade_power"])
        out = _clip(background * (1 - weight) + pasted(again, cut) * weight)
    return out, in_frame


def _clip(picture: NDArray) -> NDArray:
    return np.clip(picture, 0, 1).astype(np.float32)


def _to(mask: NDArray, side: int) -> NDArray:
    return mask if len(mask) == side else _clip(cv2.resize(mask, (side, side), interpolation=cv2.INTER_CUBIC))


def shaped(fine: NDArray, r: int, erode: int, blur: int) -> NDArray:
    """A mask (4r, 4r) shrunk (below 0 grown) and its edge softened, with r pixels of room around. Spec merging 3.5."""
    padded = np.pad(fine, r)
    if erode:
        element = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (abs(erode), abs(erode)))
        padded = cv2.erode(padded, element) if erode > 0 else cv2.dilate(padded, element)
    inset = blur // 2
    keep = np.zeros_like(padded)
    keep[r + inset : 5 * r - inset, r + inset : 5 * r - inset] = 1
    padded = padded * keep
    if blur:
        width = blur if blur % 2 else blur + 1
        padded = cv2.GaussianBlur(padded, (width, width), 0)
    return _clip(padded[r : 5 * r, r : 5 * r])


def _colored(mode: str, new: NDArray, old: NDArray, area: NDArray) -> NDArray:
    """What was drawn at random is drawn from the same seed every time."""
    if mode == "none":
        return new
    if mode == "rct":
        return _reinhard(new, old, area)
    if mode.endswith("-m"):
        new, old = new * area[..., None], old * area[..., None]
    rng = np.random.default_rng(0)
    if mode.startswith("idt"):
        return distribution(new, old, rng)
    if mode == "sot-m":
        return _clip(transport(new, old, rng))
    if mode == "mix-m":
        return mix(new, old, rng)
    everywhere = np.ones(new.shape[:2], bool)
    return (linear if mode == "lct" else monge_kantorovich)(new, old, everywhere)


def _reinhard(new: NDArray, old: NDArray, area: NDArray) -> NDArray:
    a, b = cv2.cvtColor(new, cv2.COLOR_BGR2Lab), cv2.cvtColor(old, cv2.COLOR_BGR2Lab)
    for channel, (low, high) in enumerate([(0, 100), (-127, 127), (-127, 127)]):
        x, y = (np.where(area >= 0.5, lab[..., channel], 0).astype(np.float64) for lab in (a, b))
        gain = y.std() / x.std() if x.std() > 0 else y.std()
        a[..., channel] = np.clip((a[..., channel] - x.mean()) * gain + y.mean(), low, high)
    return _clip(cv2.cvtColor(a, cv2.COLOR_Lab2BGR))


def _cloned(face: NDArray, picture: NDArray, in_frame: NDArray) -> NDArray:
    step = next(i for i in range(1, 10) if (in_frame > i / 10).any())
    chosen = (in_frame > step / 10).astype(np.uint8) * 255
    source, target = (np.floor(p * 255 + HAIR).astype(np.uint8) for p in (face, picture))
    left, top, width, height = cv2.boundingRect(chosen)
    at_border = left == 0 or top == 0 or left + width == chosen.shape[1] or top + height == chosen.shape[0]
    if at_border:
        box = np.s_[top : top + height, left : left + width]
        result = target.copy()
        result[box] = (np.clip(solved(source, target, chosen > 0, box), 0, 255) + HAIR).astype(np.uint8)
        return result.astype(np.float32) / 255
    center = (left + width // 2, top + height // 2)
    return cv2.seamlessClone(source, target, chosen, center, cv2.NORMAL_CLONE).astype(np.float32) / 255


def solved(source: NDArray, target: NDArray, chosen: NDArray, box: tuple[slice, slice]) -> NDArray:
    """Poisson's equation on a box of the frame by a general sparse solver: the box, float64, in the target's units.

    Where the chosen pixels touch the frame's border nothing holds the result.
    """
    top, bottom, left, right = chosen[0].any(), chosen[-1].any(), chosen[:, 0].any(), chosen[:, -1].any()
    # Three pixels off the mask's edge; beyond the frame the mask goes on.
    pads = [(0 if top else 1, 0 if bottom else 1), (0 if left else 1, 0 if right else 1)]
    inner = np.pad(chosen[box], pads)
    for _ in range(3):
        grown = np.pad(inner, 1, mode="edge")
        inner = np.min([grown[y : y + inner.shape[0], x : x + inner.shape[1]] for y in range(3) for x in range(3)], 0)
    inner = inner[pads[0][0] : inner.shape[0] - pads[0][1], pads[1][0] : inner.shape[1] - pads[1][1]]
    a, b = source[box].astype(np.float64), target[box].astype(np.float64)
    guide_x, guide_y = (np.where(inner[..., None], np.diff(a, axis=k, append=np.take(a, [-1], k)),
                                 np.diff(b, axis=k, append=np.take(b, [-1], k))) for k in (1, 0))  # fmt: skip
    n, m = inner.shape
    divergence = guide_x - np.pad(guide_x, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    divergence += guide_y - np.pad(guide_y, ((1, 0), (0, 0), (0, 0)))[:-1]
    # The target's own equation has the same operator; so the difference to it is 0 wherever the target's guide is.
    own_x, own_y = (np.diff(b, axis=k, append=np.take(b, [-1], k)) for k in (1, 0))
    divergence -= own_x - np.pad(own_x, ((0, 0), (1, 0), (0, 0)))[:, :-1]
    divergence -= own_y - np.pad(own_y, ((1, 0), (0, 0), (0, 0)))[:-1]
    free_y, free_x = (top, bottom), (left, right)
    inside_y, inside_x = (slice(int(not e[0]), c - int(not e[1])) for e, c in ((free_y, n), (free_x, m)))
    part = divergence[inside_y, inside_x]
    operator = scipy.sparse.kron(_second(part.shape[0], free_y), scipy.sparse.eye(part.shape[1]))
    operator += scipy.sparse.kron(scipy.sparse.eye(part.shape[0]), _second(part.shape[1], free_x))
    correction = scipy.sparse.linalg.spsolve(operator.tocsc(), part.reshape(-1, 3)).reshape(part.shape)
    b[inside_y, inside_x] += correction
    return b


def _second(count: int, free: tuple[Any, Any]) -> Any:
    matrix = scipy.sparse.diags([1.0, -2.0, 1.0], [-1, 0, 1], shape=(count, count)).tolil()
    if free[0]:
        matrix[0, 1] = 2
    if free[1]:
        matrix[count - 1, count - 2] = 2
    return matrix.tocsr()


def _smeared(face: NDArray, motion: tuple[float, float], s: Settings) -> NDArray:
    steps = math.floor(math.hypot(*motion) * s["motion_blur_power"] / 100)
    if steps < 1:
        return face
    n = min(max(steps + 1, 2), 50) * (2 if s["super_resolution_power"] else 1)
    kernel = np.zeros((n, n), np.float32)
    kernel[(n - 1) // 2] = 1
    degrees = -math.degrees(math.atan2(motion[1], motion[0]))
    kernel = cv2.warpAffine(kernel, cv2.getRotationMatrix2D((n / 2 - 0.5, n / 2 - 0.5), degrees, 1), (n, n))
    return cv2.filter2D(face, -1, kernel / kernel.sum())


def sharpened(face: NDArray, mode: str, amount: int) -> NDArray:
    """Source: spec merging 3.8, as it was."""
    if amount > 0 and mode == "box":
        kernel = np.full((3, 3), -amount / 9, np.float32)
        kernel[1, 1] += 1 + amount
        return cv2.filter2D(face, -1, kernel)
    if amount > 0 and mode == "gaussian":
        return (1 + 0.5 * amount) * face - 0.5 * amount * cv2.GaussianBlur(face, (3, 3), 0)
    left = -amount
    while left > 0:
        median = cv2.medianBlur(face, 5)
        face = median if left >= 10 else face * (1 - left / 10) + median * (left / 10)
        left -= 10
    return face.astype(np.float32)


def softened(picture: NDArray, denoise: int, degrade: int) -> NDArray:
    """Denoise, then degrade: spec merging 3.8, as it was."""
    while denoise > 0:
        median = cv2.medianBlur(picture, 5)
        picture = median if denoise >= 100 else picture * (1 - denoise / 100) + median * (denoise / 100)
        picture = picture.astype(np.float32)
        denoise -= 10
    if degrade:
        height, width = picture.shape[:2]
        scale = 1 - degrade / 101
        small = cv2.resize(picture, (int(width * scale), int(height * scale)), interpolation=cv2.INTER_CUBIC)
        picture = cv2.resize(small, (width, height), interpolation=cv2.INTER_CUBIC)
    return picture
