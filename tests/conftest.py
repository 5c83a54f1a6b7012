"""Shared fixtures, and the rules tests here follow.

- A test reads like a small demo of what it tests; those in `walkthroughs/` open with "Demonstrate".
- Expected numbers are worked out outside the code under test.
- A regression test fails when the fix is taken out.
- No reaching into internals where the outside shows the same.
"""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell lets what it starts in the background ignore Ctrl-C; the tests that press it need it heard.
    signal.signal(signal.SIGINT, signal.default_int_handler)

_MUCH = 200 << 20  # bytes

_this_process = psutil.Process()
_settled_bytes = _this_process.memory_info().rss

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def memory_given_back() -> Iterator[None]:
    """Collects what tests leave behind once it is much: networks refer to themselves, so Python keeps them long."""
    global _settled_bytes
    yield
    if _this_process.memory_info().rss - _settled_bytes > _MUCH:
        gc.collect()
        _settled_bytes = _this_process.memory_info().rss


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real clips beside the repository; tests that use it are skipped where it is absent."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not (folder / "clips").is_dir():
        pytest.skip("the shared clips are not here")
    return folder


@pytest.fixture
def odd_folder(tmp_path: Path) -> Path:
    """A folder whose name has blanks, an ampersand, parentheses, accents and Chinese letters."""
    folder = tmp_path / "a b & (é) 工作 空间"
    folder.mkdir()
    return folder
