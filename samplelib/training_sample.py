"""From a prepared face and an augmentation to the arrays the network is trained on. Pure: nothing here is random.

Every output is one resampling of the stored face. Crop, turn, scale, shift, flip and warp are composed into one map
first, bicubic for pictures, bilinear for masks; colors are moved once, before, so that input and target share them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from core.color import THUMBNAIL_SIDE, ColorTransform, fit_color_transfer, shift_hsv
from core.geometry import compose_affine, invert_affine
from core.images import to_float, to_uint8
from samplelib.augmentation import Augmentation, SampleSettings
from samplelib.face_cache import WorkingFace, face_to_thumbnail
from samplelib.random_warp import displacement_field, legacy_map


@dataclass(frozen=True, eq=False)
class TrainingSample:
    """What the network is trained on; R is the resolution, all arrays uint8.

    Attributes:
        warped: (R, R, 3) BGR, what the network is shown.
        target: (R, R, 3) BGR, what it should draw.
        mask: (R, R), 255 where the target is face.
        eyes_mouth_mask: (R, R), 255 at eyes and mouth; None where not wanted.
    """

    warped: np.ndarray
    target: np.ndarray
    mask: np.ndarray
    eyes_mouth_mask: np.ndarray | None


def make_training_sample(
    face: WorkingFace, augmentation: Augmentation, settings: SampleSettings, donor: WorkingFace | None = None
) -> TrainingSample:
    """Applies an augmentation to a face.

    Args:
        face: prepared for these settings.
        donor: the face that lends its colors, prepared for the same framing; needed if the augmentation names one.
    """
    side = settings.resolution
    image = face.image if donor is None else recolored(face, donor, augmentation, settings)
    working_to_network = compose_affine(face.working_to_face, augmentation.face_to_network(side))
    target = _sample_picture(image, working_to_network, side)
    masks = cv2.warpAffine(face.masks, working_to_network, (side, side), flags=cv2.INTER_LINEAR)
    masks = masks.reshape(side, side, -1)
    warped = _warped(image, face.working_to_face, working_to_network, augmentation, side)
    if augmentation.hsv_shift is not None:
        warped = to_uint8(shift_hsv(to_float(warped), *augmentation.hsv_shift))
    eyes_mouth = _brightest_to_white(masks[..., 1]) if settings.eyes_mouth else None
    return TrainingSample(warped, target, masks[..., 0], eyes_mouth)


def _sample_picture(image: np.ndarray, working_to_network: np.ndarray, side: int) -> np.ndarray:
    return cv2.warpAffine(
        image, working_to_network, (side, side), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE
    )


def _warped(
    image: np.ndarray,
    working_to_face: np.ndarray,
    working_to_network: np.ndarray,
    augmentation: Augmentation,
    side: int,
) -> np.ndarray:
    if augmentation.displacement is None:
        return _sample_picture(image, working_to_network, side)
    if augmentation.legacy_warp:
        return _legacy_warped(image, working_to_face, augmentation, side)
    sources = warp_map(working_to_face, augmentation, side)
    return cv2.remap(image, sources, None, cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)


def warp_map(working_to_face: np.ndarray, augmentation: Augmentation, side: int) -> np.ndarray:
    """Where each pixel of the warped input comes from: (side, side, 2) float32, x then y, pixels of the working image.

    A pixel q of the network lies at p of the upright face and shows what is at p + push(p). With no lattice the push is
    nothing, and the map is that of the target.
    """
    face_to_network = augmentation.face_to_network(side)
    face_to_working = invert_affine(working_to_face)
    network_to_working = compose_affine(invert_affine(face_to_network), face_to_working).astype(np.float32)
    columns, rows = _pixel_grid(side)
    sources = np.empty((side, side, 2), np.float32)
    for axis in range(2):
        a, b, c = network_to_working[axis]
        sources[..., axis] = a * columns + b * rows + c
    if augmentation.displacement is not None:
        turned = augmentation.displacement @ face_to_working[:, :2].T.astype(np.float32)
        push = displacement_field(turned, side)
        # Outside the upright face the push is that of its rim: none.
        sources += cv2.warpAffine(
            push, face_to_network, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    return sources


@lru_cache(maxsize=8)
def _pixel_grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.arange(side, dtype=np.float32)
    return numbers[None, :], numbers[:, None]


def _legacy_warped(image: np.ndarray, working_to_face: np.ndarray, augmentation: Augmentation, side: int) -> np.ndarray:
    """Crop, warp and affine one after another, as DeepFaceLab does: black comes in at the rim of the warp.

    Source: spec samples-and-colour 4.4 and 5.2.
    """
    if augmentation.displacement is None:
        raise ValueError("A legacy warp needs its lattice.")
    crop = _sample_picture(image, working_to_face, side)
    warped = cv2.remap(crop, legacy_map(augmentation.displacement, side), None, cv2.INTER_CUBIC)
    return _sample_picture(warped, augmentation.face_to_network(side), side)


def _brightest_to_white(mask: np.ndarray) -> np.ndarray:
    """Scales a mask so that its largest value is 255; an empty one stays empty."""
    largest = int(mask.max())
    return mask if largest in (0, 255) else np.asarray(mask * (255.0 / largest) + 0.5, np.uint8)


def recolored(
    face: WorkingFace, donor: WorkingFace, augmentation: Augmentation, settings: SampleSettings
) -> np.ndarray:
    """The working image of `face` in the colors of `donor`; both measured under their masks in the model's framing."""
    if face.thumbnail is None or donor.thumbnail is None:
        raise ValueError("A color transfer needs faces prepared with thumbnails.")
    transform = fitted_transfer(face.thumbnail, donor.thumbnail, settings.color_transfer, augmentation.color_seed)
    face_to_working = invert_affine(face.working_to_face)
    thumbnail_to_working = compose_affine(invert_affine(face_to_thumbnail(settings.resolution)), face_to_working)
    return to_uint8(transform.apply(to_float(face.image), thumbnail_to_working))


def fitted_transfer(thumbnail: np.ndarray, donor: np.ndarray, mode: str, seed: int) -> ColorTransform:
    """How a face takes the colors of a donor, found from their thumbnails (color and mask, uint8)."""
    if mode not in ("idt", "sot"):  # means and deviations need no more than a quarter of the pixels
        side = THUMBNAIL_SIDE // 2
        thumbnail, donor = (cv2.resize(t, (side, side), interpolation=cv2.INTER_AREA) for t in (thumbnail, donor))
    image, mask = to_float(thumbnail[..., :3]), to_float(thumbnail[..., 3])
    reference, reference_mask = to_float(donor[..., :3]), to_float(donor[..., 3])
    return fit_color_transfer(mode, image, reference, mask, reference_mask, np.random.default_rng(seed))
