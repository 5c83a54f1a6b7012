"""Shots: films are divided at cuts, photos are no film."""

from __future__ import annotations

import numpy as np
import pytest

from core.shots import film_and_number, find_shots, glance, say_runs
from tests.painting import paint_background


def _names(count: int, step: int = 1, film: str = "") -> list[str]:
    return [f"{film}{step * n:05d}.png" for n in range(1, count + 1)]


def _scene(seed: int, count: int) -> list[np.ndarray]:
    """A background that drifts by two pixels a frame."""
    wide = paint_background(400, 200, seed)
    return [glance(wide[:, 2 * n : 2 * n + 320]) for n in range(count)]


def _shots(names: list[str], glances: list, size: tuple[int, int] = (320, 200)) -> list[int]:
    return find_shots(names, glances, [None if g is None else size for g in glances]).shots.tolist()


def test_a_glance_is_the_mean_of_its_fields() -> None:
    frame = np.zeros((80, 160, 3), np.uint8)
    frame[:10, :20] = (10, 20, 30)
    small = glance(frame)
    assert small.shape == (8, 8, 3)
    assert small[0, 0].tolist() == [10, 20, 30]
    assert small.sum() == 60


def test_a_film_without_a_cut_is_one_shot() -> None:
    assert _shots(_names(20), _scene(1, 20)) == [0] * 20


def test_a_cut_divides() -> None:
    assert _shots(_names(15), _scene(1, 10) + _scene(2, 5)) == [0] * 10 + [1] * 5


def test_one_flash_is_no_cut() -> None:
    glances = _scene(1, 12)
    glances[6] = np.full_like(glances[6], 255)
    assert _shots(_names(12), glances) == [0] * 12


def test_photos_in_a_row_are_shots_of_their_own() -> None:
    assert _shots(_names(5), [_scene(seed, 1)[0] for seed in range(5)]) == [0, 1, 2, 3, 4]


def test_names_that_do_not_count_on_are_no_film() -> None:
    scene = _scene(1, 6)
    assert _shots(["anna.jpg", "bea.jpg", "cleo.jpg"], scene[:3]) == [0, 1, 2]
    assert _shots([*_names(3, film="a_"), *_names(3, film="b_")], scene) == [0, 0, 0, 1, 1, 1]
    assert _shots(["00001.png", "00002.png", "00500.png"], scene[:3]) == [0, 0, 1]


@pytest.mark.parametrize("step", [1, 5])
def test_times_count_in_steps_of_the_numbering_and_show_what_is_missing(step: int) -> None:
    names = [name for n, name in enumerate(_names(8, step)) if n not in (3, 4)]
    shots = find_shots(names, _scene(1, 6), [(320, 200)] * 6)
    assert np.diff(shots.times).tolist() == [1, 1, 3, 1, 1]
    assert shots.shots.tolist() == [0] * 6


def test_an_unreadable_frame_ends_no_shot_and_hides_no_cut() -> None:
    glances = [*_scene(1, 4), None, *_scene(2, 3)]
    assert _shots(_names(8), glances) == [0, 0, 0, 0, 0, 1, 1, 1]
    assert _shots(_names(4), [_scene(1, 1)[0], None, None, _scene(1, 2)[1]]) == [0] * 4


def test_another_size_is_another_film() -> None:
    shots = find_shots(_names(4), _scene(1, 4), [(320, 200)] * 2 + [(640, 400)] * 2)
    assert shots.shots.tolist() == [0, 0, 1, 1]


def test_no_frames_have_no_shots() -> None:
    assert find_shots([], [], []).shots.shape == (0,)


@pytest.mark.parametrize(
    ("name", "film", "number"),
    [("00012.png", "*", 12), ("take 2_0007 b.png", "take 2_* b", 7), ("frame.png", "frame.png", None)],
)
def test_the_number_of_a_frame(name: str, film: str, number: int | None) -> None:
    assert film_and_number(name) == (film, number)


def test_runs_of_frames_in_words() -> None:
    names = ["00001.png", "00002.png", "00003.png", "00007.png", "still.png"]
    assert say_runs(names) == "00001.png to 00003.png (3), 00007.png, still.png"
    assert say_runs(names, 1) == "00001.png to 00003.png (3) and 2 more runs"
    assert say_runs(names[:3]) == "00001.png to 00003.png"
    assert say_runs(names[:1]) == "00001.png"
    assert say_runs(["1.png", "2.png", "4.png"]) == "1.png to 2.png (2), 4.png", "4 is there, 3 is not: no run"
    assert say_runs([]) == ""
