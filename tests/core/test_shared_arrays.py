"""Arrays that several processes see."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from core.errors import FaceLoomError
from core.shared_arrays import SharedArrays, SharedHandle, _NamelessBlock, layout_bytes

ROOT = Path(__file__).resolve().parents[2]
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
    def refuse(*_: object, **named: object) -> None:
        raise OSError("The paging file is too small")

    monkeypatch.setattr(_NamelessBlock, "create", refuse)
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


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a block has a name until it is attached")
def test_a_block_never_has_a_name_so_a_kill_at_any_moment_leaves_nothing() -> None:
    size = 1234560
    code = (
        "import os, signal; from core.shared_arrays import SharedArrays\n"
        f"arrays = SharedArrays.create({{'a': (({size},), 'uint8')}}); arrays['a'][:] = 1\n"
        "os.killpg(0, signal.SIGKILL)"  # the tracker of shared memory, too, if there is one
    )
    killed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, start_new_session=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path.name for path in Path("/dev/shm").iterdir() if path.stat().st_size == size] == []


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="elsewhere a block has a name")
def test_another_file_under_the_number_of_a_block_is_not_taken_for_it(tmp_path: Path) -> None:
    arrays = SharedArrays.create(LAYOUT)
    handle = arrays.handle
    arrays.close()
    number = int(handle.block.rpartition(":")[0].rpartition("/")[2])
    (tmp_path / "other").write_bytes(bytes(layout_bytes(LAYOUT)))
    other = os.open(tmp_path / "other", os.O_RDWR)
    os.dup2(other, number)
    with pytest.raises(FileNotFoundError):
        SharedArrays.attach(handle)
    os.close(other)
    if number != other:
        os.close(number)


def test_where_the_system_has_no_nameless_files_a_block_has_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(size: int) -> _NamelessBlock:
        raise OSError("not here")

    monkeypatch.setattr(_NamelessBlock, "create", refuse)
    arrays = SharedArrays.create(LAYOUT)
    other = SharedArrays.attach(arrays.handle)
    arrays["numbers"][:] = [1, 2, 3, 4]
    np.testing.assert_array_equal(other["numbers"], [1, 2, 3, 4])
    other.close()
    arrays.close()
