"""`extract` on a film of two people: who is who, who is wanted, what was missed, what trembles."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from core.errors import BadOption, MissingInput
from core.images import read_image, write_image
from core.paths import Workspace
from core.progress import SilentProgress, Task
from core.shots import Shots
from facelib.extraction import FoundFace
from facelib.face_type import FaceType
from facelib.metadata import FaceMetadata, read_metadata
from facelib.smoothing import FARTHEST_MOVE
from facelib.tracking import Track
from mainscripts.extract import ExtractOptions, ExtractReport, run
from mainscripts.extract_journal import JOURNAL_NAME, Journal
from mainscripts.extract_tracks import Tracked, Wanted, choose_faces
from mainscripts.extract_worker import FinderChoice, make_face_mesh
from tests.mainscripts.two_people import FRAMES, HIDDEN, MISSED, film_finder, trembling, true_landmarks, write_film


class Listener(SilentProgress):
    """What was said, and of every task its title -> [units done, units announced]."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.tasks: dict[str, list[int]] = {}

    @contextmanager
    def task(self, title: str, total: int | None, unit: str = "frame", *, brief: bool = False) -> Iterator[Task]:
        done = self.tasks.setdefault(title, [0, 0])
        done[1] += total or 0
        yield _Counted(done)

    def say(self, text: str) -> None:
        self.lines.append(text)


class _Counted:
    def __init__(self, done: list[int]) -> None:
        self._done = done

    def advance(self, steps: int = 1) -> None:
        self._done[0] += steps

    def note(self, text: str) -> None:
        pass


