"""From a patch size to the layers of the discriminator that judges such patches. Source: spec models 3.3."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from itertools import product

_MOST_LAYERS = 9


def receptive_field(strides: Sequence[int]) -> int:
    """The side in pixels of what one output of 3x3 convolutions with these strides, in order, depends on."""
    field, step = 1, 1
    for stride in strides:
        field += 2 * step
        step *= stride
    return field


def solve_patch_size(patch_size: int) -> tuple[int, ...]:
    """The strides whose receptive field is nearest to a patch size; of two as near, the smaller field's."""
    fields = _reachable_fields()
    return fields[min(fields, key=lambda field: (abs(field - patch_size), field))]


@cache
def _reachable_fields() -> dict[int, tuple[int, ...]]:
    """Receptive field -> the strides for it: one to nine layers, the first of stride 2, further ones of 1 or 2.

    Of several ways the one with the fewest layers, then with the largest sum of strides, then the first in order: last
    layers vary slowest, 2 before 1.
    """
    best: dict[int, tuple[int, ...]] = {}
    for further in range(_MOST_LAYERS):
        for reversed_tail in product((2, 1), repeat=further):
            strides = (2, *reversed(reversed_tail))
            field = receptive_field(strides)
            known = best.get(field)
            if known is None or (len(known) == len(strides) and sum(strides) > sum(known)):
                best[field] = strides
    return best


def level_widths(dims: int, levels: int) -> list[int]:
    """Channels before the first and after each of the levels: each twice as many as before, 512 at most."""
    return [min(dims * 2**level, 512) for level in range(levels + 1)]


def code_widths(grid: int) -> list[int]:
    """Channels of the code discriminator's convolutions: every eight pixels of the codes' grid are one more."""
    return [256 * min(2**k, 8) for k in range(1 + grid // 8)]
