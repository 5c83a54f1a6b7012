"""The flags of `train`: what the loop gets to know, and what of it the model's settings decide."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import BadOption
from core.paths import Workspace
from mainscripts.train_options import TrainOptions, check_flags, history_iterations, parse_duration, training_settings
from tests.mainscripts.trained import save_model

HABITS = {"target_iter": 1000, "autobackup_hour": 2, "write_preview_history": True}


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("8h", 28800),
        ("1h30m", 5400),
        ("1h 30m".replace(" ", ""), 5400),
        ("1,5h", 5400),
        ("2", 120),
    ],
)
def test_times(text: str, seconds: float) -> None:
    assert parse_duration(text, "stop-after") == seconds


@pytest.mark.parametrize("text", ["", "0", "h", "tomorrow", "-5m", "5x", "1h2h"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(BadOption, match=r"--save-every must be a time such as .* Received"):
        parse_duration(text, "save-every")


def test_the_models_habits_hold_unless_a_flag_says_otherwise() -> None:
    settings = training_settings(TrainOptions.of(), HABITS)
    assert (settings.target_iteration, settings.backup_seconds, settings.save_seconds) == (1000, 7200.0, 1500.0)
    session = TrainOptions.of(target_iteration=0, autobackup_hour=0.5, preview_history=7, preview=False)
    settings = training_settings(session, HABITS)
    assert (settings.target_iteration, settings.backup_seconds, settings.preview_iterations) == (0, 1800.0, 0)
    assert history_iterations(session, HABITS, 128) == 7


@pytest.mark.parametrize(("resolution", "every"), [(96, 10), (64, 10), (128, 20), (224, 30), (640, 100)])
def test_the_preview_history_is_kept_more_rarely_for_larger_faces(resolution: int, every: int) -> None:
    assert history_iterations(TrainOptions.of(), HABITS, resolution) == every
    assert history_iterations(TrainOptions.of(), {}, resolution) == 0


def test_programs_are_refused_with_what_replaces_them() -> None:
    with pytest.raises(BadOption, match=r"not supported.*--save-every"):
        check_flags(TrainOptions.of(execute_program="-60 self.model_save()"))
    with pytest.raises(BadOption, match="--stop-after must be a time"):
        check_flags(TrainOptions.of(stop_after="soon"))


def test_which_folder(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    assert TrainOptions.of().chosen_folder(workspace) == workspace.model / "new_Quick96"
    save_model(workspace.model, "first")
    assert TrainOptions.of().chosen_folder(workspace) == workspace.model / "first_Quick96"
    assert TrainOptions.of(model_name="b").chosen_folder(workspace) == workspace.model / "b_Quick96"
    assert TrainOptions.of(model_name="b", force_model_name="c").chosen_name(workspace) == "c"
