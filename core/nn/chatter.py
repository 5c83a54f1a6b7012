"""Keeps what native libraries print while they start out of the user's sight, and shows it if they fail to start.

The neural framework writes to file descriptor 2 behind Python's back (which instructions it was built for, which CUDA
libraries it looked for), before its own log levels apply. None of it is news to somebody who asked for a face.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def held_back() -> Iterator[None]:
    """Standard error goes to a temporary file inside; if an exception leaves, what was said follows it out."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        kept = os.dup(2)
    except OSError:  # no standard error at all, as under a windowed launcher
        yield
        return
    with tempfile.TemporaryFile() as said:
        try:
            _flush()
            os.dup2(said.fileno(), 2)
            try:
                yield
            finally:
                _flush()
                os.dup2(kept, 2)
        except BaseException:
            said.seek(0)
            os.write(2, said.read())
            raise
        finally:
            os.close(kept)


def _flush() -> None:
    if sys.stderr is not None:
        sys.stderr.flush()
