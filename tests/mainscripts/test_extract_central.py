"""`extract` with finders that see several frames at once in the main process; the workers cut out what these found."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from core.errors import BadOption, BrokenFile, MissingInput, PartialFailure
from core.images import write_image
from core.legacy_writer import encode
from core.paths import Workspace
from core.progress import SILENT
from facelib.extraction import FoundFace
from facelib.face_type import FaceType
from facelib.metadata import read_metadata
from facelib.nets import pretrained
from facelib.nets.older_weights import fan_table, s3fd_table
from mainscripts.extract import ExtractOptions, ExtractReport, run
from mainscripts.extract_central import located, make_batch_finders
from mainscripts.extract_worker import FinderChoice
from tests.painting import paint_background, paint_frame

REPOSITORY = Path(__file__).resolve().parents[2]
LANDMARKS = paint_frame(320, 240, (160, 120), 90)[1]


class Batches:
    """Says there is one face in each frame, shifted by what its first pixel says; keeps the sizes of its batches."""

    identity = "batches 1"

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.threads: set[int] = set()

    def find_many(self, frames: Sequence[np.ndarray]) -> list[list[FoundFace]]:
        self.sizes.append(len(frames))
        self.threads.add(threading.get_ident())
        return [[FoundFace.from_landmarks(LANDMARKS + int(f[0, 0, 0]), 0.9)] for f in frames]


@pytest.fixture
def workspace(odd_folder: Path) -> Workspace:
    """Twenty frames; number 7 is damaged."""
    workspace = Workspace(odd_folder)
    workspace.data_src.mkdir()
    for number in range(1, 21):
        frame = paint_background(320, 240, number)
        frame[0, 0] = number
        write_image(workspace.data_src / f"{number:05d}.png", frame)
    (workspace.data_src / "00007.png").write_bytes(b"no picture")
    return workspace


def extract(workspace: Workspace, finders: list[Batches], **given: object) -> ExtractReport:
    choices: list[FinderChoice] = []

    def make(choice: FinderChoice) -> list[Batches]:
        choices.append(choice)
        return finders

    values = {"detector": "s3fd", "image_size": 256, "workers": 0} | given
    options = ExtractOptions.of(input_dir=workspace.data_src, output_dir=workspace.data_src_aligned, **values)
    try:
        return run(workspace, options, SILENT, make_batch=make)
    finally:
        head = options.face_type == "head"
        assert [c.landmarker for c in choices] == ["3dfan" if head else "2dfan"]


def check_faces(workspace: Workspace) -> None:
    names = sorted(p.name for p in workspace.data_src_aligned.glob("*.jpg"))
    assert names == [f"{n:05d}_0.jpg" for n in range(1, 21) if n != 7]
    for number in (1, 6, 8, 20):
        record = read_metadata(workspace.data_src_aligned / f"{number:05d}_0.jpg")
        np.testing.assert_allclose(record.frame_landmarks, LANDMARKS + number, atol=1e-4)
        assert record.detector == "batches 1"


def test_each_frame_gets_the_faces_found_in_it(workspace: Workspace) -> None:
    finder = Batches()
    with pytest.raises(PartialFailure, match=r"1 of 20 frames .*00007\.png"):
        extract(workspace, [finder])
    check_faces(workspace)
    assert finder.sizes == [7, 8, 4]  # eight frames at once; the damaged one is not asked for


def test_what_was_found_for_one_face_type_is_not_taken_for_another(workspace: Workspace) -> None:
    """Networks leave out crops that are too large to be faces, which depends on the face type."""
    looks = []
    for face_type in ("whole_face", "full_face", "full_face"):
        finder = Batches()
        with pytest.raises(PartialFailure):
            extract(workspace, [finder], face_type=face_type, on_existing="replace", yes=True)
        looks.append(sum(finder.sizes))
    assert looks == [19, 19, 0]


def test_several_devices_share_the_frames_and_the_order_stays(workspace: Workspace) -> None:
    finders = [Batches(), Batches()]
    with pytest.raises(PartialFailure):
        extract(workspace, finders, face_type="head")
    check_faces(workspace)
    assert [finder.sizes for finder in finders] == [[7, 4], [8]]
    assert not finders[0].threads & finders[1].threads
    assert all(len(finder.threads) == 1 for finder in finders)


def test_worker_processes_cut_out_what_was_found(workspace: Workspace) -> None:
    with pytest.raises(PartialFailure):
        extract(workspace, [Batches()], workers=1, image_size="auto")
    check_faces(workspace)


def test_a_failing_device_ends_the_run_and_leaves_no_thread() -> None:
    class Fails(Batches):
        def find_many(self, frames: Sequence[np.ndarray]) -> list[list[FoundFace]]:
            raise MissingInput("The device is gone.")

    before = threading.active_count()
    with pytest.raises(MissingInput, match="gone"):
        list(located([Path("absent.png")], [Fails()]))
    assert threading.active_count() == before


def test_the_mesh_cannot_measure_boxes_of_others(workspace: Workspace) -> None:
    options = ExtractOptions.of(
        input_dir=workspace.data_src, output_dir=workspace.data_src_aligned, detector="s3fd", landmarker="face_mesh"
    )
    with pytest.raises(BadOption, match="Received: --detector s3fd --landmarker face_mesh"):
        run(workspace, options, SILENT)


def test_missing_weights_are_said_at_once_and_where_to_put_them(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACELOOM_INTERNAL", str(tmp_path / "internal"))
    for given, name in (({"detector": "s3fd"}, "S3FD.npy"), ({"landmarker": "3dfan"}, "3DFAN.npy")):
        options = ExtractOptions.of(input_dir=workspace.data_src, output_dir=workspace.data_src_aligned, **given)
        with pytest.raises(MissingInput) as caught:
            run(workspace, options, SILENT)
        assert name in str(caught.value)
        assert str(tmp_path / "internal" / "weights") in str(caught.value)
    assert not workspace.data_src_aligned.exists()


def test_known_files_that_do_not_fit_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A file with the recorded id, but other tensors: named, never filled up."""
    monkeypatch.setenv("FACELOOM_INTERNAL", str(tmp_path))
    stream = encode({"conv1/weight:0": np.zeros((7, 7, 3, 64), np.float32)})
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "2DFAN.npy").write_bytes(stream)
    with pytest.raises(BrokenFile, match="git blob id"):
        make_batch_finders(FinderChoice(None, True, True, "face_mesh", "2dfan"))  # type: ignore[arg-type]
    known = pretrained.OptionalFile("2DFAN.npy", pretrained.git_blob_id(stream), "")
    monkeypatch.setattr(pretrained, "FAN_2D", known)
    with pytest.raises(BrokenFile, match="conv1/bias is missing"):
        make_batch_finders(FinderChoice(None, True, True, "face_mesh", "2dfan"))  # type: ignore[arg-type]


