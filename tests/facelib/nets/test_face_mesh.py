"""The default finder on real portraits: found, found once, in the same place however the frame is turned or scaled."""

from __future__ import annotations

import math
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import MissingInput
from core.geometry import transform_points
from facelib.extraction import FoundFace
from facelib.landmarks import JAW, LEFT_EYE, RIGHT_EYE, mirror_landmarks
from facelib.nets.face_mesh import FaceMeshFinder, Region, tiles


def _error(face: FoundFace, expected: np.ndarray) -> float:
    """Mean distance of the landmarks from where they are expected, in sides of the box."""
    side = float(face.bbox[2] - face.bbox[0])
    return float(np.linalg.norm(face.landmarks - expected, axis=1).mean()) / side


def _background(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(4)
    clouds = rng.integers(40, 210, (9, 16, 3)).astype(np.uint8)
    return np.asarray(cv2.resize(clouds, (width, height), interpolation=cv2.INTER_CUBIC))


def test_the_astronaut_is_found_where_she_is(finder: FaceMeshFinder, astronaut: np.ndarray) -> None:
    """Read off the picture by eye, in pixels: corners of the eyes, tip of the nose, corners of the mouth, chin."""
    (face,) = finder.find(astronaut)
    by_eye = {36: (193, 101), 39: (211, 103), 42: (237, 104), 45: (258, 105), 30: (223, 123)}
    by_eye |= {48: (203, 140), 54: (245, 141), 8: (224, 178)}
    for number, place in by_eye.items():
        np.testing.assert_allclose(face.landmarks[number], place, atol=4, err_msg=str(number))
    assert face.landmarks.dtype == np.float32
    assert face.landmarks.shape == (68, 2)
    assert face.score > 0.8


def test_glasses_and_a_cap_do_not_hide_grace_hopper(finder: FaceMeshFinder, grace_hopper: np.ndarray) -> None:
    (face,) = finder.find(grace_hopper)
    np.testing.assert_allclose(face.landmarks[LEFT_EYE].mean(axis=0), (222, 191), atol=6)
    np.testing.assert_allclose(face.landmarks[RIGHT_EYE].mean(axis=0), (304, 188), atol=6)


@pytest.mark.parametrize("quarter_turns", [1, 2, 3])
def test_turned_frames(finder: FaceMeshFinder, astronaut: np.ndarray, quarter_turns: int) -> None:
    (upright,) = finder.find(astronaut)
    turned = np.ascontiguousarray(np.rot90(astronaut, quarter_turns))
    side = 512 - 1
    to_turned = {1: [[0, 1, 0], [-1, 0, side]], 2: [[-1, 0, side], [0, -1, side]], 3: [[0, -1, side], [1, 0, 0]]}
    (face,) = finder.find(turned)
    assert _error(face, transform_points(upright.landmarks, np.array(to_turned[quarter_turns]))) < 0.005


@pytest.mark.parametrize("degrees", [-150, -60, -30, 20, 45, 75, 110])
def test_any_roll(finder: FaceMeshFinder, grace_hopper: np.ndarray, degrees: float) -> None:
    (upright,) = finder.find(grace_hopper)
    center = upright.landmarks[27:].mean(axis=0).astype(float)
    to_turned = cv2.getRotationMatrix2D((center[0], center[1]), degrees, 0.9)
    turned = cv2.warpAffine(grace_hopper, to_turned, (512, 600), flags=cv2.INTER_CUBIC, borderValue=(90, 110, 100))
    (face,) = finder.find(turned)
    assert _error(face, transform_points(upright.landmarks, to_turned)) < 0.006


@pytest.mark.parametrize("face_side", [48, 80, 200])
def test_small_faces_in_a_large_frame(finder: FaceMeshFinder, astronaut: np.ndarray, face_side: int) -> None:
    """1080p; seen whole, the frame would shrink the smallest of these faces to 5 pixels."""
    (alone,) = finder.find(astronaut)
    scale = face_side / float(alone.bbox[2] - alone.bbox[0])
    small = cv2.resize(astronaut, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    frame = _background(1080, 1920)
    height, width = small.shape[:2]
    left, top = min(1317, 1920 - width), min(433, 1080 - height)
    frame[top : top + height, left : left + width] = small
    (face,) = finder.find(frame)
    expected = (alone.landmarks + 0.5) * (width / 512) - 0.5 + (left, top)
    assert _error(face, expected) < 0.01


def test_two_people_are_two_faces_largest_first(
    finder: FaceMeshFinder, astronaut: np.ndarray, grace_hopper: np.ndarray
) -> None:
    (first,), (second,) = finder.find(grace_hopper), finder.find(astronaut)
    frame = _background(600, 1024)
    frame[:, :512] = grace_hopper
    frame[60:572, 512:] = astronaut
    larger, smaller = finder.find(frame)
    assert larger.area > smaller.area
    assert _error(larger, first.landmarks) < 0.01
    assert _error(smaller, second.landmarks + np.array([512, 60])) < 0.01


def test_one_upright_and_one_upside_down(
    finder: FaceMeshFinder, astronaut: np.ndarray, grace_hopper: np.ndarray
) -> None:
    frame = _background(600, 1024)
    frame[:, :512] = grace_hopper
    frame[60:572, 512:] = astronaut[::-1, ::-1]
    assert len(finder.find(frame)) == 2


def test_a_face_that_fills_the_frame(finder: FaceMeshFinder, grace_hopper: np.ndarray) -> None:
    (face,) = finder.find(grace_hopper)
    left, top, right, bottom = face.bbox.astype(int)
    close = cv2.resize(grace_hopper[top:bottom, left:right], (900, 900), interpolation=cv2.INTER_CUBIC)
    (closer,) = finder.find(close)
    scale = 900 / np.array([right - left, bottom - top])
    assert _error(closer, (face.landmarks - (left, top) + 0.5) * scale - 0.5) < 0.01


def test_a_face_cut_by_the_frame(finder: FaceMeshFinder, astronaut: np.ndarray) -> None:
    """Forehead or mouth outside: found, and the landmarks that are outside are where the face goes on."""
    (whole,) = finder.find(astronaut)
    below = int(whole.landmarks[57, 1])
    (cut,) = finder.find(np.ascontiguousarray(astronaut[:below]))
    assert cut.landmarks[8, 1] > below
    assert _error(cut, whole.landmarks) < 0.06
    above = int(whole.landmarks[27, 1])
    (cut,) = finder.find(np.ascontiguousarray(astronaut[above:]))
    assert _error(cut, whole.landmarks - (0, above)) < 0.06


@pytest.mark.parametrize("shape", [(512, 512), (1080, 1920), (1, 1), (1, 400), (15, 15), (40, 3)])
def test_nothing_where_nothing_is(finder: FaceMeshFinder, shape: tuple[int, int]) -> None:
    assert finder.find(np.full((*shape, 3), 127, np.uint8)) == []
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert finder.find(noise) == []


@pytest.mark.parametrize("name", ["coffee.png", "rocket.jpg", "motorcycle_left.png", "chelsea.png", "logo.png"])
def test_things_and_a_cat_are_no_faces(finder: FaceMeshFinder, name: str) -> None:
    path = files("skimage").joinpath("data", name)
    if not path.is_file():
        pytest.skip(f"this scikit-image does not bring {name}")
    picture = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    assert finder.find(np.asarray(picture, np.uint8)) == []


def test_mirrored_frames_have_mirrored_landmarks(finder: FaceMeshFinder, grace_hopper: np.ndarray) -> None:
    """Accurate mode looks as often at the mirror image: no left-right bias but that of the detector's square."""
    (face,) = finder.find(grace_hopper)
    (mirrored,) = finder.find(np.ascontiguousarray(grace_hopper[:, ::-1]))
    assert _error(mirrored, mirror_landmarks(face.landmarks, 512)) < 0.004


def test_accurate_mode_is_steadier(weights: None, grace_hopper: np.ndarray) -> None:
    """The same face shifted by parts of a pixel and in other noise: the landmarks should only shift."""
    rng = np.random.default_rng(2)
    spread = {}
    for accurate in (True, False):
        finder, seen = FaceMeshFinder(accurate=accurate), []
        for n in range(6):
            shift = np.array([[1, 0, 0.37 * n], [0, 1, 0.23 * n]])
            moved = cv2.warpAffine(grace_hopper, shift, (512, 600), borderMode=cv2.BORDER_REPLICATE)
            noisy = np.clip(moved + rng.normal(0, 6, moved.shape), 0, 255).astype(np.uint8)
            (face,) = finder.find(noisy)
            seen.append(face.landmarks - shift[:, 2])
        spread[accurate] = float(np.std(seen, axis=0).mean())
    assert spread[True] < 0.8 * spread[False]


def test_calibration_and_deep_jaw_are_switches(weights: None, astronaut: np.ndarray) -> None:
    plain = FaceMeshFinder(accurate=False).find(astronaut)[0].landmarks
    bare = FaceMeshFinder(accurate=False, calibrated=False).find(astronaut)[0].landmarks
    deep = FaceMeshFinder(accurate=False, deep_jaw=True).find(astronaut)[0].landmarks
    assert np.abs(plain - bare)[17:29].max() > 0.5
    np.testing.assert_allclose(plain[29:], bare[29:], atol=0.3)
    assert np.abs(plain - deep)[JAW].max() > 0.5
    np.testing.assert_allclose(plain[17:], deep[17:], atol=0.3)
    names = {FaceMeshFinder(calibrated=c, deep_jaw=d).identity for c in (True, False) for d in (True, False)}
    assert len(names) == 4


def test_a_region_shows_exactly_its_square() -> None:
    """Corners of the square in pixel-edge terms: its left upper corner is half a pixel before the first center."""
    region = Region(np.array([100.0, 50.0]), 60.0, 0.0)
    to_input = region.frame_to_input(192)
    np.testing.assert_allclose(transform_points(np.array([70.0, 20.0]), to_input), [-0.5, -0.5])
    np.testing.assert_allclose(transform_points(np.array([130.0, 80.0]), to_input), [191.5, 191.5])
    turned = Region(np.array([100.0, 50.0]), 60.0, math.pi / 2).frame_to_input(192)
    np.testing.assert_allclose(transform_points(np.array([130.0, 20.0]), turned), [-0.5, -0.5], atol=1e-9)


def test_tiles_cover_the_frame_and_overlap() -> None:
    assert tiles(480, 512) == []
    for height, width in [(1080, 1920), (1920, 1080), (720, 1280), (600, 700), (2160, 3840)]:
        seen = np.zeros((height, width), bool)
        found = tiles(height, width)
        for left, top, side in found:
            assert left >= 0
            assert top >= 0
            assert left + side <= max(width, side)
            assert top + side <= max(height, side)
            seen[top : top + side, left : left + side] = True
        assert seen.all()
        rows = sorted({(top, side) for _, top, side in found})
        for (top, side), (below, next_side) in pairwise(rows):
            assert next_side != side or below - top <= 0.76 * side


def test_without_weights_the_user_is_told_what_to_run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACELOOM_INTERNAL", str(tmp_path))
    with pytest.raises(MissingInput, match="weights --fetch"):
        FaceMeshFinder()


@pytest.mark.parametrize("degrees", [0, 50])
def test_a_face_in_a_box_drawn_by_hand(finder: FaceMeshFinder, grace_hopper: np.ndarray, degrees: float) -> None:
    """The box is roughly that from brows to chin; a turned face needs a turned box only roughly too."""
    (upright,) = finder.find(grace_hopper)
    to_turned = cv2.getRotationMatrix2D((263, 230), -degrees, 1)
    turned = cv2.warpAffine(grace_hopper, to_turned, (512, 600), flags=cv2.INTER_CUBIC, borderValue=(90, 110, 100))
    expected = transform_points(upright.landmarks, to_turned)
    for box, accurate in (((170, 130, 360, 340), True), ((190, 160, 330, 310), True), ((150, 110, 380, 350), False)):
        found = finder.measure_box(turned, np.array(box, float), math.radians(degrees - 10), accurate=accurate)
        assert found is not None
        assert _error(upright, found - expected + upright.landmarks) < (0.005 if accurate else 0.02)


def test_a_box_without_a_face_gives_none(finder: FaceMeshFinder, grace_hopper: np.ndarray) -> None:
    assert finder.measure_box(grace_hopper, np.array([20.0, 450, 180, 590])) is None
    assert finder.measure_box(_background(300, 300), np.array([50.0, 50, 250, 250])) is None


def test_a_face_is_found_near_where_it_is_expected(finder: FaceMeshFinder, astronaut: np.ndarray) -> None:
    """Guessed a seventh of the face away, too large and turned by 15 degrees; and never where there is nothing."""
    (found,) = finder.find(astronaut)
    middle = found.landmarks.mean(axis=0)
    turn = math.radians(15)
    turned = (found.landmarks - middle) @ np.array(
        [[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]]
    )
    near = finder.find_near(astronaut, 1.2 * turned + middle + (12, -8))
    assert near is not None
    assert _error(near, found.landmarks) < 0.01
    assert found.presence is not None
    assert near.presence == pytest.approx(found.presence, abs=3)
    assert found.presence > 12
    assert near.score > 0.99
    assert finder.find_near(astronaut, found.landmarks + np.array([0, 330])) is None
    assert finder.find_near(np.full_like(astronaut, 128), found.landmarks) is None


def test_a_face_that_the_detector_misses_is_found_near_and_doubted(
    finder: FaceMeshFinder, astronaut: np.ndarray
) -> None:
    """Half of her face behind a board."""
    (found,) = finder.find(astronaut)
    covered = half_covered(astronaut, found)
    assert finder.find(covered) == []
    near = finder.find_near(covered, found.landmarks)
    assert near is not None
    assert _error(near, found.landmarks) < 0.05
    assert near.presence is not None
    assert near.presence < 12


def half_covered(picture: np.ndarray, face: FoundFace) -> np.ndarray:
    """The picture with a gray board before the image-left half of a face."""
    left, top, _, bottom = (int(v) for v in face.bbox)
    covered = picture.copy()
    covered[max(0, top - 60) : bottom + 60, max(0, left - 60) : left + round(face.side / 2)] = 90
    return covered
