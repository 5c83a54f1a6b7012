"""Shared fixtures, and the rules tests here follow.

- A test reads like a small demo of what it tests; those in `walkthroughs/` open with "Demonstrate".
- Expected numbers are worked out outside the code under test.
- A regression test fails when the fix is taken out.
- No reaching into internals where the outside shows the same.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    # A shell lets what it starts in the background ignore Ctrl-C; the tests that press it need it heard.
    signal.signal(signal.SIGINT, signal.default_int_handler)

REPOSITORY = Path(__file__).resolve().parent.parent


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
