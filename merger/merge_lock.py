"""One merge per result: it holds a lock (core/lock.py) as long as it renders, `.merge.lock` in a folder of finished
frames, `.<name>.lock` beside a video.

Two would take turns at the same files and journal. A video is not made of a folder meanwhile either (step 8): some of
its frames are of this merge, and some of the one before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from core.errors import FaceLoomError
from core.lock import hold, refuse_while_held
from core.video.segments import CONTAINERS


def lock_of(result: Path) -> Path:
    """The file of the lock. result: a folder of finished frames or of masks, or a video."""
    is_video = result.suffix.casefold() in CONTAINERS
    return result.with_name(f".{result.name}.lock") if is_video else result / ".merge.lock"


@contextlib.contextmanager
def lock_results(*results: Path) -> Iterator[None]:
    """Holds the results for the length of the block; their folders are made when missing.

    Raises:
        FaceLoomError: another merge holds one of them, or it cannot be written.
    """
    with contextlib.ExitStack() as held:
        for result in results:
            held.enter_context(hold(lock_of(result), partial(_in_use, result)))
        yield


def refuse_while_merging(folder: Path) -> None:
    """FaceLoomError while a merge writes into this folder."""
    refuse_while_held(lock_of(folder), partial(_in_use, folder))


def _in_use(result: Path, owner: str) -> FaceLoomError:
    return FaceLoomError(
        f"A merge is writing into {result} right now{owner}.",
        "Wait until it is done, or stop it first (Ctrl-C keeps what is finished).",
    )
