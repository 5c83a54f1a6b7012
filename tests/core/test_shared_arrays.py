"""Arrays that several processes see."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest

from core.errors import FaceLoomError
from core.shared_arrays import SharedArrays, SharedHandle, layout_bytes

LAYOUT = {"pictures": ((3, 5, 7), "uint8"), "empty": ((0, 2), "float64"), "numbers": ((4,), "float64")}


def _double(handle: SharedHandle) -> None:
    arrays = SharedArrays.attach(handle)
    arrays["numbers"][:] *= 2
    arrays.close()


def test_another_process_sees_and_changes_the_arrays() -> None:
    arrays = SharedArrays.create(LAYOUT)
    assert not arrays["pictures"].any()
    arrays["numbers"][:] = [1, 2, 3, 4]
    arrays["pictures"][:] = 255
    process = multiprocessing.get_context("spawn").Process(target=_double, args=(arrays.handle,))
    process.start()
    process.join(30)
    assert process.exitcode == 0
    np.testing.assert_array_equal(arrays["numbers"], [2, 4, 6, 8])
    assert (arrays["pictures"] == 255).all()
    arrays.close()


def test_closing_gives_the_memory_back_and_may_be_repeated() -> None:
    arrays = SharedArrays.create(LAYOUT)
    handle = arrays.handle
    arrays.close()
    arrays.close()
    with pytest.raises(FileNotFoundError):
        SharedArrays.attach(handle)


def test_private_arrays_have_no_handle() -> None:
    arrays = SharedArrays.private(LAYOUT)
    assert arrays["numbers"].shape == (4,)
    assert "pictures" in arrays
    assert "other" not in arrays
    with pytest.raises(ValueError, match="one process"):
        _ = arrays.handle


def test_arrays_begin_at_multiples_of_64_bytes() -> None:
    assert layout_bytes(LAYOUT) == 128 + 0 + 64  # 105 and 32 bytes, rounded up


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="this system has no separate limit on shared memory")
def test_more_than_there_is_gets_a_sentence() -> None:
    with pytest.raises(FaceLoomError, match="shared memory"):
        SharedArrays.create({"huge": ((1 << 50,), "uint8")})


def test_a_system_that_gives_no_memory_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**named: object) -> None:
        raise OSError("The paging file is too small")

    monkeypatch.setattr("core.shared_arrays.SharedMemory", refuse)
    with pytest.raises(FaceLoomError, match=r"bytes of shared memory are needed.*paging file is too small"):
        SharedArrays.create(LAYOUT)


def test_a_forgotten_name_leaves_the_memory_to_those_who_use_it() -> None:
    arrays = SharedArrays.create(LAYOUT)
    other = SharedArrays.attach(arrays.handle)
    handle = arrays.handle
    arrays.forget_name()
    arrays.forget_name()
    arrays["numbers"][:] = [1, 2, 3, 4]
    np.testing.assert_array_equal(other["numbers"], [1, 2, 3, 4])
    if os.name != "nt":
        with pytest.raises(FileNotFoundError):
            SharedArrays.attach(handle)
    other.close()
    arrays.close()
