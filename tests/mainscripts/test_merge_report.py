"""`merge --report` on a painted shot with known troubles: each is named exactly, and nothing else is.

Speaks for mainscripts.merge_report_sections, mainscripts.merge_report_steadiness, mainscripts.merge_report_faces and
mainscripts.merge_report_words, whose words it reads.
"""

from __future__ import annotations

import html.parser
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BadOption, MissingInput, PartialFailure
from core.images import read_gray, write_image
from core.options import resolve
from core.paths import Workspace
from core.progress import SILENT, SilentProgress
from mainscripts import merge
from mainscripts.merge_report import ReportOptions, WrittenReport, run
from merger.meters import METERS_NAME, MeterRecord, write_meters
from tests.mainscripts.merge_with_stub import open_stub
from tests.mainscripts.merged_shot import MergedShot
from tests.merger.scenes import PLAIN

SURE = {"score": 0.9, "presence": 20.0}


def judge(workspace: Workspace, **given: Any) -> WrittenReport:
    return run(workspace, resolve(ReportOptions, {"workers": 1, **given}), SILENT)


def facts(written: WrittenReport) -> dict[str, Any]:
    return json.loads(written.data.read_text("utf-8"))


def named(part: list[dict[str, Any]]) -> list[str]:
    """The frames of a list of the JSON, in order of their names, without suffix and zeros."""
    return sorted((item["frame"].removesuffix(".png").lstrip("0") for item in part), key=int)


@pytest.fixture(scope="module")
def troubled(tmp_path_factory: pytest.TempPathFactory) -> MergedShot:
    """Four scenes: 1-17, 18-24, 25 alone, 26-29."""
    shot = MergedShot(tmp_path_factory.mktemp("a b") / "工作 'x' \"y\" <b>")
    special: dict[int, dict[str, Any]] = {
        4: {"brighter": 14},
        8: {"jump": 3.0},
        12: {"face": False},
        14: {"copied": True},
        16: {"copied": True, "recorded": False},
        20: {"edge": True},
        22: {"finding": {"score": 0.3, "presence": 5.0}},
    }
    for number in range(1, 18):
        shot.add(3, **{"finding": SURE, **special.get(number, {})})
    for number in range(18, 25):
        shot.add(11, **{"finding": SURE, **special.get(number, {})})
    shot.add(23, yaw=1.25, finding=SURE)
    for _ in range(4):
        shot.add(29, brighter=60, finding=SURE)
    place = shot.workspace
    (place.data_dst_merged / "00010.png").unlink()
    whole = (place.data_dst_merged / "00015.png").read_bytes()
    (place.data_dst_merged / "00015.png").write_bytes(whole[:200])
    (place.data_dst_merged_mask / "00017.png").unlink()
    return shot


@pytest.fixture(scope="module")
def written(troubled: MergedShot) -> WrittenReport:
    return judge(troubled.workspace)


def test_it_stands_beside_the_merged_frames(troubled: MergedShot, written: WrittenReport) -> None:
    assert written.page == troubled.workspace.data_dst / "merged_report.html"
    assert written.data == troubled.workspace.data_dst / "merged_report.json"
    assert facts(written)["schema"] == "MergeReport.1"


def test_unfinished_frames_are_named_with_their_cause(written: WrittenReport) -> None:
    told = facts(written)["unfinished"]
    assert named(told["missing"]) == ["10"]
    assert named(told["broken"]) == ["15", "17"]
    reasons = {item["frame"]: item["what"] for item in told["broken"]}
    assert reasons["00015.png"].startswith("cannot be read: the merged frame: ")
    assert reasons["00017.png"] == "has no mask file"
    assert told["failed"] == [{"frame": "00016.png", "what": "is a copy of its source: it could not be merged"}]
    assert told["unchanged"] == [{"frame": "00014.png", "what": "is merged, and yet the same as its source"}]


def test_what_is_read_first_has_a_subject_and_agrees_with_the_numbers(written: WrittenReport) -> None:
    text = written.page.read_text("utf-8")
    assert "<h1>Merged shot: 29 frames</h1>" in text  # of which 28 are merged
    assert "Why: 00016.png is a copy of its source: it could not be merged." in text
    assert "Why: 00015.png cannot be read: the merged frame: " in text
    assert "; 00017.png has no mask file." in text
    assert text.count("second difference") == text.count("twice what a single frame is off") == 2


def test_the_first_sentence_says_what_to_do(written: WrittenReport) -> None:
    expected = (
        "Do not make the video yet: 4 frames are unfinished (00010.png, 00015.png to 00017.png (3)); "
        "mend the cause named below and run merge again, which renders only them."
    )
    assert facts(written)["headline"] == expected


def test_flicker_jitter_and_color_are_where_they_were_painted(written: WrittenReport) -> None:
    told = facts(written)
    flickering = named(told["flicker"]["frames"])
    assert "4" in flickering
    assert set(flickering) <= {"3", "4", "5"}  # a second difference reaches one frame to each side
    assert told["flicker"]["frames"][0]["frame"] == "00004.png"
    assert named(told["jitter"]["frames"]) == ["7", "8", "9"]
    assert told["jitter"]["frames"][0]["frame"] == "00008.png"
    assert named(told["color"]["frames"]) == ["26", "27", "28", "29"]
    assert told["color"]["all"]["middle"] < 3
    assert told["frames"]["flicker"][3] > 2 * told["frames"]["source_flicker"][3]


