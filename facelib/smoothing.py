"""Takes the trembling out of landmarks that follow one face through consecutive frames of a film.

Every point goes where a parabola through its places in the frames around puts it (least squares). The frames before and
after count alike, so nothing lags behind; what moves evenly or with even acceleration stays exactly where it was. No
point moves further than a small part of the face, whatever the fit says, and a face that does not move as in a film
(photos in a row, a few frames a second) is left alone.

Source: A. Savitzky and M. Golay, "Smoothing and differentiation of data by simplified least squares procedures", 1964.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.signal import savgol_filter

FARTHEST_MOVE = 0.008
"""No point moves further, in sides of the face's box: 1.6 pixels of a box of 200."""
REACH = 4
"""Frames before and after that count."""
_DEGREE = 2
_MOST_RESTLESS = 0.5
"""Where the typical fit misses by more than this part of the farthest move, the frames are no film."""


def smooth_landmarks(landmarks: NDArray, sides: NDArray) -> NDArray[np.float64]:
    """The landmarks of one face in consecutive frames, steadied.

    Args:
        landmarks: (N, 68, 2), frame pixels; no frame is missing between the first and the last.
        sides: (N,) of the boxes around the face, frame pixels.

    Returns:
        float64 (N, 68, 2); the same values where fewer than 5 frames are given or the face jumps about.
    """
    raw = np.asarray(landmarks, np.float64)
    reach = min(REACH, (len(raw) - 1) // 2)
    if reach < 2:
        return raw.copy()
    moves = savgol_filter(raw, 2 * reach + 1, _DEGREE, axis=0, mode="interp") - raw
    limits = FARTHEST_MOVE * np.asarray(sides, np.float64)[:, None]
    lengths = np.linalg.norm(moves, axis=2)
    if np.median(lengths / limits) > _MOST_RESTLESS:
        return raw.copy()
    return np.asarray(raw + moves * np.minimum(1.0, limits / np.maximum(lengths, 1e-12))[..., None])
