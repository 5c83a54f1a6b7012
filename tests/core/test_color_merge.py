"""Color statistics as merging asks for them: pixels chosen by a mask of bool."""

from __future__ import annotations

import numpy as np
import pytest

from core.color import bgr_to_lab, lab_statistics


@pytest.mark.parametrize("share", [0.001, 0.4, 1.0])
def test_a_mask_that_chooses_pixels_measures_exactly_those(share: float) -> None:
    rng = np.random.default_rng(8)
    picture = rng.random((40, 50, 3), dtype=np.float32)
    chosen = rng.random((40, 50)) < share
    chosen[3, 7] = True
    values = bgr_to_lab(picture)[chosen].astype(np.float64)
    found = lab_statistics(picture, chosen)
    assert found.mean.shape == found.std.shape == (3,)
    assert found.mean == pytest.approx(values.mean(axis=0), abs=1e-9)
    # One pass over squares of up to 1e4 in float64 leaves 1e-12 of variance.
    assert found.std == pytest.approx(values.std(axis=0), abs=1e-5)
    weighted = lab_statistics(picture, chosen.astype(np.float32))
    assert found.mean == pytest.approx(weighted.mean, abs=1e-9)
    assert found.std == pytest.approx(weighted.std, abs=1e-5)


def test_a_mask_that_chooses_nothing_counts_as_none() -> None:
    picture = np.random.default_rng(9).random((8, 8, 3), dtype=np.float32)
    nothing = lab_statistics(picture, np.zeros((8, 8), bool))
    assert nothing.mean == pytest.approx(lab_statistics(picture).mean)
