"""Where the locks of merges lie, and what they keep apart."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import FaceLoomError
from merger.merge_lock import lock_of, lock_results, refuse_while_merging


def test_the_lock_is_in_a_folder_and_beside_a_video() -> None:
    assert lock_of(Path("data_dst/merged")) == Path("data_dst/merged/.merge.lock")
    assert lock_of(Path("result.MP4")) == Path(".result.MP4.lock")


def test_one_folder_in_common_is_enough_to_be_refused_and_nothing_stays_held(odd_folder: Path) -> None:
    merged, masks, others = (odd_folder / name for name in ("merged", "merged_mask", "others"))
    with lock_results(merged, masks):
        for folder in (merged, masks):
            with pytest.raises(FaceLoomError, match=rf"writing into .*{folder.name} right now \(process \d+"):
                refuse_while_merging(folder)
        with pytest.raises(FaceLoomError, match="merged_mask right now"), lock_results(others, masks):
            pass
        with lock_results(others):
            pass
    with lock_results(merged, masks, others):
        pass
