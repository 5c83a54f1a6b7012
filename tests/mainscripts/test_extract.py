"""Frames to faces, from the outside: names, records, going on after a stop, and everything that can be wrong."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from importlib.resources import files
from pathlib import Path

import cv2
import numpy as np
import pytest

from core.errors import BadOption, ConfirmationNeeded, FaceLoomError, MissingInput, PartialFailure
from core.images import read_image, write_image
from core.paths import Workspace
from core.progress import SILENT, SilentProgress
from core.renames import undo_newest
from facelib.extraction import FaceFinder, FoundFace
from facelib.face_type import FaceType
from facelib.metadata import Polygon, read_face, read_metadata, write_face
from mainscripts.extract import ExtractOptions, ExtractReport, run
from mainscripts.extract_journal import JOURNAL_NAME, Journal
from mainscripts.extract_plan import list_faces
from mainscripts.extract_worker import FinderChoice, make_face_mesh
from tests.painting import paint_background, paint_frame

REPOSITORY = Path(__file__).resolve().parents[2]


class _Listener(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


class PaintedFinder:
    """Knows where `_paint` puts heads: the frame's first pixel says how many there are (blue = count * 10)."""

    identity = "painted 1"

    def find(self, frame: np.ndarray) -> list[FoundFace]:
        places = [((200.0, 160.0), 120.0), ((470.0, 160.0), 70.0)][: int(frame[0, 0, 0]) // 10]
        return [FoundFace.from_landmarks(paint_frame(640, 320, center, size)[1], 1.0) for center, size in places]


def painted(choice: FinderChoice) -> FaceFinder:
    return PaintedFinder()


def _paint(path: Path, heads: int, seed: int = 0) -> None:
    frame = paint_background(640, 320, seed)
    if heads > 0:
        frame = paint_frame(640, 320, (200, 160), 120, seed=seed)[0]
    frame[0, 0] = (heads * 10, 0, 0)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_image(path, frame)


@pytest.fixture
def workspace(odd_folder: Path) -> Workspace:
    """Five frames in a folder with an awkward name: one head, two, none, one, one."""
    workspace = Workspace(odd_folder)
    for number, heads in enumerate((1, 2, 0, 1, 1), 1):
        _paint(workspace.data_src / f"{number:05d}.png", heads, number)
    return workspace


def _options(workspace: Workspace, **given: object) -> ExtractOptions:
    usual = {"input_dir": workspace.data_src, "output_dir": workspace.data_src_aligned, "image_size": 256, "workers": 0}
    return ExtractOptions.of(**usual | given)


def _extract(workspace: Workspace, **given: object) -> ExtractReport:
    return run(workspace, _options(workspace, **given), SILENT, painted)


def _names(workspace: Workspace) -> list[str]:
    return sorted(p.name for p in workspace.data_src_aligned.glob("*.jpg"))


_ALL = ["00001_0.jpg", "00002_0.jpg", "00002_1.jpg", "00004_0.jpg", "00005_0.jpg"]


# ------------------------------------------------------------------------------------------------------ what comes out


def test_faces_are_named_after_their_frames_and_carry_their_record(workspace: Workspace) -> None:
    report = _extract(workspace)
    assert _names(workspace) == _ALL
    assert (report.frames, report.faces, report.side) == (5, 5, 256)
    assert report.without_face == ["00003.png"]
    record = read_metadata(workspace.data_src_aligned / "00002_1.jpg")
    assert record.frame_name == "00002.png"
    assert record.face_type is FaceType.WHOLE
    assert record.detector == "painted 1"
    assert read_image(workspace.data_src_aligned / "00002_1.jpg").shape == (256, 256, 3)


def test_the_journal_mirrors_every_record(workspace: Workspace) -> None:
    _extract(workspace)
    journal = Journal(workspace.data_src_aligned)
    assert sorted(journal.frames) == [f"{n:05d}.png" for n in range(1, 6)]
    for entry in journal.frames.values():
        for face in entry.faces:
            assert face.record == read_metadata(workspace.data_src_aligned / face.file).to_record()


def test_the_end_tells_what_has_no_face(workspace: Workspace) -> None:
    for number in (6, 7, 9):
        _paint(workspace.data_src / f"{number:05d}.png", 0, number)
    listener = _Listener()
    run(workspace, _options(workspace), listener, painted)
    said = "\n".join(listener.lines)
    assert "Images found: 8" in said
    assert "Faces detected: 5" in said
    assert "Without a face: 4 frames: 00003.png, 00006.png to 00007.png (2), 00009.png" in said


def test_flags_change_the_faces(workspace: Workspace) -> None:
    report = _extract(workspace, face_type="f", max_faces_from_image=1, jpeg_quality=40, image_size=320)
    assert _names(workspace) == [n for n in _ALL if n != "00002_1.jpg"]
    assert report.side == 320
    record = read_metadata(workspace.data_src_aligned / "00001_0.jpg")
    assert record.face_type is FaceType.FULL
    assert read_image(workspace.data_src_aligned / "00001_0.jpg").shape == (320, 320, 3)


@pytest.mark.parametrize(
    ("word", "stored", "side"),
    [("wf", "whole_face", 512), ("FULL_FACE", "full_face", 512), ("head", "head", 768), ("mf", "midfull_face", 512)],
)
def test_spellings_and_default_sizes(workspace: Workspace, word: str, stored: str, side: int) -> None:
    given = {"input_dir": workspace.data_src, "output_dir": workspace.data_src_aligned}
    options = ExtractOptions.of(**given, face_type=word)
    assert (options.face_type, options.image_size) == (stored, side)


@pytest.mark.parametrize(
    ("name", "value"),
    [("image_size", 255), ("image_size", "huge"), ("jpeg_quality", 0), ("face_type", "nose"), ("detector", "magic")],
)
def test_values_that_do_not_fit_are_refused(workspace: Workspace, name: str, value: object) -> None:
    with pytest.raises(BadOption, match=f"Received: {value}"):
        _options(workspace, **{name: value})


def test_auto_size_is_the_size_of_the_faces_and_is_kept(workspace: Workspace) -> None:
    """The heads are 120 pixels wide; their whole-face crops span 213, the smaller ones 124: the least size it is."""
    assert _extract(workspace, image_size="auto").side == 256
    _paint(workspace.data_src / "00006.png", 1, 6)
    again = _extract(workspace, image_size="auto")
    assert (again.side, again.skipped, again.faces) == (256, 5, 1)


def test_debug_pictures_stand_beside_the_faces(workspace: Workspace) -> None:
    _extract(workspace, output_debug=True)
    pictures = sorted(p.name for p in workspace.data_src_aligned_debug.iterdir())
    assert pictures == [f"{n:05d}.jpg" for n in range(1, 6)]  # frames without a face too
    assert read_image(workspace.data_src_aligned_debug / "00001.jpg").shape == (320, 640, 3)


# ----------------------------------------------------------------------------------------------------- running it again


def test_running_again_does_nothing_twice(workspace: Workspace) -> None:
    _extract(workspace)
    before = {p.name: p.stat().st_mtime_ns for p in workspace.data_src_aligned.iterdir()}
    report = _extract(workspace)
    assert (report.skipped, report.faces, report.without_face) == (5, 0, ["00003.png"])
    assert {p.name: p.stat().st_mtime_ns for p in workspace.data_src_aligned.iterdir()} == before


def test_deleted_faces_stay_deleted_and_new_frames_are_done(workspace: Workspace) -> None:
    _extract(workspace)
    (workspace.data_src_aligned / "00002_1.jpg").unlink()
    _paint(workspace.data_src / "00006.png", 1)
    report = _extract(workspace)
    assert (report.skipped, report.faces) == (5, 1)
    assert _names(workspace) == [n for n in _ALL if n != "00002_1.jpg"] + ["00006_0.jpg"]


def test_other_settings_are_not_mixed_in_silently(workspace: Workspace) -> None:
    _extract(workspace)
    before = {p: p.read_bytes() for p in workspace.data_src_aligned.iterdir()}
    with pytest.raises(BadOption, match=r"face_type whole_face \(now full_face\), side 256 \(now 320\).*--on-existing"):
        _extract(workspace, face_type="f", image_size=320)
    assert {p: p.read_bytes() for p in workspace.data_src_aligned.iterdir()} == before


@pytest.mark.parametrize(("first", "second"), [("auto", 256), (256, "auto")])
def test_a_side_is_the_same_however_it_was_chosen(workspace: Workspace, first: object, second: object) -> None:
    assert _extract(workspace, image_size=first).side == 256
    assert _extract(workspace, image_size=second).skipped == 5


@pytest.mark.parametrize("folder", ["data_src", "data_src_debug"])
def test_frames_are_never_among_what_is_written(workspace: Workspace, folder: str) -> None:
    frames = workspace.root / folder
    if folder != "data_src":
        workspace.data_src.rename(frames)
    for path in frames.iterdir():
        path.rename(path.with_suffix(".jpg"))
    with pytest.raises(BadOption, match="different folders"):
        _extract(workspace, input_dir=frames, output_dir=workspace.data_src, on_existing="replace", yes=True)
    assert len(list(frames.iterdir())) == 5
    assert not workspace.trash.exists()


def test_replace_needs_agreement_and_can_be_undone(workspace: Workspace) -> None:
    _extract(workspace, output_debug=True)
    old = (workspace.data_src_aligned / "00001_0.jpg").read_bytes()
    with pytest.raises(ConfirmationNeeded, match=r"5 faces.*--yes"):
        _extract(workspace, on_existing="replace", image_size=320)
    assert (workspace.data_src_aligned / "00001_0.jpg").read_bytes() == old
    report = _extract(workspace, on_existing="replace", image_size=320, yes=True)
    assert report.faces == 5
    assert report.trash is not None
    assert (report.trash / "items" / "00001_0.jpg").read_bytes() == old
    for face in workspace.data_src_aligned.iterdir():
        face.unlink()
    undo_newest(workspace.trash)
    assert (workspace.data_src_aligned / "00001_0.jpg").read_bytes() == old
    assert _extract(workspace).skipped == 5  # the journal came back as well


def test_a_pack_is_replaced_like_faces_and_never_passed_over_in_silence(workspace: Workspace) -> None:
    pack = workspace.data_src_aligned / "faceset.h5"
    pack.parent.mkdir()
    pack.write_bytes(b"faces")
    with pytest.raises(ConfirmationNeeded, match=r"holds faceset\.h5 already"):
        _extract(workspace, on_existing="abort")
    listener = _Listener()
    run(workspace, _options(workspace), listener, painted)
    assert [line for line in listener.lines if "faceset.h5: other steps take its faces" in line]
    with pytest.raises(ConfirmationNeeded, match=r"5 faces and faceset\.h5.*--yes"):
        _extract(workspace, on_existing="replace")
    report = _extract(workspace, on_existing="replace", yes=True)
    assert report.trash is not None
    assert (report.trash / "items" / "faceset.h5").read_bytes() == b"faces"
    assert (report.faces, pack.exists()) == (5, False)


def test_merge_keeps_every_face_and_adds_what_is_missing(workspace: Workspace) -> None:
    _extract(workspace)
    kept = (workspace.data_src_aligned / "00002_0.jpg").read_bytes()
    (workspace.data_src_aligned / "00002_1.jpg").unlink()
    report = _extract(workspace, on_existing="merge", image_size=320)
    assert report.faces == 1
    assert (workspace.data_src_aligned / "00002_0.jpg").read_bytes() == kept
    assert read_image(workspace.data_src_aligned / "00002_1.jpg").shape == (320, 320, 3)
    assert report.without_face == ["00003.png"]


def test_merge_takes_the_next_free_number(workspace: Workspace) -> None:
    _extract(workspace, max_faces_from_image=1)
    foreign = workspace.data_src_aligned / "00002_1.jpg"
    foreign.write_bytes(b"not a face, but somebody's file")
    _extract(workspace, on_existing="merge")
    assert foreign.read_bytes() == b"not a face, but somebody's file"
    assert read_metadata(workspace.data_src_aligned / "00002_2.jpg").frame_name == "00002.png"


def test_abort_changes_nothing(workspace: Workspace) -> None:
    _extract(workspace)
    with pytest.raises(ConfirmationNeeded, match="holds 5 faces already; nothing was changed"):
        _extract(workspace, on_existing="abort")


def test_a_face_that_is_not_ours_is_never_overwritten(workspace: Workspace) -> None:
    _extract(workspace)
    (workspace.data_src_aligned / JOURNAL_NAME).unlink()  # as after copying only the pictures
    labelled = workspace.data_src_aligned / "00004_0.jpg"
    jpeg, record = read_face(labelled)
    polygon = Polygon(True, np.array([[10, 10], [90, 10], [50, 80]], np.float32))
    write_face(labelled, jpeg, type(record)(**{**record.__dict__, "polygons": (polygon,)}))
    content = labelled.read_bytes()
    with pytest.raises(BadOption, match=r"not made.*00004_0\.jpg.*merge"):
        _extract(workspace)
    assert labelled.read_bytes() == content
    assert _extract(workspace, on_existing="merge").faces == 0
    assert labelled.read_bytes() == content


def test_a_frame_that_has_changed_is_done_again(workspace: Workspace) -> None:
    _extract(workspace)
    old = (workspace.data_src_aligned / "00004_0.jpg").read_bytes()
    _paint(workspace.data_src / "00004.png", 2, seed=77)
    report = _extract(workspace)
    assert (report.skipped, report.faces) == (4, 2)
    assert (workspace.data_src_aligned / "00004_0.jpg").read_bytes() != old
    assert report.trash is not None
    assert (report.trash / "items" / "00004_0.jpg").read_bytes() == old


def test_a_torn_journal_line_costs_one_frame(workspace: Workspace) -> None:
    _extract(workspace)
    journal = workspace.data_src_aligned / JOURNAL_NAME
    journal.write_bytes(journal.read_bytes()[:-100])
    report = _extract(workspace)
    assert (report.skipped, report.faces) == (4, 1)
    assert Journal(workspace.data_src_aligned).broken_lines == 1
    assert _extract(workspace).skipped == 5


def test_what_a_killed_run_left_half_written_is_swept_up(workspace: Workspace) -> None:
    workspace.data_src_aligned.mkdir()
    old, young = (workspace.data_src_aligned / f".{digit * 12}.part.jpg" for digit in "ab")
    mine = workspace.data_src_aligned / ".my notes.jpg"
    for path in (old, young, mine):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    os.utime(mine, (0, 0))
    _extract(workspace)
    assert [path.exists() for path in (old, young, mine)] == [False, True, True]


def test_a_file_that_another_process_finishes_meanwhile_stops_nobody(workspace: Workspace) -> None:
    workspace.data_src_aligned.mkdir()
    gone = workspace.data_src_aligned / f".{'a' * 12}.part.jpg"
    gone.symlink_to("nowhere")  # listed, but not there any more when it is looked at
    assert _extract(workspace).faces == 5


# ------------------------------------------------------------------------------------------------------------ bad input


def test_broken_frames_are_listed_and_the_rest_is_done(workspace: Workspace) -> None:
    (workspace.data_src / "00010.jpg").write_bytes(b"")
    (workspace.data_src / "00011.jpg").write_text("I am a text file", encoding="utf-8")
    (workspace.data_src / "00012.png").write_bytes((workspace.data_src / "00001.png").read_bytes()[:300])
    write_image(workspace.data_src / "00013.png", np.zeros((1, 1, 3), np.uint8))
    listener = _Listener()
    with pytest.raises(PartialFailure, match=r"3 of 9 frames.*00010\.jpg, 00011\.jpg, 00012\.png.*run the same step"):
        run(workspace, _options(workspace), listener, painted)
    assert any("00010.jpg" in line and "0 bytes" in line for line in listener.lines)
    assert _names(workspace) == _ALL
    _paint(workspace.data_src / "00012.png", 1)
    for name in ("00010.jpg", "00011.jpg"):
        (workspace.data_src / name).unlink()
    report = _extract(workspace)  # failed frames are tried again, the others are not
    assert (report.skipped, report.faces, report.failed) == (6, 1, {})


def test_no_frames_and_no_folder(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with pytest.raises(MissingInput, match="no folder"):
        _extract(workspace)
    workspace.data_src.mkdir()
    with pytest.raises(MissingInput, match="no pictures in"):
        _extract(workspace)
    assert not workspace.data_src_aligned.exists()


def test_no_face_at_all_is_an_error_with_a_next_step(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    for number in range(3):
        _paint(workspace.data_src / f"{number}.png", 0)
    with pytest.raises(MissingInput, match=r"No face was found in any of the 3 frames.*--output-debug"):
        _extract(workspace)
    with pytest.raises(MissingInput, match="no size can be measured"):
        _extract(workspace, image_size="auto")


def test_two_frames_with_one_stem_stop_the_step(workspace: Workspace) -> None:
    _paint(workspace.data_src / "00004.JPG", 1)
    with pytest.raises(BadOption, match=r"Received: 00004\.JPG, 00004\.png"):
        _extract(workspace)
    assert not workspace.data_src_aligned.exists()


def test_a_full_disk_stops_the_step_in_words(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from mainscripts import extract_worker

    written = 0

    def fill_up(path: Path, *rest: object) -> None:
        nonlocal written
        written += 1
        if written > 2:
            raise FaceLoomError(f"The disk is full: {path} could not be written.", "Free some space.")
        write_face(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(extract_worker, "write_face", fill_up)
    with pytest.raises(FaceLoomError, match=r"disk is full.*goes on from there") as caught:
        _extract(workspace)
    assert not isinstance(caught.value, PartialFailure)
    monkeypatch.undo()
    assert _extract(workspace).faces == 4  # the frame that stopped the step is done again whole
    assert _names(workspace) == _ALL


def test_too_little_space_is_told_before_the_work(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.files.free_bytes", lambda path: 1000)
    with pytest.raises(FaceLoomError, match=r"1\.0 kB free.*are needed"):
        _extract(workspace)
    assert _names(workspace) == []


def test_a_read_only_folder_stops_the_step_in_words(workspace: Workspace) -> None:
    """A file stands where the folder should be: nobody, not even root, can write into it."""
    workspace.data_src_aligned.write_bytes(b"I am a file")
    with pytest.raises(FaceLoomError, match="aligned"):
        _extract(workspace)
    assert workspace.data_src_aligned.read_bytes() == b"I am a file"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs a user whom permissions bind")
def test_a_folder_without_write_permission(workspace: Workspace) -> None:
    workspace.data_src_aligned.mkdir()
    workspace.data_src_aligned.chmod(0o500)
    with pytest.raises(FaceLoomError, match="cannot be written"):
        _extract(workspace)


# --------------------------------------------------------------------------------------------------- with real networks


@pytest.fixture(scope="session")
def real_frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty-four frames of the astronaut, drifting, one of them without her."""
    portrait = files("skimage").joinpath("data", "astronaut.png")
    picture = cv2.imdecode(np.frombuffer(portrait.read_bytes(), np.uint8), cv2.IMREAD_COLOR)
    folder = tmp_path_factory.mktemp("frames")
    for n in range(24):
        shift = np.array([[1, 0, -n], [0, 1, 0.5 * n]], np.float64)
        frame = cv2.warpAffine(picture, shift, (400, 320), borderMode=cv2.BORDER_REFLECT)
        write_image(folder / f"{n + 1:05d}.png", np.asarray(frame if n != 20 else np.full_like(frame, 90), np.uint8))
    return folder


def _real_options(frames: Path, output: Path, **given: object) -> ExtractOptions:
    return ExtractOptions.of(input_dir=frames, output_dir=output, **{"image_size": 256} | given)


def _faces(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in list_faces(folder)}


def test_processes_do_the_same_as_one(real_frames: Path, tmp_path: Path) -> None:
    reports, contents = [], []
    for workers in (0, 2):
        output = tmp_path / str(workers)
        reports.append(run(Workspace(tmp_path), _real_options(real_frames, output, workers=workers), SILENT))
        contents.append(_faces(output))
    assert contents[0] == contents[1]
    assert len(contents[0]) == 23
    assert [r.without_face for r in reports] == [["00021.png"]] * 2


def test_workers_load_no_neural_framework(tmp_path: Path) -> None:
    code = (
        "import sys; from mainscripts.extract_worker import *; from pathlib import Path;"
        "make_face_mesh(FinderChoice(FaceType.WHOLE, True, True));"
        "print(sorted({'tensorflow', 'keras', 'jax', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""  # the runtime's greeting would tear the progress bar


@pytest.mark.skipif(os.name == "nt", reason="process groups and their signals are POSIX")
@pytest.mark.parametrize(("how", "lines_before_kill"), [("SIGKILL", 1), ("SIGKILL", 7), ("SIGINT", 4)])
def test_a_killed_run_goes_on_where_it_was(real_frames: Path, tmp_path: Path, how: str, lines_before_kill: int) -> None:
    """kill -9 of all its processes, or Ctrl-C, at a moment that differs from run to run."""
    output, expected = tmp_path / "aligned", tmp_path / "expected"
    run(Workspace(tmp_path), _real_options(real_frames, expected, workers=2), SILENT)
    words = ["extract", "--input-dir", str(real_frames), "--output-dir", str(output), "--image-size", "256"]
    step = subprocess.Popen(
        [sys.executable, "main.py", *words, "--workers", "2", "--defaults", "--log", str(tmp_path / "log")],
        cwd=REPOSITORY,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    journal = output / JOURNAL_NAME
    end = time.monotonic() + 120
    while time.monotonic() < end and step.poll() is None:
        if journal.exists() and journal.read_bytes().count(b'"frame"') >= lines_before_kill:
            break
        time.sleep(0.002)
    assert step.poll() is None, "the step was to be killed in the middle of its work"
    os.killpg(step.pid, getattr(signal, how))
    assert step.wait(timeout=60) == (130 if how == "SIGINT" else -9)
    report = run(Workspace(tmp_path), _real_options(real_frames, output, workers=2), SILENT)
    assert report.skipped >= lines_before_kill
    assert report.skipped + report.faces + (1 if report.skipped <= 20 else 0) == 24
    assert _faces(output) == _faces(expected)


def test_auto_size_of_a_real_face(real_frames: Path, tmp_path: Path) -> None:
    """Her whole-face crop spans about 172 of 512 pixels, so enlarging it further than the least size gains nothing."""
    report = run(Workspace(tmp_path), _real_options(real_frames, tmp_path / "aligned", image_size="auto"), SILENT)
    assert report.side == 256


def test_every_face_of_the_clips_is_found(shared_data: Path, tmp_path: Path) -> None:
    """A few frames of each shared clip: one face each, of plausible size, no frame without."""
    found = {}
    for clip in sorted((shared_data / "clips").glob("*.mp4")):
        finder = make_face_mesh(FinderChoice(FaceType.WHOLE, False, True))
        frames = _some_frames(clip)
        found[clip.stem] = [[round(float(f.bbox[2] - f.bbox[0])) for f in finder.find(frame)] for frame in frames]
    every = [sides for clip_sides in found.values() for sides in clip_sides]
    assert len(every) > 30
    assert all(len(sides) == 1 and 150 < sides[0] < 500 for sides in every), json.dumps(found)


def _some_frames(clip: Path) -> list[np.ndarray]:
    video = cv2.VideoCapture(str(clip))
    frames = []
    for n in range(int(video.get(cv2.CAP_PROP_FRAME_COUNT))):
        if not video.grab():
            break
        if n % 60 == 0:
            frames.append(np.asarray(video.retrieve()[1], np.uint8))
    return frames


def test_heads_are_measured_in_depth_and_other_faces_on_the_contour(real_frames: Path) -> None:
    """The mesh's depth puts the jaw of a head where it really is; brows, eyes, nose and mouth are the same."""
    frame = read_image(real_frames / "00001.png")
    head, whole = (
        make_face_mesh(FinderChoice(face_type, True, True)).find(frame)[0].landmarks
        for face_type in (FaceType.HEAD, FaceType.WHOLE)
    )
    assert np.abs(head - whole)[:17].max() > 1
    np.testing.assert_allclose(head[17:], whole[17:], atol=0.5)
