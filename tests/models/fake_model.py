"""A model of eight numbers that learns the mean color of its batches, and batches to go with it: no framework.

Everything about it is exact and repeatable, so a training of it can be compared number by number.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from core.errors import FaceLoomError
from core.progress import SilentProgress
from facelib.face_type import FaceType
from facelib.prediction import Prediction
from models.base import Reconstruction, State, SwapModel
from models.preview import PreviewFaces
from models.schedule import TrainingCommand
from samplelib.augmentation import SampleSettings
from samplelib.batches import FaceBatch, TrainingBatch

SIDE = 16


class FakeModel(SwapModel):
    """Sees every third batch twice, as Quick96 does.

    Attributes:
        trouble: called with the number of the batch before a step; what it returns are the losses instead.
        seen: the numbers of the batches, in order.
        clipping: whether `limit_gradients` was called.
    """

    name = "Fake"
    resolution = SIDE
    face_type = FaceType.FULL
    batch_size = 2

    def __init__(self, seed: int = 0, size: int = 8, extra: Sequence[str] = ()) -> None:
        """`extra`: parts that an option has switched on; they may be saved in another shape."""
        self.src_settings = self.dst_settings = SampleSettings(SIDE, FaceType.FULL)
        self.seen: list[int] = []
        self.clipping = False
        self.trouble: Callable[[int], dict[str, float] | None] = lambda number: None
        self._seed = seed
        self._size = size
        self._extra = tuple(extra)
        self._state: State = {}
        for part in self.part_names:
            self._state[part] = self._fresh(part)

    def _fresh(self, part: str) -> dict[str, np.ndarray]:
        if part == "optimizer":
            return {"iterations": np.array(0, np.int64), "encoder/speed": np.zeros(self._size, np.float32)}
        rng = np.random.default_rng([self._seed, len(part)])
        return {"down/weight": rng.random(self._size, np.float32), "bias": np.zeros((2, 2), np.float32)}

    @property
    def part_names(self) -> Sequence[str]:
        return ["encoder", "decoder_src", *self._extra, "optimizer"]

    @property
    def replaceable_parts(self) -> Sequence[str]:
        return self._extra

    @property
    def iteration(self) -> int:
        return int(self._state["optimizer"]["iterations"])

    def count_from_zero(self) -> None:
        self._state["optimizer"]["iterations"] = np.array(0, np.int64)

    def batch_number(self, iteration: int) -> int:
        return iteration - iteration // 3

    def train_step(self, batch: TrainingBatch) -> dict[str, float]:
        self.seen.append(batch.iteration)
        losses = self.trouble(batch.iteration)
        if losses is not None and not all(np.isfinite(list(losses.values()))):
            return losses
        optimizer, weight = self._state["optimizer"], self._state["encoder"]["down/weight"]
        gap = np.float32(batch.src.target.mean() / 255.0) - weight
        optimizer["encoder/speed"] = 0.9 * optimizer["encoder/speed"] + 0.1 * gap
        optimizer["iterations"] = np.array(self.iteration + 1, np.int64)
        self._state["encoder"]["down/weight"] = (weight + optimizer["encoder/speed"]).astype(np.float32)
        loss = float(np.mean(gap * gap))
        return losses if losses is not None else {"src_loss": loss, "dst_loss": loss / 2}

    def limit_gradients(self) -> bool:
        new, self.clipping = not self.clipping, True
        return new

    def spoil(self) -> None:
        """Makes a weight infinite, as an overflow would."""
        self._state["encoder"]["down/weight"][3] = np.inf

    def reconstruct(self, src: np.ndarray, dst: np.ndarray) -> Reconstruction:
        def unit(faces: np.ndarray) -> np.ndarray:
            return np.asarray(faces, np.float32) / 255.0

        mask = np.ones((len(src), SIDE, SIDE, 1), np.float32)
        return Reconstruction(unit(src), mask, unit(dst), 0.5 * mask, unit(dst)[:, ::-1], 0.5 * mask)

    def predict(self, faces: np.ndarray) -> list[Prediction]:
        mask = np.ones((SIDE, SIDE), np.float32)
        return [Prediction(face, mask, mask) for face in faces]

    def export_state(self) -> State:
        return {part: {name: np.array(t) for name, t in tensors.items()} for part, tensors in self._state.items()}

    def import_state(self, part: str, tensors: Mapping[str, np.ndarray]) -> None:
        mine = self._state[part]
        wrong = [n for n in {*mine, *tensors} if n not in mine or n not in tensors or mine[n].shape != tensors[n].shape]
        if wrong:
            raise FaceLoomError(f"{part}: tensors that do not fit: {', '.join(sorted(wrong))}.")
        self._state[part] = {name: np.array(tensor) for name, tensor in tensors.items()}

    def reset_part(self, part: str) -> None:
        self._state[part] = self._fresh(part)


class FakeBatches:
    """An endless stream whose batch depends on seed and number alone."""

    def __init__(self, seed: int, first_iteration: int = 0) -> None:
        self.seconds_waited = 0.0
        self._seed = seed
        self._next = first_iteration

    def __iter__(self) -> FakeBatches:
        return self

    def __next__(self) -> TrainingBatch:
        number, self._next = self._next, self._next + 1
        self.seconds_waited += 0.25
        return TrainingBatch(fake_faces(self._seed, number, 0), fake_faces(self._seed, number, 1), number)


def fake_faces(seed: int, number: int, side: int) -> FaceBatch:
    """Two faces of one color each, with a mask and no eyes."""
    colors = np.random.default_rng([seed, number, side]).integers(0, 256, (2, 1, 1, 3), np.uint8)
    faces = np.ascontiguousarray(np.broadcast_to(colors, (2, SIDE, SIDE, 3)))
    return FaceBatch(255 - faces, faces, np.full((2, SIDE, SIDE, 1), 255, np.uint8), None, np.arange(2))


def fake_pages(page: int) -> PreviewFaces:
    """Four faces a page."""
    faces = np.full((4, SIDE, SIDE, 3), 10 * (page % 20), np.uint8)
    mask = np.full((4, SIDE, SIDE, 1), 255, np.uint8)
    return PreviewFaces(faces, mask, faces, mask)


class Script:
    """Commands that come at given iterations; remembers the lines shown."""

    def __init__(self, model: SwapModel, at: Mapping[int, Sequence[TrainingCommand]] | None = None) -> None:
        self.lines: list[str] = []
        self._model = model
        self._at = dict(at or {})

    def read(self) -> list[TrainingCommand]:
        return list(self._at.pop(self._model.iteration, ()))

    def show(self, line: str) -> None:
        if line:
            self.lines.append(line)


class Said(SilentProgress):
    """Progress that remembers what was said."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def say(self, text: str) -> None:
        self.texts.append(text)

    @property
    def all(self) -> str:
        return "\n".join(self.texts)
