"""One process at a time: models/test_model_lock.py holds it against other processes, killed ones and odd disks."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.errors import FaceLoomError
from core.lock import hold, refuse_while_held


def in_use(owner: str) -> FaceLoomError:
    return FaceLoomError(f"In use{owner}.")


def test_a_lock_that_is_held_is_refused_and_looked_at_without_being_taken(odd_folder: Path) -> None:
    path = odd_folder / "deep" / "lock"
    refuse_while_held(path, in_use)
    assert not path.exists()
    with hold(path, in_use):
        for _ in range(2):
            with pytest.raises(FaceLoomError, match=r"In use \(process \d+ on .*, since .*\)\."):
                refuse_while_held(path, in_use)
        with pytest.raises(FaceLoomError, match="In use"), hold(path, in_use):
            pass
    refuse_while_held(path, in_use)
    with hold(path, in_use):
        pass


def test_it_is_given_back_whatever_ends_the_block(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), hold(tmp_path / "lock", in_use):
        raise KeyboardInterrupt
    refuse_while_held(tmp_path / "lock", in_use)
