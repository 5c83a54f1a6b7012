"""The solver against its table (spec models 3.3) and against a search of its own."""

from __future__ import annotations

import pytest

from models.patch_solver import code_widths, level_widths, receptive_field, solve_patch_size

# receptive field -> strides, as tabulated
TABLE = {
    3: "2", 7: "22", 11: "212", 15: "222", 19: "2122", 23: "2212", 27: "21212", 31: "2222", 35: "21222", 39: "22122",
    43: "212122", 47: "22212", 51: "212212", 55: "221212", 59: "2121212", 63: "22222", 67: "212222", 71: "221222",
    75: "2121222", 79: "222122", 83: "2122122", 87: "2212122", 91: "21212122", 95: "222212", 127: "222222",
    159: "2222122", 191: "2222212", 255: "2222222", 319: "22222122", 511: "22222222", 639: "222222122",
}  # fmt: skip


@pytest.mark.parametrize("field", TABLE)
def test_solver_table(field: int) -> None:
    strides = tuple(int(digit) for digit in TABLE[field])
    assert receptive_field(strides) == field
    assert solve_patch_size(field) == strides


def seen_pixels(strides: tuple[int, ...]) -> int:
    """The receptive field, found by following one output's window back to the picture."""
    first = last = 0
    for stride in reversed(strides):
        first, last = first * stride - 1, last * stride + 1
    return last - first + 1


def test_solver_against_a_search_of_its_own() -> None:
    """All candidates in one list, sorted by the rules: field, layers, sum of strides, bits from all ones downwards."""
    candidates = []
    for layers in range(1, 10):
        for bits in range(2 ** (layers - 1)):
            strides = (2, *(2 if bits >> k & 1 else 1 for k in range(layers - 1)))
            candidates.append((seen_pixels(strides), layers, -sum(strides), -bits, strides))
    best = {}
    for candidate in sorted(candidates, reverse=True):
        best[candidate[0]] = candidate[-1]  # the last one written is the smallest
    assert len(best) == 88
    assert {field % 4 for field in best} == {3}
    assert (min(best), max(best)) == (3, 1023)
    for patch in range(1, 1100):
        nearest = min(sorted(best), key=lambda field: abs(field - patch))
        assert solve_patch_size(patch) == best[nearest], patch


@pytest.mark.parametrize(
    ("resolution", "field"), [(128, 15), (224, 27), (256, 31), (320, 39), (384, 47), (512, 63), (640, 79)]
)
def test_default_patch_sizes(resolution: int, field: int) -> None:
    assert receptive_field(solve_patch_size(resolution // 8)) == field


def test_widths() -> None:
    assert level_widths(16, 3) == [16, 32, 64, 128]
    assert level_widths(100, 5) == [100, 200, 400, 512, 512, 512]
    assert level_widths(512, 1) == [512, 512]
    assert code_widths(4) == [256]
    assert code_widths(40) == [256, 512, 1024, 2048, 2048, 2048]
