"""Batches: the same bits whoever makes them, and what happens when faces or workers fail."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest

from core.errors import BadOption, FaceLoomError, MissingInput, ToolFailed
from core.images import encode_jpeg
from core.shared_arrays import Layout, SharedArrays
from facelib.face_type import FaceType
from facelib.metadata import write_face
from samplelib.augmentation import SampleSettings
from samplelib.batch_builder import BatchBuilder, batch_layout, plan_batches
from samplelib.batches import TrainingBatch, TrainingBatches, raw_faces, worker_counts
from samplelib.face_cache import cache_layout
from samplelib.faceset import Faceset, open_faceset
from tests.painting import paint_face, painted_metadata, write_painted_faceset

SRC = SampleSettings(
    32, FaceType.FULL, scale_range=(-0.15, 0.15), hsv_power=0.05, color_transfer="rct", uniform_yaw=True
)
DST = SampleSettings(48, FaceType.FULL, flip=True, eyes_mouth=True)
FIELDS = ("warped", "target", "mask", "eyes_mouth_mask", "indices")


@pytest.fixture(scope="module")
def facesets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Faceset, Faceset]:
    folder = tmp_path_factory.mktemp("facesets")
    write_painted_faceset(folder / "src", 9, 64)
    write_painted_faceset(folder / "dst", 7, 96, seed=50, with_masks=True)
    return open_faceset(folder / "src"), open_faceset(folder / "dst")


def collected(batches: TrainingBatches, count: int) -> list[TrainingBatch]:
    with batches:
        return [next(batches) for _ in range(count)]


def assert_equal(first: TrainingBatch, second: TrainingBatch) -> None:
    assert first.iteration == second.iteration
    for side in ("src", "dst"):
        for field in FIELDS:
            one, other = getattr(getattr(first, side), field), getattr(getattr(second, side), field)
            assert (one is None) == (other is None)
            if one is not None:
                np.testing.assert_array_equal(one, other)


def test_a_batch_has_the_promised_arrays(facesets: tuple[Faceset, Faceset]) -> None:
    batch = collected(TrainingBatches(*facesets, SRC, DST, 3, 1, workers=0), 1)[0]
    assert batch.iteration == 0
    assert batch.src.warped.shape == batch.src.target.shape == (3, 32, 32, 3)
    assert batch.src.mask.shape == (3, 32, 32, 1)
    assert batch.src.eyes_mouth_mask is None
    assert batch.dst.eyes_mouth_mask is not None
    assert batch.dst.eyes_mouth_mask.shape == batch.dst.mask.shape == (3, 48, 48, 1)
    for side in (batch.src, batch.dst):
        assert side.warped.dtype == side.target.dtype == side.mask.dtype == np.uint8
        assert side.indices.dtype == np.int64
        assert side.mask.max() == 255
        assert (side.warped != side.target).any()


def test_any_number_of_workers_any_cache_and_any_start_give_the_same_bits(facesets: tuple[Faceset, Faceset]) -> None:
    alone = collected(TrainingBatches(*facesets, SRC, DST, 2, 77, workers=0), 100)
    for workers, cache_bytes in ((1, None), ((1, 2), 200_000), ((0, 1), None), (0, 0)):
        others = collected(TrainingBatches(*facesets, SRC, DST, 2, 77, workers=workers, cache_bytes=cache_bytes), 100)
        for one, other in zip(alone, others, strict=True):
            assert_equal(one, other)
    resumed = collected(TrainingBatches(*facesets, SRC, DST, 2, 77, workers=0, first_iteration=50), 50)
    for one, other in zip(alone[50:], resumed, strict=True):
        assert_equal(one, other)


def test_batch_size_changes_the_grouping_and_not_the_samples(facesets: tuple[Faceset, Faceset]) -> None:
    small = collected(TrainingBatches(*facesets, SRC, DST, 2, 5, workers=0), 6)
    large = collected(TrainingBatches(*facesets, SRC, DST, 4, 5, workers=0), 3)
    for field in ("warped", "indices"):
        np.testing.assert_array_equal(
            np.concatenate([getattr(batch.src, field) for batch in small]),
            np.concatenate([getattr(batch.src, field) for batch in large]),
        )


def test_another_seed_gives_other_batches(facesets: tuple[Faceset, Faceset]) -> None:
    first, second = (collected(TrainingBatches(*facesets, SRC, DST, 4, seed, workers=0), 1)[0] for seed in (1, 2))
    assert (first.src.warped != second.src.warped).any()


def test_a_batch_stays_as_it_is_while_others_are_made(facesets: tuple[Faceset, Faceset]) -> None:
    with TrainingBatches(*facesets, SRC, DST, 2, 3, workers=1) as batches:
        first = next(batches)
        before = first.src.warped.copy()
        for _ in range(12):
            next(batches)
        np.testing.assert_array_equal(first.src.warped, before)


def test_a_sample_can_be_shown_again_with_its_story(facesets: tuple[Faceset, Faceset]) -> None:
    with TrainingBatches(*facesets, SRC, DST, 4, 9, workers=0) as batches:
        drawn = [next(batches) for _ in range(3)][2]
        shown = batches.replay("src", 2, 1)
        np.testing.assert_array_equal(shown.sample.warped, drawn.src.warped[1])
        np.testing.assert_array_equal(shown.sample.target, drawn.src.target[1])
        assert shown.index == drawn.src.indices[1]
        assert shown.augmentation.donor in range(7)
        with pytest.raises(BadOption, match="Received: src, 4"):
            batches.replay("src", 0, 4)


def test_one_faceset_on_both_sides_is_prepared_once(facesets: tuple[Faceset, Faceset]) -> None:
    src = facesets[0]
    settings = replace(DST, color_transfer="rct")
    plan, owners = plan_batches((src, src), (replace(DST, uniform_yaw=True), settings), (src, src), 2, 1)
    assert owners == [src]
    assert plan.pools[0].needs.eyes_mouth
    assert plan.pools[0].needs.thumbnail
    arrays = SharedArrays.private(cache_layout(src.samples, plan.pools[0].needs, len(src)))
    builder = BatchBuilder(plan, [arrays])
    ring = SharedArrays.private(batch_layout(plan, 1))
    for iteration in range(20):
        builder.build(iteration, ring, 0)
    assert builder.prepared == len(src)


def test_uniform_yaw_shows_the_rare_profile_as_often_as_the_front(tmp_path: Path) -> None:
    write_painted_faceset(tmp_path, 9, 32, yaws=[0.0] * 8 + [0.9])
    faceset = open_faceset(tmp_path)
    plain = SampleSettings(32, FaceType.WHOLE)
    even = replace(plain, uniform_yaw=True)
    with TrainingBatches(faceset, faceset, even, plain, 18, 1, workers=0) as batches:
        batch = next(batches)
    assert (batch.src.indices == 8).sum() == 9
    assert (batch.dst.indices == 8).sum() == 2


def spoiled_faceset(folder: Path) -> Faceset:
    """100 faces; four cannot be used: two are seen when the folder is opened, two spoiled afterwards."""
    paths = write_painted_faceset(folder, 100, 32)
    whole = paths[10].read_bytes()
    paths[10].write_bytes(whole[: len(whole) * 2 // 3])
    image, _ = paint_face(32)
    paths[11].write_bytes(encode_jpeg(image))
    write_face(paths[12], encode_jpeg(image[..., 0]), painted_metadata(32, FaceType.WHOLE, "gray.png"))
    faceset = open_faceset(folder)
    whole = paths[20].read_bytes()
    paths[20].write_bytes(whole[: len(whole) // 2])
    paths[21].unlink()
    return faceset


@pytest.mark.parametrize("workers", [0, 2])
def test_bad_faces_are_named_left_out_and_replaced(
    tmp_path: Path, facesets: tuple[Faceset, Faceset], capsys: pytest.CaptureFixture, workers: int
) -> None:
    faceset = spoiled_faceset(tmp_path)
    plain = SampleSettings(32, FaceType.WHOLE)
    with TrainingBatches(faceset, facesets[1], plain, plain, 10, 1, workers=workers) as batches:
        seen = np.concatenate([next(batches).src.indices for _ in range(30)])
        named = {path.name for path, _ in batches.problems}
    assert named == {"00011_0.jpg", "00012_0.jpg", "00021_0.jpg", "00022_0.jpg"}
    spoken = capsys.readouterr()
    for name in ("00021_0.jpg", "00022_0.jpg"):
        assert (spoken.out + spoken.err).count(f"{name} is left out") == 1
    left_out = [index for index, sample in enumerate(faceset) if sample.path.name in named]
    assert len(left_out) == 2
    assert not set(left_out) & set(seen.tolist())
    assert len(set(seen.tolist())) == 96
    gray = next(index for index, sample in enumerate(faceset) if sample.path.name == "00013_0.jpg")
    assert gray in seen


@pytest.mark.parametrize("workers", [0, 1])
def test_too_many_bad_faces_stop_the_work(tmp_path: Path, facesets: tuple[Faceset, Faceset], workers: int) -> None:
    paths = write_painted_faceset(tmp_path, 40, 32)
    faceset = open_faceset(tmp_path)
    for path in paths[:10]:
        path.write_bytes(b"")
    plain = SampleSettings(32, FaceType.WHOLE)
    with (
        TrainingBatches(faceset, facesets[1], plain, plain, 8, 1, workers=workers) as batches,
        pytest.raises(FaceLoomError, match=r"of the 40 faces in .* cannot be used") as problem,
    ):
        for _ in range(10):
            next(batches)
    assert "0 bytes" in problem.value.what


def test_too_many_bad_files_in_the_folder_stop_the_work_at_once(
    tmp_path: Path, facesets: tuple[Faceset, Faceset]
) -> None:
    paths = write_painted_faceset(tmp_path, 20, 32)
    for path in paths[:4]:
        path.write_bytes(b"")
    with pytest.raises(FaceLoomError, match="4 of the 20 faces"):
        TrainingBatches(open_faceset(tmp_path), facesets[1], SRC, DST, 2, 1, workers=0)


def test_no_faces_at_all(tmp_path: Path, facesets: tuple[Faceset, Faceset]) -> None:
    with pytest.raises(MissingInput):
        TrainingBatches(Faceset(tmp_path, ()), facesets[1], SRC, DST, 2, 1, workers=0)


def test_faces_smaller_than_the_model_wants_are_told_once(
    facesets: tuple[Faceset, Faceset], capsys: pytest.CaptureFixture
) -> None:
    head = SampleSettings(32, FaceType.HEAD)
    collected(TrainingBatches(*facesets, SampleSettings(32, FaceType.WHOLE), head, 2, 1, workers=0), 3)
    spoken = capsys.readouterr()
    assert (spoken.out + spoken.err).count("their borders will be smeared") == 1
    assert "7 of 7 faces" in spoken.out + spoken.err


@pytest.mark.parametrize(
    ("change", "received"),
    [
        ({"batch_size": 0}, 0),
        ({"seed": -1}, -1),
        ({"seed": 1 << 64}, 1 << 64),
        ({"workers": -1}, -1),
        ({"workers": (2, -3)}, -3),
        ({"cache_bytes": -1}, -1),
    ],
)
def test_senseless_numbers_are_refused(
    facesets: tuple[Faceset, Faceset], change: dict[str, Any], received: int
) -> None:
    numbers: dict[str, Any] = {"batch_size": 2, "seed": 1, "workers": 0, **change}
    with pytest.raises(BadOption, match=f"Received: {received}"):
        TrainingBatches(*facesets, SRC, DST, **numbers)


@pytest.fixture
def two_workers(facesets: tuple[Faceset, Faceset]) -> Iterator[TrainingBatches]:
    with TrainingBatches(*facesets, SRC, DST, 2, 4, workers=2) as batches:
        yield batches


def test_a_worker_that_dies_is_replaced_and_no_batch_is_lost(
    two_workers: TrainingBatches, facesets: tuple[Faceset, Faceset]
) -> None:
    alone = collected(TrainingBatches(*facesets, SRC, DST, 2, 4, workers=0), 60)
    made = [next(two_workers) for _ in range(5)]
    psutil.Process(two_workers.worker_process_ids[0]).kill()
    made += [next(two_workers) for _ in range(55)]
    for one, other in zip(alone, made, strict=True):
        assert_equal(one, other)


@pytest.mark.skipif(os.name == "nt", reason="signals of a terminal work differently there")
def test_what_ends_a_whole_group_of_processes_is_the_parents_business(two_workers: TrainingBatches) -> None:
    for _ in range(12):  # more than may be prepared ahead: both have begun
        next(two_workers)
    ids = two_workers.worker_process_ids
    for process_id in ids:
        os.kill(process_id, signal.SIGTERM)
        os.kill(process_id, signal.SIGHUP)
    for _ in range(12):
        next(two_workers)
    assert two_workers.worker_process_ids == ids


def test_workers_that_keep_dying_end_with_a_sentence(two_workers: TrainingBatches) -> None:
    next(two_workers)
    start = time.monotonic()
    with pytest.raises(ToolFailed, match="died 4 times"):
        while time.monotonic() - start < 60:
            for process_id in two_workers.worker_process_ids:
                psutil.Process(process_id).kill()
            next(two_workers)


def test_without_memory_for_faces_the_batches_are_the_same(
    facesets: tuple[Faceset, Faceset], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = collected(TrainingBatches(*facesets, SRC, DST, 2, 4, workers=0), 3)
    private = SharedArrays.private

    def scarce(layout: Layout) -> SharedArrays:
        if "sides" in layout and layout["sides"][0] != (0,):
            raise FaceLoomError("There is no memory.")
        return private(layout)

    monkeypatch.setattr(SharedArrays, "private", scarce)
    slower = collected(TrainingBatches(*facesets, SRC, DST, 2, 4, workers=0), 3)
    assert "which is slower. There is no memory." in capsys.readouterr().err
    for one, other in zip(alone, slower, strict=True):
        assert_equal(one, other)


def test_closing_leaves_no_process_and_no_shared_memory(facesets: tuple[Faceset, Faceset]) -> None:
    def blocks() -> set[str]:
        folder = Path("/dev/shm")
        return {path.name for path in folder.iterdir()} if folder.is_dir() else set()

    before = blocks()
    batches = TrainingBatches(*facesets, SRC, DST, 2, 4, workers=2)
    processes = [psutil.Process(process_id) for process_id in batches.worker_process_ids]
    next(batches)
    start = time.monotonic()
    batches.close()
    batches.close()
    assert time.monotonic() - start < 5
    assert not any(process.is_running() for process in processes)
    assert not {name for name in blocks() - before if name.startswith("psm_")}
    with pytest.raises(StopIteration):
        next(batches)


SCRIPT = """
import sys
from pathlib import Path
from typing import Any
from facelib.face_type import FaceType
from samplelib.augmentation import SampleSettings
from samplelib.batches import TrainingBatches
from samplelib.faceset import open_faceset

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    settings = SampleSettings(32, FaceType.FULL)
    faceset = open_faceset(folder)
    with TrainingBatches(faceset, faceset, settings, settings, 2, 1, workers=2) as batches:
        {first}
        print(*batches.worker_process_ids, flush=True)
        {body}