def test_faces_at_the_edge_turned_or_doubtful_are_named(written: WrittenReport) -> None:
    told = facts(written)
    assert told["border"]["frames"] == [{"frame": "00020.png", "what": "the mask touches the left edge of the frame"}]
    assert named(told["yaw"]["frames"]) == ["25"]
    assert "left" in told["yaw"]["frames"][0]["what"]
    doubtful = {item["frame"]: item["what"] for item in told["confidence"]["doubtful"]}
    assert "30 % sure" in doubtful["00022.png"]
    assert told["confidence"]["least_sure"][0]["frame"] == "00022.png"
    assert told["without"] == {"count": 1, "frames": ["00012.png"]}


def test_scenes_are_a_table(written: WrittenReport) -> None:
    rows = facts(written)["scenes"]["scenes"]
    assert [(row["first"], row["last"]) for row in rows] == [
        ("00001.png", "00017.png"),
        ("00018.png", "00024.png"),
        ("00025.png", "00025.png"),
        ("00026.png", "00029.png"),
    ]
    assert [row["without_face"] for row in rows] == [1, 0, 0, 0]
    assert rows[2]["flicker"] is None
    assert rows[3]["stand_out"] == 4
    text = written.page.read_text("utf-8")
    assert "<th>First frame</th>" in text or "<th class=number>First frame</th>" in text