def test_finders_are_made_of_the_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Both files whole, all weights zero: nobody is found, and who looked is told by names and ids."""
    monkeypatch.setenv("FACELOOM_INTERNAL", str(tmp_path))
    (tmp_path / "weights").mkdir()
    for word, name, table in (("S3FD", "S3FD.npy", s3fd_table()), ("FAN_3D", "3DFAN.npy", fan_table())):
        tensors = {f"{key}:0": np.zeros(shape, np.float32) for key, shape in table.items()}
        for head in ("conv3_3_norm", "conv4_3_norm", "conv5_3_norm", "fc7", "conv6_2", "conv7_2") * (word == "S3FD"):
            tensors[f"{head}_mbox_conf/bias:0"][0] = 5
        stream = encode(tensors)
        (tmp_path / "weights" / name).write_bytes(stream)
        monkeypatch.setattr(pretrained, word, pretrained.OptionalFile(name, pretrained.git_blob_id(stream), ""))
    (finder,) = make_batch_finders(FinderChoice(FaceType.HEAD, True, True, "s3fd", "3dfan", "cpu"))
    assert finder.find_many([np.full((128, 128, 3), 255, np.uint8)]) == [[]]
    ids = (pretrained.S3FD.git_blob[:8], pretrained.FAN_3D.git_blob[:8])
    assert finder.identity == f"s3fd 1 ({ids[0]}) + 3dfan {ids[1]} (two passes)"


def test_workers_and_the_default_finder_load_no_neural_framework() -> None:
    program = (
        "import sys, mainscripts.extract, mainscripts.extract_worker;"
        "sys.exit(bool({'keras', 'tensorflow', 'core.nn.framework'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=False).returncode == 0