@pytest.fixture(scope="session")
def frames(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("film")
    write_film(folder)
    return folder


def extract(frames: Path, output: Path, listener: Listener | None = None, **given: object) -> ExtractReport:
    usual = {"input_dir": frames, "output_dir": output, "image_size": 256, "workers": 0}
    options = ExtractOptions.of(**usual | given)
    return run(Workspace(output.parent), options, listener or Listener(), film_finder)


def records(folder: Path) -> dict[str, FaceMetadata]:
    return {path.name: read_metadata(path) for path in sorted(folder.glob("*.jpg"))}


def whose(record: FaceMetadata) -> int:
    number = int(record.frame_name[:5]) - 1
    middle = record.frame_landmarks.mean(axis=0)
    return int(np.argmin([np.abs(true_landmarks(number, p).mean(axis=0) - middle).max() for p in (0, 1)]))


def test_everybody_keeps_one_track_and_missed_faces_are_found_again(frames: Path, tmp_path: Path) -> None:
    listener = Listener()
    report = extract(frames, tmp_path / "aligned", listener)
    found = records(tmp_path / "aligned")
    assert (report.faces, report.found_again, report.tracks) == (2 * FRAMES - len(HIDDEN), len(MISSED), 2)
    assert {(whose(r), r.extra["finding"]["track"]) for r in found.values()} == {(0, 1), (1, 2)}
    again = {(int(r.frame_name[:5]) - 1, whose(r)) for r in found.values() if r.extra["finding"].get("gap")}
    assert again == MISSED
    said = "\n".join(listener.lines)
    assert "Tracks: 2" in said
    assert "track 1: 00001.png to 00020.png, 20 frames, faces of 1" in said
    assert "Found again where the detector missed them: 3 faces" in said
    assert listener.tasks["Following faces"] == [FRAMES, FRAMES]
    assert listener.tasks["Smoothing landmarks"] == [report.faces, report.faces]


def test_records_hold_what_a_judge_needs(frames: Path, tmp_path: Path) -> None:
    extract(frames, tmp_path / "aligned")
    seen = read_metadata(tmp_path / "aligned" / "00005_1.jpg").extra["finding"]
    assert (seen["score"], seen["presence"], seen["track"]) == (0.6, 19.0, 2)
    assert 0 < seen["moved"] <= FARTHEST_MOVE
    missed = read_metadata(tmp_path / "aligned" / "00010_0.jpg").extra["finding"]
    assert (missed["score"], missed["presence"], missed["gap"]) == (0.8, 14.0, True)
    numbers = {
        path.stem: read_metadata(path).extra["source_face_index"] for path in (tmp_path / "aligned").glob("*.jpg")
    }
    assert all(stem.endswith(f"_{number}") for stem, number in numbers.items())  # whoever is larger for a moment
    for entry in Journal(tmp_path / "aligned").frames.values():
        for face in entry.faces:
            assert face.record == read_metadata(tmp_path / "aligned" / face.file).to_record()


def test_landmarks_are_steadier_and_never_far_off(frames: Path, tmp_path: Path) -> None:
    extract(frames, tmp_path / "smooth")
    extract(frames, tmp_path / "raw", smooth_landmarks=False)
    jerks = {}
    for kind in ("smooth", "raw"):
        found = records(tmp_path / kind)
        anna = np.array([r.frame_landmarks for r in found.values() if whose(r) == 0], np.float64)
        true = np.array([true_landmarks(n, 0) for n in range(FRAMES)])
        jerks[kind] = np.diff(anna - true, 2, axis=0).std()
    assert jerks["smooth"] < 0.4 * jerks["raw"]
    for name, record in records(tmp_path / "raw").items():
        raw = trembling(int(record.frame_name[:5]) - 1, whose(record))
        np.testing.assert_array_equal(record.frame_landmarks, raw)
        assert "moved" not in record.extra["finding"]
        smooth = read_metadata(tmp_path / "smooth" / name)
        far = np.linalg.norm(smooth.frame_landmarks - raw, axis=1).max()
        assert far <= 1.001 * FARTHEST_MOVE * float(record.frame_bbox[2] - record.frame_bbox[0])


def test_one_face_of_a_frame_is_always_the_same_person(frames: Path, tmp_path: Path) -> None:
    """Also where the detector missed the larger one: the smaller does not step in."""
    report = extract(frames, tmp_path / "aligned", max_faces_from_image=1)
    assert {whose(r) for r in records(tmp_path / "aligned").values()} == {0}
    assert (report.faces, report.left_out) == (FRAMES, {"too many": FRAMES - len(HIDDEN)})


@pytest.mark.parametrize(
    ("which", "person"), [("biggest", 0), ("longest", 0), (1, 0), (2, 1)]
)  # Bert is away for two frames
def test_only_one_track(frames: Path, tmp_path: Path, which: object, person: int) -> None:
    listener = Listener()
    report = extract(frames, tmp_path / "aligned", listener, only_track=which)
    assert {whose(r) for r in records(tmp_path / "aligned").values()} == {person}
    others = FRAMES if person == 1 else FRAMES - len(HIDDEN)
    assert report.left_out == {"other tracks": others}
    assert f"Left out: {others} of other tracks (--only-track)" in "\n".join(listener.lines)


def test_a_track_that_is_not_there(frames: Path, tmp_path: Path) -> None:
    with pytest.raises(BadOption, match=r"There is no track 3\..*Received: --only-track 3.*1 to 2"):
        extract(frames, tmp_path / "aligned", only_track=3)
    assert list((tmp_path / "aligned").glob("*.jpg")) == []


def test_small_and_doubtful_faces_are_left_out_and_counted(frames: Path, tmp_path: Path) -> None:
    bert = 2 * FRAMES - len(HIDDEN) - FRAMES
    listener = Listener()
    report = extract(frames, tmp_path / "small", listener, min_face_size=90)
    assert report.left_out == {"smaller": bert}
    assert f"Left out: {bert} smaller than 90 pixels (--min-face-size)" in "\n".join(listener.lines)
    report = extract(frames, tmp_path / "unsure", min_confidence=0.7)
    assert report.left_out == {"unsure": bert - 1}  # the one found again has another score
    with pytest.raises(MissingInput, match=r"All 38 faces that were found were left out.*--min-face-size"):
        extract(frames, tmp_path / "none", min_face_size=900)


def test_a_run_in_parts_gives_the_same_as_a_run_at_once(frames: Path, tmp_path: Path) -> None:
    """Faces of half the frames are undone, as if the run had been killed; the findings survive or not."""
    extract(frames, tmp_path / "whole")
    expected = {p.name: p.read_bytes() for p in (tmp_path / "whole").glob("*.jpg")}
    for findings_survive in (True, False):
        output = tmp_path / f"parts{findings_survive}"
        extract(frames, output)
        lines = (output / JOURNAL_NAME).read_bytes().splitlines(keepends=True)
        (output / JOURNAL_NAME).write_bytes(b"".join(lines[:12]))
        for path in output.glob("*.jpg"):
            if int(path.name[:5]) > 11:
                path.unlink()
        if not findings_survive:
            (output / ".faceloom_found.jsonl").unlink()
        report = extract(frames, output)
        assert report.skipped == 11
        assert {p.name: p.read_bytes() for p in output.glob("*.jpg")} == expected


def test_processes_do_the_same_as_one(frames: Path, tmp_path: Path) -> None:
    for workers in (0, 2):
        extract(frames, tmp_path / str(workers), workers=workers)
    alone, together = ({p.name: p.read_bytes() for p in (tmp_path / str(workers)).glob("*.jpg")} for workers in (0, 2))
    assert alone == together


def test_other_wishes_are_refused_until_the_old_faces_are_replaced(frames: Path, tmp_path: Path) -> None:
    """And then no frame is searched again."""
    output = tmp_path / "aligned"
    extract(frames, output)
    found = (output / ".faceloom_found.jsonl").read_bytes()
    with pytest.raises(BadOption, match=r"only_track all \(now 1\), smooth_landmarks True \(now False\)"):
        extract(frames, output, only_track=1, smooth_landmarks=False)
    report = extract(frames, output, only_track=1, smooth_landmarks=False, on_existing="replace", yes=True)
    assert report.faces == FRAMES
    assert (output / ".faceloom_found.jsonl").read_bytes() == found


def test_faces_of_earlier_versions_are_not_mixed_with_smoothed_ones(frames: Path, tmp_path: Path) -> None:
    """Their journals say nothing of tracks: nothing was left out, nothing was smoothed."""
    output = tmp_path / "aligned"
    extract(frames, output, smooth_landmarks=False)
    text = (output / JOURNAL_NAME).read_text()
    for words in ('"only_track":"all",', '"min_face_size":0,', '"min_confidence":0.0,', ',"smooth_landmarks":false'):
        assert words in text
        text = text.replace(words, "")
    (output / JOURNAL_NAME).write_text(text)
    assert extract(frames, output, smooth_landmarks=False).skipped == FRAMES
    with pytest.raises(BadOption, match=r"smooth_landmarks False \(now True\)"):
        extract(frames, output)


def test_debug_pictures_show_what_was_written(frames: Path, tmp_path: Path) -> None:
    """With only Bert wanted, nothing is drawn where Anna is."""
    extract(frames, tmp_path / "aligned", only_track=2, output_debug=True)
    drawn = read_image(tmp_path / "aligned_debug" / "00003.jpg").astype(int)
    plain = read_image(frames / "00003.png").astype(int)
    changed = np.abs(drawn - plain).max(axis=2) > 60
    assert changed[:, :330].sum() < 100 < 1000 < changed[:, 330:].sum()  # the picture is a JPEG of low quality


# --------------------------------------------------------------------------------------------------- with real networks


def test_a_real_face_behind_a_board_is_found_again(tmp_path: Path) -> None:
    """Eight frames of a portrait; in two of them a board hides half of the face."""
    portrait = read_image(Path(str(files("skimage").joinpath("data", "astronaut.png"))))
    finder = make_face_mesh(FinderChoice(FaceType.WHOLE, True, True))
    left, top, right, bottom = (int(v) for v in finder.find(portrait)[0].bbox)
    (tmp_path / "frames").mkdir()
    for n in range(8):
        frame = portrait.copy()
        if n in (3, 4):
            frame[top - 60 : bottom + 60, left - 60 : (left + right) // 2] = 90
        write_image(tmp_path / "frames" / f"{n + 1:05d}.png", frame)
    given = {"input_dir": tmp_path / "frames", "output_dir": tmp_path / "aligned", "image_size": 256, "workers": 0}
    report = run(Workspace(tmp_path), ExtractOptions.of(**given), Listener())
    assert (report.faces, report.found_again, report.tracks) == (8, 2, 1)
    found = records(tmp_path / "aligned")
    assert [name for name, r in found.items() if "gap" in r.extra["finding"]] == ["00004_0.jpg", "00005_0.jpg"]
    centers = np.array([record.frame_bbox.reshape(2, 2).mean(axis=0) for record in found.values()])
    np.testing.assert_allclose(centers, centers[[0]].repeat(8, axis=0), atol=6)


def test_two_people_of_the_clips_walk_past_each_other(shared_data: Path, tmp_path: Path) -> None:
    """Two films side by side, changing sides; the man passes in front and hides the woman for some frames."""
    films = [_pictures(shared_data / "clips" / name, 22) for name in ("man_glasses.mp4", "woman_bun_expressive.mp4")]
    (tmp_path / "frames").mkdir()
    for n in range(22):
        frame = np.full((360, 960, 3), (90, 110, 100), np.uint8)
        for film, x, y, side in ((films[1], 620 - 26 * n, 60, 280), (films[0], 40 + 26 * n, 40, 300)):
            picture = cv2.resize(film[n], (side, side), interpolation=cv2.INTER_AREA)
            frame[y : y + side, x : x + side] = picture[:, : 960 - x]
        write_image(tmp_path / "frames" / f"{n + 1:05d}.png", frame)
    options = ExtractOptions.of(
        input_dir=tmp_path / "frames", output_dir=tmp_path / "aligned", image_size=256, accurate=False
    )
    report = run(Workspace(tmp_path), options, Listener())
    assert report.tracks == 2
    people: dict[int, set[int]] = {1: set(), 2: set()}
    for record in records(tmp_path / "aligned").values():
        n = int(record.frame_name[:5]) - 1
        middle = float(record.frame_bbox.reshape(2, 2).mean(axis=0)[0])
        man, woman = abs(middle - (190 + 26 * n)), abs(middle - (760 - 26 * n))
        if abs(man - woman) > 60:  # else they are in one place, and only one is seen
            people[record.extra["finding"]["track"]].add(0 if man < woman else 1)
    assert sorted(people.values(), key=min) == [{0}, {1}]


def _pictures(clip: Path, count: int) -> list[np.ndarray]:
    video = cv2.VideoCapture(str(clip))
    return [np.asarray(video.read()[1], np.uint8) for _ in range(count)]


def test_the_main_one_of_each_of_many_photos_is_found_in_one_look_at_each_track() -> None:
    """Photos are shots of one frame each, so there are as many shots as tracks: 100,000 of them must not take hours."""

    class Watched(Track):
        looks = 0

        def __getattribute__(self, name: str) -> Any:
            if name == "shot":
                Watched.looks += 1
            return super().__getattribute__(name)

    face = FoundFace.from_landmarks(true_landmarks(0, 0), 0.9)
    count = 300
    tracks = tuple(Watched(n + 1, n, {n: face}) for n in range(count))
    shots = Shots(np.arange(count), np.arange(count))
    names = tuple(f"photo {n}.jpg" for n in range(count))
    chosen = choose_faces(Tracked(names, shots, tracks), Wanted(only_track="biggest", smooth=False))
    assert set(chosen.faces) == set(names)
    assert Watched.looks <= 5 * count