class _Parser(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action", "poster", "srcset")]
        assert not [name for name, _ in attrs if name.startswith("on")]

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def test_the_page_is_whole_by_itself_and_escapes_names(troubled: MergedShot, written: WrittenReport) -> None:
    text = written.page.read_text("utf-8")
    parser = _Parser()
    parser.feed(text)
    assert not {"script", "link", "iframe", "object"} & set(parser.tags)
    assert "b" in parser.tags  # of the page itself
    assert str(troubled.workspace.data_dst_merged) in "".join(parser.text)
    assert "url(" not in text
    assert all(link.startswith(("data:image/jpeg;base64,", "#")) for link in parser.links)
    assert {link[1:] for link in parser.links if link[0] == "#"} <= set(re.findall(r'<section id="?([a-z]+)"?>', text))
    assert parser.tags.count("img") >= 12
    assert "<circle" in text
    assert text.index("Do not make the video yet") < text.index("What to do")


def test_every_strip_that_can_be_drawn_is_there(written: WrittenReport) -> None:
    for section in written.report.sections:
        for gallery in section.galleries:
            assert all(picture.jpeg.startswith(b"\xff\xd8") for picture in gallery.pictures), section.key


def test_a_shot_in_order_is_told_so_and_says_so_again(tmp_path: Path) -> None:
    shot = MergedShot(tmp_path)
    for _ in range(4):
        shot.add(5, finding=SURE)
    first = judge(shot.workspace)
    assert facts(first)["headline"].startswith("Nothing stands out")
    assert all(finding.level == "good" for _, finding in first.report.findings)
    assert facts(judge(shot.workspace))["frames"] == facts(first)["frames"]  # takes the place of the first


def test_what_goes_through_the_whole_shot_comes_first_then_single_places(tmp_path: Path) -> None:
    shot = MergedShot(tmp_path / "all")
    for _ in range(4):
        shot.add(5, brighter=60)
    said = facts(judge(shot.workspace))["headline"]
    assert re.fullmatch(r"Mend this before you look closer: the new face is .* in 4 frames \(.*\)\.", said)
    shot = MergedShot(tmp_path / "one")
    for number in range(4):
        shot.add(5, edge=number == 2)
    said = facts(judge(shot.workspace))["headline"]
    expected = "Look at 00003.png before you watch the whole: the mask touches the left edge of the frame."
    assert said == expected


def test_one_frame(tmp_path: Path) -> None:
    shot = MergedShot(tmp_path)
    shot.add(5)
    told = facts(judge(shot.workspace))
    assert told["flicker"]["all"] is None
    assert told["color"]["all"]["middle"] > 0
    assert "these faces do not say" in written_page(shot)


def written_page(shot: MergedShot) -> str:
    return (shot.workspace.data_dst / "merged_report.html").read_text("utf-8")


def test_masks_that_cover_next_to_nothing_are_not_fine(tmp_path: Path) -> None:
    """As of a model that was hardly trained: the face cannot be measured because it hardly shows."""
    shot = MergedShot(tmp_path)
    for number in range(1, 5):
        shot.add(3, finding=SURE)
        mask = shot.workspace.data_dst_merged_mask / shot.name(number)
        write_image(mask, read_gray(mask) // 4)
    page = judge(shot.workspace).page.read_text("utf-8")
    assert "nothing could be measured, because no mask covers its face by half" in page
    assert "in three merged frames in a row" not in page
    for number in range(1, 5):
        (shot.workspace.data_dst_merged_mask / shot.name(number)).unlink()
    assert "in three merged frames in a row" in judge(shot.workspace).page.read_text("utf-8")


def test_without_any_face(tmp_path: Path) -> None:
    shot = MergedShot(tmp_path)
    for _ in range(3):
        shot.add(5, face=False)
    told = facts(judge(shot.workspace))
    assert told["without"]["count"] == 3
    assert told["jitter"]["all"] is None
    assert "because there are no faces" in written_page(shot)


def test_faces_that_were_laid_in_are_told_apart(tmp_path: Path) -> None:
    shot = MergedShot(tmp_path)
    for number in range(5):
        shot.add(5, face=number != 2)
    record = MeterRecord(2, "00003", 1, (80.0, 60.0), 60.0, 0.0, 0.0, 0.0, bridged=True)
    write_meters(shot.workspace.data_dst_merged / METERS_NAME, [record])
    told = facts(judge(shot.workspace))["without"]
    assert (told["count"], named(told["bridged"])) == (0, ["3"])
    page = written_page(shot)
    assert "one was laid in between those around it (merge --fill-missing), in 1 frame (00003.png)" in page
    assert "Every other frame has a face." in page


def test_a_source_frame_that_cannot_be_read_does_not_stop_it(tmp_path: Path) -> None:
    shot = MergedShot(tmp_path)
    for _ in range(4):
        shot.add(5)
    (shot.workspace.data_dst / "00002.png").write_bytes(b"no picture")
    told = facts(judge(shot.workspace))
    assert named(told["unfinished"]["broken"]) == ["2"]
    assert len(told["scenes"]["scenes"]) == 1


def test_frames_of_another_size_are_told(tmp_path: Path) -> None:
    shot = MergedShot(tmp_path)
    for _ in range(3):
        shot.add(5)
    write_image(shot.workspace.data_dst_merged / "00002.png", np.zeros((48, 48, 3), np.uint8))
    assert facts(judge(shot.workspace))["unfinished"]["other_size"] == ["00002.png"]


def test_what_is_missing_is_said(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    with pytest.raises(MissingInput):
        judge(workspace)
    shot = MergedShot(tmp_path)
    shot.add(5)
    (workspace.data_dst_merged / "00001.png").unlink()
    with pytest.raises(MissingInput, match="is merged"):
        judge(workspace)


def test_another_file_in_its_place_stays(tmp_path: Path) -> None:
    shot = MergedShot(tmp_path)
    shot.add(5)
    diary = tmp_path / "diary.html"
    diary.write_text("<p>Dear diary")
    with pytest.raises(BadOption, match="no report"):
        judge(shot.workspace, output=diary)
    assert diary.read_text() == "<p>Dear diary"


def test_worker_processes_see_the_same_and_the_steps_are_told(tmp_path: Path) -> None:
    class Titles(SilentProgress):
        seen: list[tuple[str, int | None]] = []  # noqa: RUF012

        def task(self, title: str, total: int | None, unit: str = "frame", *, brief: bool = False) -> Any:
            self.seen.append((title, total))
            return super().task(title, total, unit, brief=brief)

    shot = MergedShot(tmp_path)
    for _ in range(17):
        shot.add(5)
    progress = Titles()
    several = run(shot.workspace, resolve(ReportOptions, {"workers": 2, "output": tmp_path / "2.html"}), progress)
    alone = judge(shot.workspace)
    assert facts(several)["frames"] == facts(alone)["frames"]
    assert ("Looking at merged frames", 17) in progress.seen


def merge_with_report(shot: MergedShot, monkeypatch: pytest.MonkeyPatch) -> None:
    """Merges the frames of a shot with a stand-in for the model; what lay among the merged is not of this step."""
    monkeypatch.setattr(merge, "open_model", open_stub)
    options = resolve(merge.MergeOptions, {"model": "Quick96", "workers": 1, "report": True, **PLAIN})
    merge.run(shot.workspace, options, SILENT)


def test_a_merge_judges_what_it_has_just_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shot = MergedShot(tmp_path)
    for _ in range(5):
        shot.add(5)
    (shot.workspace.data_dst / "00003.png").write_bytes(b"no picture")
    with pytest.raises(PartialFailure):
        merge_with_report(shot, monkeypatch)
    told = json.loads((shot.workspace.data_dst / "merged_report.json").read_text("utf-8"))
    assert named(told["unfinished"]["failed"]) == ["3"]
    assert told["unfinished"]["failed"][0]["what"].startswith("could not be merged: ")
    assert len(told["frames"]["names"]) == 5
    assert told["frames"]["color"][0] > 5  # the stand-in tints every face


def test_what_is_in_the_way_is_told_before_anything_is_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shot = MergedShot(tmp_path)
    shot.add(5)
    before = (shot.workspace.data_dst_merged / "00001.png").read_bytes()
    (shot.workspace.data_dst / "merged_report.html").write_text("<p>Dear diary")
    with pytest.raises(BadOption, match="no report"):
        merge_with_report(shot, monkeypatch)
    assert (shot.workspace.data_dst_merged / "00001.png").read_bytes() == before
