"""Asking the networks: who is asked what, and what is said where one is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from core.errors import BadOption, MissingInput
from facelib.face_type import FaceType
from facelib.prediction import Prediction
from merger.face_tools import FaceQuestion, FaceTools, ask_networks, classical_face, seen_by_model
from merger.settings import MergeSettings
from tests.merger.scenes import TintedPredictor, disc, enlarge

SIDE = 48
IDENTITY = np.array([[256 / SIDE, 0, 0], [0, 256 / SIDE, 0]])


class Listener:
    """Stands in for every network and remembers what it was shown."""

    def __init__(self) -> None:
        self.seen: list[NDArray] = []
        self.factors: list[float] = []
        self.ranges: list[bool] = []
        self.predictor = TintedPredictor(SIDE)

    def segment(self, faces: NDArray) -> NDArray:
        self.seen.append(faces)
        return faces.mean(axis=-1)

    def enhance(self, face: NDArray, correct: bool) -> NDArray:
        self.ranges.append(correct)
        return enlarge(face)

    def morphed(self, faces: NDArray, factor: float) -> list[Prediction]:
        self.factors.append(factor)
        return list(self.predictor.predict(faces))

    @property
    def tools(self) -> FaceTools:
        return FaceTools(
            SIDE, FaceType.FULL, self.predictor.predict, self.morphed, self.segment, FaceType.WHOLE, self.enhance
        )


def questions(count: int = 2) -> list[FaceQuestion]:
    rng = np.random.default_rng(0)
    faces = [rng.random((SIDE, SIDE, 3), dtype=np.float32) for _ in range(count)]
    return [FaceQuestion(face, np.full((256, 256, 3), 0.5, np.float32), IDENTITY) for face in faces]


def test_only_what_the_settings_need_is_asked() -> None:
    listener = Listener()
    for answer in ask_networks(listener.tools, questions(), MergeSettings.of(morph_factor=0.3)):
        assert answer.enhanced is None
        assert answer.src_segment is None
        assert answer.dst_segment is None
    assert listener.factors == [0.3]
    assert listener.seen == listener.ranges == []


def test_xseg_sees_all_faces_of_a_frame_at_once() -> None:
    listener = Listener()
    answers = ask_networks(listener.tools, questions(3), MergeSettings.of(mask_mode="XSeg-prd*XSeg-dst"))
    assert [seen.shape for seen in listener.seen] == [(3, 256, 256, 3)] * 2
    for answer in answers:
        assert answer.dst_segment == pytest.approx(0.5)
        assert answer.src_segment is not None
        assert answer.src_segment.shape == (256, 256)


def test_what_xseg_hardly_believes_is_nothing() -> None:
    tools = FaceTools(SIDE, FaceType.FULL, TintedPredictor(SIDE).predict, segment=lambda f: f.mean(axis=-1) * 0 + 0.09)
    (answer,) = ask_networks(tools, questions(1), MergeSettings.of(mask_mode="XSeg-dst"))
    assert answer.dst_segment is not None
    assert not answer.dst_segment.any()


def test_the_new_face_is_shown_in_its_place_when_xseg_looks_wider() -> None:
    """XSeg's square is twice as wide: the predicted face fills its middle, around it is the frame."""
    listener = Listener()
    half = np.array([[128 / SIDE, 0, 64], [0, 128 / SIDE, 64]])
    question = FaceQuestion(np.ones((SIDE, SIDE, 3), np.float32), np.zeros((256, 256, 3), np.float32), half)
    ask_networks(listener.tools, [question], MergeSettings.of(mask_mode="XSeg-prd"))
    seen = listener.seen[0][0]
    assert seen[128, 128] == pytest.approx([1.0, 0.8, 0.6], abs=1e-4)  # a tinted white
    assert not seen[:60].any()
    assert not seen[:, :60].any()


@pytest.mark.parametrize(
    ("given", "correct"),
    [({}, False), ({"sr_range": "correct"}, True), ({"sr_range": "correct", "compat": "dfl"}, False)],
)
def test_the_enhancer_is_shown_the_range_that_is_set(given: dict[str, Any], correct: bool) -> None:
    listener = Listener()
    (answer,) = ask_networks(listener.tools, questions(1), MergeSettings.of(super_resolution_power=40, **given))
    assert listener.ranges == [correct]
    assert answer.enhanced is not None
    assert answer.enhanced.shape == (4 * SIDE, 4 * SIDE, 3)


@pytest.mark.parametrize(
    ("given", "error", "words"),
    [
        ({"mask_mode": "XSeg-prd"}, MissingInput, "Mask mode XSeg-prd needs a trained XSeg model, and there is none"),
        ({"mask_mode": "7", "mode": "original"}, MissingInput, "Mask mode XSeg-dst needs"),
        ({"super_resolution_power": 1}, MissingInput, r"FaceEnhancer\.npy"),
        ({"morph_factor": 0.0}, BadOption, "Received: a morph factor of 0"),
    ],
)
def test_what_is_missing_is_said_in_words(given: dict[str, Any], error: type[Exception], words: str) -> None:
    tools = FaceTools.of(TintedPredictor())
    with pytest.raises(error, match=words):
        tools.require(MergeSettings.of(**given))
    Listener().tools.require(MergeSettings.of(**given))


def test_nothing_is_required_that_is_not_used() -> None:
    tools = FaceTools.of(TintedPredictor())
    unused = {"mode": "original", "mask_mode": "dst", "morph_factor": 0.5}
    for given in ({}, unused, {"mode": "original", "super_resolution_power": 9}):
        tools.require(MergeSettings.of(**given))


def test_tools_of_tools_are_the_same() -> None:
    tools = Listener().tools
    assert FaceTools.of(tools) is tools
    assert FaceTools.of(TintedPredictor()).predict_morphed is None


def test_xsegs_answer_lies_on_the_face() -> None:
    """A disc right of the middle of XSeg's square, which is half as wide as the model's: half as far, half as big."""
    segment = disc(256, 0.2, shift=0.25)
    half = np.array([[512 / SIDE, 0, -128], [0, 512 / SIDE, -128]])  # model 12..36 -> XSeg 0..256
    seen = seen_by_model(segment, half, SIDE)
    columns = np.arange(SIDE)[None]
    middle = (0.5 * 255 + 0.25 * 256 + 128) * SIDE / 512
    assert (columns * seen).sum() / seen.sum() == pytest.approx(middle, abs=0.3)
    assert seen.sum() == pytest.approx(segment.sum() * (SIDE / 512) ** 2, rel=0.05)
    assert not seen[:, :12].any()


def test_the_classical_face_is_resized_by_its_corners() -> None:
    (answer,) = ask_networks(Listener().tools, questions(1), MergeSettings.of(super_resolution_power=100))
    assert answer.enhanced is not None
    whole = classical_face(answer, MergeSettings.of(super_resolution_power=100, compat="dfl"))
    assert whole == pytest.approx(answer.enhanced, abs=1e-6)
