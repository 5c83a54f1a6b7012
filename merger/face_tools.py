"""The networks a frame may need, and what they say of a face. Plain callables: nothing here knows a framework."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from core.errors import BadOption, MissingInput
from core.geometry import invert_affine, warp
from facelib.face_type import FaceType
from facelib.prediction import Prediction, Predictor
from merger.settings import MergeSettings

SEGMENT_SIDE = 256
"""Side of the square XSeg sees."""

ENHANCER_SCALE = 4

_FAINTEST_SEGMENT = 0.1
"""Below this XSeg's answer counts as nothing. Source: spec merging 2.4."""


def require_networks(settings: MergeSettings, *, morphs: bool, segments: bool, enhances: bool) -> None:
    """Refuses settings that need what is not there: a model that can be morphed, an XSeg model, the enhancer.

    Raises:
        MissingInput: no XSeg model, no enhancer.
        BadOption: a morph factor for a model that has none.
    """
    if settings.morph_factor != 1.0 and not morphs and settings.needs_prediction:
        raise BadOption(
            f"Only AMP models can be morphed. Received: a morph factor of {settings.morph_factor:g}.",
            "Leave the morph factor at 1.",
        )
    if (settings.segments_new_face or settings.segments_old_face) and not segments:
        raise MissingInput(
            f"Mask mode {settings.mask_mode} needs a trained XSeg model, and there is none.",
            "Choose another mask mode, such as learned-prd*learned-dst.",
        )
    if settings.enhances and not enhances:
        raise MissingInput(
            "Super resolution needs the face enhancer, and its weights (FaceEnhancer.npy) are not there.",
            "Set super resolution power to 0; `main.py weights` says where they come from.",
        )


@dataclass(frozen=True)
class FaceTools:
    """What the acts on a frame need beside numbers.

    Attributes:
        resolution: R, side of the square the model sees.
        face_type: how much of the head that square shows.
        predict: (N, R, R, 3) float32 BGR in [0, 1] -> N predictions.
        predict_morphed: the same with a morph factor, 0..1; None: this model cannot be morphed.
        segment: (N, 256, 256, 3) float32 BGR in [0, 1] -> (N, 256, 256) float32 in [0, 1]; None: no XSeg model.
        segment_face_type: how much of the head XSeg was taught on; None: as the model.
        enhance: (h, w, 3) float32 BGR in [0, 1], and whether it is shown the range it was trained on ->
            (4 h, 4 w, 3), pixel (4 x, 4 y) over pixel (x, y); None: its weights are not there.
        on_cpu: the same model on the CPU, loaded when it is needed; None: this is on the CPU.
    """

    resolution: int
    face_type: FaceType
    predict: Callable[[NDArray], Sequence[Prediction]]
    predict_morphed: Callable[[NDArray, float], Sequence[Prediction]] | None = None
    segment: Callable[[NDArray], NDArray] | None = None
    segment_face_type: FaceType | None = None
    enhance: Callable[[NDArray, bool], NDArray] | None = None
    on_cpu: Callable[[], FaceTools] | None = None

    @classmethod
    def of(cls, predictor: Predictor) -> FaceTools:
        """The tools a model alone makes."""
        if isinstance(predictor, FaceTools):
            return predictor
        morphed = getattr(predictor, "predict_morphed", None)
        return cls(predictor.resolution, predictor.face_type, predictor.predict, morphed)

    def require(self, settings: MergeSettings) -> None:
        """Refuses settings that need what is not there; raises as `require_networks`."""
        require_networks(
            settings,
            morphs=self.predict_morphed is not None,
            segments=self.segment is not None,
            enhances=self.enhance is not None,
        )

    def predict_faces(self, faces: NDArray, morph_factor: float) -> Sequence[Prediction]:
        """(N, R, R, 3) -> N predictions."""
        if self.predict_morphed is not None:
            return self.predict_morphed(faces, morph_factor)
        return self.predict(faces)


@dataclass(frozen=True)
class FaceQuestion:
    """What the networks are shown of one face.

    Attributes:
        pixels: (R, R, 3) float32 BGR in [0, 1], for the model.
        around: (256, 256, 3), for XSeg; None where it is not asked.
        face_to_segment: (2, 3), R pixels to the pixels of `around`.
        settings: of this face, in each rendering of its frame; (): those of the frame.
    """

    pixels: NDArray
    around: NDArray | None
    face_to_segment: NDArray
    settings: tuple[MergeSettings, ...] = ()


@dataclass(frozen=True)
class FaceAnswer:
    """What the networks say of one face.

    Attributes:
        prediction: of the model.
        enhanced: (4R, 4R, 3) float32 in [0, 1], the predicted face by the enhancer at full power; None: not asked.
        src_segment, dst_segment: (256, 256) float32 in [0, 1], XSeg of the predicted face and of the old one.
    """

    prediction: Prediction
    enhanced: NDArray | None = None
    src_segment: NDArray | None = None
    dst_segment: NDArray | None = None