"""


@pytest.fixture
def run_script(facesets: tuple[Faceset, Faceset], tmp_path: Path) -> Iterator:
    started: list[subprocess.Popen] = []

    def run(body: str, first: str = "next(batches)") -> subprocess.Popen:
        script = tmp_path / "train.py"
        script.write_text(SCRIPT.replace("{body}", body).replace("{first}", first))
        process = subprocess.Popen(
            [sys.executable, str(script), str(facesets[0].folder)],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[2])},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.kill()
            process.communicate()


def worker_ids(process: subprocess.Popen) -> list[int]:
    assert process.stdout is not None
    return [int(word) for word in process.stdout.readline().split()]


def wait_until_gone(process_ids: list[int], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(psutil.pid_exists(number) for number in process_ids):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.skipif(os.name == "nt", reason="signals of a terminal work differently there")
def test_ctrl_c_reaches_the_parent_alone(run_script: Callable[[str], subprocess.Popen]) -> None:
    process = run_script("while True: next(batches)")
    workers = worker_ids(process)
    assert len(workers) == 2
    time.sleep(0.3)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert errors.count("Traceback") == 1
    assert "KeyboardInterrupt" in errors
    assert "leaked" not in errors
    assert wait_until_gone(workers, 5)


@pytest.mark.skipif(os.name == "nt", reason="signals of a terminal work differently there")
def test_ctrl_c_does_not_hit_workers_that_have_just_been_started(run_script: Callable[..., subprocess.Popen]) -> None:
    interrupt = "for number in batches.worker_process_ids: import os; os.kill(number, 2)"
    process = run_script("next(batches); print(*batches.worker_process_ids)", interrupt)
    workers = worker_ids(process)
    again, errors = process.communicate(timeout=30)
    assert [int(word) for word in again.split()] == workers, "none was replaced"
    assert errors == ""


@pytest.mark.skipif(os.name == "nt", reason="signals of a terminal work differently there")
def test_workers_end_when_the_parent_is_killed(run_script: Callable[[str], subprocess.Popen]) -> None:
    process = run_script("while True: next(batches)")
    workers = worker_ids(process)
    process.kill()
    process.communicate()
    assert wait_until_gone(workers, 10)


def test_an_ordinary_end_is_a_quiet_one(run_script: Callable[[str], subprocess.Popen]) -> None:
    process = run_script("sys.exit(0)")
    _, errors = process.communicate(timeout=30)
    assert process.returncode == 0
    assert errors == ""


def test_workers_load_no_neural_framework(facesets: tuple[Faceset, Faceset]) -> None:
    modules = "import sys, samplelib.batch_workers, samplelib.batches, tests.painting; print(*sys.modules)"
    listed = subprocess.run(
        [sys.executable, "-c", modules], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2]
    )
    assert "samplelib.batch_builder" in listed.stdout.split()
    for framework in ("tensorflow", "keras", "torch", "jax"):
        assert framework not in listed.stdout.split()


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs the memory map of a process")
def test_a_running_worker_has_no_neural_framework_in_memory(two_workers: TrainingBatches) -> None:
    next(two_workers)
    for process_id in two_workers.worker_process_ids:
        loaded = Path(f"/proc/{process_id}/maps").read_text()
        assert "cv2" in loaded
        assert "tensorflow" not in loaded


def test_waiting_is_counted(facesets: tuple[Faceset, Faceset]) -> None:
    with TrainingBatches(*facesets, SRC, DST, 2, 4, workers=1) as batches:
        next(batches)
        first = batches.seconds_waited
        assert first > 0.1  # the worker had to start
        time.sleep(1.5)
        next(batches)
        assert batches.seconds_waited - first < 0.5  # the next ones were ready


def test_raw_faces_are_the_faces_as_they_are(facesets: tuple[Faceset, Faceset]) -> None:
    samples = facesets[1].samples[:3]
    pictures, masks = raw_faces(samples, SampleSettings(96, FaceType.WHOLE, flip=True, color_transfer="rct"))
    assert masks.shape == (3, 96, 96, 1)
    for sample, picture, mask in zip(samples, pictures, masks, strict=True):
        np.testing.assert_array_equal(picture, sample.image())
        np.testing.assert_array_equal(mask[..., 0], np.round(sample.mask() * 255))
    assert raw_faces([], SRC)[0].shape == (0, 32, 32, 3)


@pytest.mark.parametrize("processors", [2, 16])
def test_each_side_has_workers_of_its_own(monkeypatch: pytest.MonkeyPatch, processors: int) -> None:
    monkeypatch.setattr("samplelib.batches.default_workers", lambda: processors)
    each = processors // 4 or 1
    assert worker_counts(None, DST, DST) == (each, each)
    assert worker_counts(None, SRC, DST) == (each * 3 // 2, each)
    assert worker_counts(9, DST, DST) == (5, 4)
    assert worker_counts(10, SRC, DST) == (6, 4)
    assert worker_counts((1, 7), SRC, DST) == (1, 7)
