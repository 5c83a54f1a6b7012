"""A trained model on disk, a small class of settings, and somebody who answers: for the tests of `train`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from core import console
from core.asking import TerminalAsker
from core.options import Options, option
from core.paths import Workspace
from mainscripts.answers import Talk
from mainscripts.train_options import TrainOptions
from models.checkpoint import CheckpointStore
from models.checkpoint_files import TrainingState
from tests.models.fake_model import FakeModel


@dataclass(kw_only=True)
class TinyOptions(Options):
    """What a tiny model remembers."""

    target_iter: int = option(0, "Target iteration", low=0)
    write_preview_history: bool = option(False, "Write preview history")
    batch_size: int = option(4, "Batch size", low=1, high=256, help="Faces per step.")
    resolution: int = option(128, "Resolution", low=64, high=640, fixed=True)
    power: float = option(0.0, "Power", low=0.0, high=1.0)
    patch: int = option(lambda o: o.resolution // 8, "Patch", low=3, when=lambda o: o.power > 0)
    pretrain: bool = option(False, "Pretraining")


@pytest.fixture
def tiny(monkeypatch: pytest.MonkeyPatch) -> type[TinyOptions]:
    """Models of the class Quick96 have the settings of TinyOptions."""
    for user in ("models.registry", *(f"mainscripts.train_{name}" for name in ("questions", "summary", "pretraining"))):
        monkeypatch.setattr(f"{user}.options_class", lambda class_name: TinyOptions)
    return TinyOptions


def save_model(models: Path, name: str, iterations: int = 3, class_name: str = "Quick96", **values: Any) -> Path:
    """A model that was trained that long; returns its folder."""
    state = TrainingState(seed=5, options=values)
    for n in range(iterations):
        state.history.append({"src_loss": 1.0 / (n + 1), "dst_loss": 0.5})
    folder = models / f"{name}_{class_name}"
    CheckpointStore(folder).save(FakeModel().export_state(), state)
    return folder


class Person:
    """Types these lines, one per question; keeps the questions, and what was said."""

    def __init__(self, *lines: str) -> None:
        self.questions: list[str] = []
        self.said: list[str] = []
        self._lines = iter(lines)
        self.asker = TerminalAsker(self._read, self.said.append)

    def _read(self, prompt: str) -> str:
        self.questions.append(prompt)
        return next(self._lines)

    @property
    def labels(self) -> list[str]:
        """The questions without defaults and hints."""
        return [q.split(" (")[0].split(" :")[0].split("] ")[-1] for q in self.questions]


def talk(workspace: Path, person: Person | None = None, own: Sequence[str] = (), **given: Any) -> Talk:
    """What settling gets."""
    return Talk(Workspace(workspace), given, (), own, person.asker if person is not None else None)


def train_options(model_dir: Path, **given: Any) -> TrainOptions:
    """Flags, and settings of the model as `values`."""
    values = given.pop("values", {})
    return replace(TrainOptions.of(model_dir=model_dir, **given), model_values=values)


def enter_is(monkeypatch: pytest.MonkeyPatch, pressed: bool) -> list[str]:
    """Decides the question of two seconds; returns a list of how it was asked."""
    asked: list[str] = []

    def answer(seconds: int, question: str) -> bool:
        asked.append(question)
        return pressed

    monkeypatch.setattr(console, "pressed_enter_within", answer)
    return asked
