"""The 68 landmarks of a face: what each number means, where it lies on the mean face, and its place in space.

Order (iBUG 300-W): jaw 0-16 from image-left ear over the chin (8) to image-right ear, brows 17-26, nose 27-35,
eyes 36-47, outer mouth 48-59, inner mouth 60-67. "Left" and "right" in names below are the image's, not the person's.
Landmarks travel as float32 (68, 2), x then y, in pixels of the picture that their name says.
Source of the tables: spec faces-and-formats 2.1, 2.2 and 2.6.
"""

import numpy as np
from numpy.typing import NDArray

from core.errors import NotAFace

LANDMARKS = 68

JAW = np.arange(0, 17)
LEFT_BROW = np.arange(17, 22)
RIGHT_BROW = np.arange(22, 27)
NOSE_BRIDGE = np.arange(27, 31)
NOSE_BASE = np.arange(31, 36)
LEFT_EYE = np.arange(36, 42)
RIGHT_EYE = np.arange(42, 48)
OUTER_MOUTH = np.arange(48, 60)
INNER_MOUTH = np.arange(60, 68)

# The points that place a face: brows, nose, eyes, the two mouth corners. Lips move too much, the jaw is often hidden.
ALIGNMENT_INDICES = np.append(np.arange(17, 49), 54)
# The points that tell where a head looks: jaw and brows, tip and base of the nose.
POSE_INDICES = np.concatenate([np.arange(0, 27), np.arange(30, 36)])

# Each pair changes places when the picture is mirrored; points in no pair lie on the middle line.
FLIP_PAIRS = (
    (0, 16), (1, 15), (2, 14), (3, 13), (4, 12), (5, 11), (6, 10), (7, 9),
    (17, 26), (18, 25), (19, 24), (20, 23), (21, 22),
    (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46),
    (31, 35), (32, 34),
    (50, 52), (49, 53), (48, 54), (59, 55), (58, 56), (67, 65), (60, 64), (61, 63),
)  # fmt: skip

_MEAN_POINTS = (
    # image-left brow, 17-21
    (0.000213256, 0.106454), (0.0752622, 0.038915), (0.18113, 0.0187482), (0.29077, 0.0344891),
    (0.393397, 0.0773906),
    # image-right brow, 22-26
    (0.586856, 0.0773906), (0.689483, 0.0344891), (0.799124, 0.0187482), (0.904991, 0.038915),
    (0.98004, 0.106454),
    # bridge of the nose, 27-30
    (0.490127, 0.203352), (0.490127, 0.307009), (0.490127, 0.409805), (0.490127, 0.515625),
    # base of the nose, 31-35
    (0.36688, 0.587326), (0.426036, 0.609345), (0.490127, 0.628106), (0.554217, 0.609345),
    (0.613373, 0.587326),
    # image-left eye, 36-41
    (0.121737, 0.216423), (0.187122, 0.178758), (0.265825, 0.179852), (0.334606, 0.231733),
    (0.260918, 0.245099), (0.182743, 0.244077),
    # image-right eye, 42-47
    (0.645647, 0.231733), (0.714428, 0.179852), (0.793132, 0.178758), (0.858516, 0.216423),
    (0.79751, 0.244077), (0.719335, 0.245099),
    # outer mouth, 48-59
    (0.254149, 0.780233), (0.340985, 0.745405), (0.428858, 0.727388), (0.490127, 0.742578),
    (0.551395, 0.727388), (0.639268, 0.745405), (0.726104, 0.780233),
    (0.642159, 0.864805), (0.556721, 0.902192), (0.490127, 0.909281), (0.423532, 0.902192),
    (0.338094, 0.864805),
    # inner mouth, 60-67
    (0.290379, 0.784792), (0.428096, 0.778746), (0.490127, 0.785343), (0.552157, 0.778746),
    (0.689874, 0.784792),
    (0.553364, 0.824182), (0.490127, 0.831803), (0.42689, 0.824182),
)  # fmt: skip

# The mean face in the unit frame (face width about 1), float32 (68, 2), by landmark number. The jaw has no mean: NaN.
MEAN_FACE = np.vstack([np.full((17, 2), np.nan), _MEAN_POINTS]).astype(np.float32)