def ask_networks(tools: FaceTools, questions: Sequence[FaceQuestion], settings: MergeSettings) -> list[FaceAnswer]:
    """Asks about all faces of a frame at once."""
    predictions = predict_by_factor(
        [q.pixels for q in questions],
        [morph_factor(q, settings) for q in questions],
        lambda faces, factor: tools.predict_faces(np.stack(faces), factor),
    )
    return complete_answers(tools, questions, predictions, settings)


def morph_factor(question: FaceQuestion, settings: MergeSettings) -> float:
    """How far a face is morphed. settings: of its frame."""
    return (question.settings or (settings,))[0].morph_factor


def predict_by_factor(
    faces: Sequence[NDArray],
    factors: Sequence[float],
    predict: Callable[[Sequence[NDArray], float], Sequence[Prediction]],
) -> list[Prediction]:
    """Predictions of faces in their order, asking for those of one morph factor together."""
    found: dict[int, Prediction] = {}
    for factor in dict.fromkeys(factors):
        places = [place for place, other in enumerate(factors) if other == factor]
        found.update(zip(places, predict([faces[place] for place in places], factor), strict=True))
    return [found[place] for place in range(len(faces))]


def complete_answers(
    tools: FaceTools, questions: Sequence[FaceQuestion], predictions: Sequence[Prediction], settings: MergeSettings
) -> list[FaceAnswer]:
    """Adds to the model's predictions what the other networks say, where the settings want to hear it.

    Args:
        settings: of the faces that have none of their own.
    """
    answers = [FaceAnswer(prediction) for prediction in predictions]
    wanted = [question.settings or (settings,) for question in questions]
    for place, settings_of_face in enumerate(wanted):
        enhancing = next((one for one in settings_of_face if one.enhances), None)
        if enhancing is not None:
            assert tools.enhance is not None
            correct = enhancing.sr_range == "correct" and not enhancing.is_classical
            enhanced = tools.enhance(np.clip(predictions[place].face, 0.0, 1.0), correct)
            answers[place] = dataclasses.replace(answers[place], enhanced=enhanced)
    old = [place for place, several in enumerate(wanted) if any(one.segments_old_face for one in several)]
    for place, segment in _segments(tools, old, [questions[place].around for place in old]):
        answers[place] = dataclasses.replace(answers[place], dst_segment=segment)
    new = [place for place, several in enumerate(wanted) if any(one.segments_new_face for one in several)]
    look = _classical_look if settings.is_classical else _look
    seen = [look(questions[place], answers[place], wanted[place][0]) for place in new]
    for place, segment in _segments(tools, new, seen):
        answers[place] = dataclasses.replace(answers[place], src_segment=segment)
    return answers


def _segments(tools: FaceTools, places: Sequence[int], seen: Sequence[NDArray | None]) -> Iterator[tuple[int, NDArray]]:
    """What XSeg says of the faces at these places, asked about together."""
    pictures = [picture for picture in seen if picture is not None]
    if not pictures:
        return
    assert tools.segment is not None
    segments = np.clip(tools.segment(np.stack(pictures)), 0.0, 1.0).astype(np.float32)
    segments[segments < _FAINTEST_SEGMENT] = 0.0
    yield from zip(places, segments, strict=True)


def _look(question: FaceQuestion, answer: FaceAnswer, _: MergeSettings) -> NDArray:
    """The predicted face as XSeg wants to see it: laid over the frame where its square shows more than the model's."""
    face, matrix = np.clip(answer.prediction.face, 0.0, 1.0), question.face_to_segment
    shown = np.clip(warp(face, matrix, SEGMENT_SIDE, "cubic", "replicate"), 0.0, 1.0)
    assert question.around is not None
    covered = warp(np.ones(face.shape[:2], np.float32), matrix, SEGMENT_SIDE, "linear", "constant")[..., None]
    return question.around + (shown - question.around) * covered


def _classical_look(_: FaceQuestion, answer: FaceAnswer, settings: MergeSettings) -> NDArray:
    """The finished face, resized. Source: spec merging 3.4."""
    face = classical_face(answer, settings)
    return cv2.resize(face, (SEGMENT_SIDE, SEGMENT_SIDE), interpolation=cv2.INTER_CUBIC)


def classical_face(answer: FaceAnswer, settings: MergeSettings) -> NDArray[np.float32]:
    """The predicted face at S: R, or with super resolution 4R, both resized by corners. Source: spec merging 3.3."""
    face = np.clip(answer.prediction.face, 0.0, 1.0)
    if answer.enhanced is None:
        return face
    side = answer.enhanced.shape[0]
    share = np.float32(settings.super_resolution_power / 100)
    plain = cv2.resize(face, (side, side), interpolation=cv2.INTER_LINEAR)
    return np.clip(plain * (1 - share) + answer.enhanced * share, 0.0, 1.0)


def seen_by_model(segment: NDArray, face_to_segment: NDArray, side: int) -> NDArray[np.float32]:
    """XSeg's answer in the model's square: (side, side) float32 in [0, 1]; 0 where XSeg saw nothing of it."""
    placed = warp(segment, invert_affine(face_to_segment), side, "cubic", "constant")
    return np.clip(placed, 0.0, 1.0, out=placed)
