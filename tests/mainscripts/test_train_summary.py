"""The box of a training: framed, whole, and honest about pretraining."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from core.options import Options, option
from mainscripts.train_summary import box, closing_words, setting_rows, spoken, write_summary
from models.checkpoint import CheckpointStore
from models.report import TrainingReport


@dataclass(kw_only=True)
class ShyOptions(Options):
    """Settings that pretraining overrules."""

    power: float = option(0.5, "Power")
    warp: bool = option(True, "Warp")
    pretrain: bool = option(False, "Pretraining")

    @property
    def in_effect(self) -> ShyOptions:
        return replace(self, power=0.0) if self.pretrain else self


def test_the_frame_is_straight() -> None:
    text = box([("Model", [("name", "a"), ("a longer name", "value")]), ("Running on", [("Device", "工")])])
    lines = text.splitlines()
    assert len({len(line) for line in lines}) == 1
    assert " Model " in lines[0]
    assert lines[1] == "==          name: a     =="
    assert lines[3].strip("-") == " Running on "
    assert set(lines[-1]) == {"="}


def test_every_setting_is_there_and_pretraining_says_what_it_overrules(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mainscripts.train_summary.options_class", lambda class_name: ShyOptions)
    assert setting_rows("Any", {"warp": False}) == [("power", "0.5"), ("warp", "n"), ("pretrain", "n")]
    assert setting_rows("Any", {"pretrain": True})[0] == ("power", "0.0 (pretraining; else 0.5)")


def test_it_is_kept_beside_the_checkpoint(odd_folder: Path) -> None:
    assert write_summary(odd_folder, "text").read_text("utf-8") == "text\n"


@pytest.mark.parametrize(
    ("iterations", "pace", "words"),
    [(6, 0.115, "6 iterations in 1 min 15 s, 115 ms each after the first; "), (1, None, "1 iteration in 1 min 15 s; ")],
)
def test_the_closing_words_do_not_count_compiling_as_speed(
    tmp_path: Path, iterations: int, pace: float | None, words: str
) -> None:
    report = TrainingReport(9, {}, {}, 75.0, 0.75, iterations, 75.0, 0.75, 0, (), "asked to stop", pace)
    said = closing_words(report, CheckpointStore(tmp_path)).splitlines()
    assert said[0].startswith("Stopped at iteration 9: asked to stop.")
    assert said[1] == f"{words}0.8 s (1%) of it waiting for samples."
    assert said[2] == "Nothing was saved."


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(90, "1 min 30 s"), (7500, "2 h 5 min"), (86400 * 3 + 3600 * 4, "3 days 4 h"), (43.9, "43 s")],
)
def test_times_are_spoken(seconds: float, words: str) -> None:
    assert spoken(seconds) == words