# A mean head in space, float64 (68, 3): x right, y down, z away from the camera (the tip of the nose has
# the least z); about 147 units from ear to ear.
POSE_POINTS = np.array((
    (-73.393523, -29.801432, 47.667532), (-72.775014, -10.949766, 45.909403), (-70.533638, 7.929818, 44.84258),
    (-66.850058, 26.07428, 43.141114), (-59.790187, 42.56439, 38.635298), (-48.368973, 56.48108, 30.750622),
    (-34.121101, 67.246992, 18.456453), (-17.875411, 75.056892, 3.609035), (0.098749, 77.061286, -0.881698),
    (17.477031, 74.758448, 5.181201), (32.648966, 66.929021, 19.176563), (46.372358, 56.311389, 30.77057),
    (57.34348, 42.419126, 37.628629), (64.388482, 25.45588, 40.886309), (68.212038, 6.990805, 42.281449),
    (70.486405, -11.666193, 44.142567), (71.375822, -30.365191, 47.140426), (-61.119406, -49.361602, 14.254422),
    (-51.287588, -58.769795, 7.268147), (-37.8048, -61.996155, 0.442051), (-24.022754, -61.033399, -6.606501),
    (-11.635713, -56.686759, -11.967398), (12.056636, -57.391033, -12.051204), (25.106256, -61.902186, -7.315098),
    (38.338588, -62.777713, -1.022953), (51.191007, -59.302347, 5.349435), (60.053851, -50.190255, 11.615746),
    (0.65394, -42.19379, -13.380835), (0.804809, -30.993721, -21.150853), (0.992204, -19.944596, -29.284036),
    (1.226783, -8.414541, -36.94806), (-14.772472, 2.598255, -20.132003), (-7.180239, 4.751589, -23.536684),
    (0.55592, 6.5629, -25.944448), (8.272499, 4.661005, -23.695741), (15.214351, 2.643046, -20.858157),
    (-46.04729, -37.471411, 7.037989), (-37.674688, -42.73051, 3.021217), (-27.883856, -42.711517, 1.353629),
    (-19.648268, -36.754742, -0.111088), (-28.272965, -35.134493, -0.147273), (-38.082418, -34.919043, 1.476612),
    (19.265868, -37.032306, -0.665746), (27.894191, -43.342445, 0.24766), (37.437529, -43.110822, 1.696435),
    (45.170805, -38.086515, 4.894163), (38.196454, -35.532024, 0.282961), (28.764989, -35.484289, -1.172675),
    (-28.916267, 28.612716, -2.24031), (-17.533194, 22.172187, -15.934335), (-6.68459, 19.029051, -22.611355),
    (0.381001, 20.721118, -23.748437), (8.375443, 19.03546, -22.721995), (18.876618, 22.394109, -15.610679),
    (28.794412, 28.079924, -3.217393), (19.057574, 36.298248, -14.987997), (8.956375, 39.634575, -22.554245),
    (0.381549, 40.395647, -23.591626), (-7.428895, 39.836405, -22.406106), (-18.160634, 36.677899, -15.121907),
    (-24.37749, 28.677771, -4.785684), (-6.897633, 25.475976, -20.893742), (0.340663, 26.014269, -22.220479),
    (8.444722, 25.326198, -21.02552), (24.474473, 28.323008, -5.712776), (8.449166, 30.596216, -20.671489),
    (0.205322, 31.408738, -21.90367), (-7.198266, 30.844876, -20.328022),
), np.float64)  # fmt: skip

for _table in (MEAN_FACE, POSE_POINTS, ALIGNMENT_INDICES, POSE_INDICES):
    _table.setflags(write=False)


def require_landmarks(landmarks: NDArray) -> NDArray:
    """The landmarks as float64 (68, 2). NotAFace where they are not 68 finite points."""
    points = np.asarray(landmarks, np.float64)
    if points.shape != (LANDMARKS, 2):
        raise NotAFace(
            f"A face has landmarks of shape (68, 2). Received: shape {points.shape}.", "Extract this face again."
        )
    if not np.isfinite(points).all():
        raise NotAFace("Some landmarks are not finite numbers.", "Extract this face again.")
    return points


def mirror_landmarks(landmarks: NDArray, width: int) -> NDArray:
    """Landmarks of the left-right mirrored picture: x' = width - 1 - x, and each pair changes its numbers.

    landmarks: (68, 2) in pixels of a picture `width` pixels wide. Returns the same shape and type.
    """
    mirrored = np.asarray(landmarks)[_MIRRORED_ORDER].copy()
    mirrored[:, 0] = width - 1 - mirrored[:, 0]
    return mirrored


def _mirrored_order() -> NDArray:
    order = np.arange(LANDMARKS)
    for first, second in FLIP_PAIRS:
        order[first], order[second] = second, first
    return order


_MIRRORED_ORDER = _mirrored_order()
