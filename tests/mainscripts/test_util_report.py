"""`util --report`: faults that were put into a faceset stand on the page, and what is in order is said to be.

Speaks for mainscripts.report_sections and mainscripts.report_looks, which hold the words.
"""

from __future__ import annotations

import dataclasses
import html.parser
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import BadOption, MissingInput
from core.images import write_image
from core.paths import Workspace
from core.progress import SILENT
from facelib.metadata import read_face, write_face
from mainscripts.extract_journal import FaceEntry, Fingerprint, FrameEntry, Journal
from mainscripts.report_page import Finding, Report, Section, render
from mainscripts.util_report import ReportFiles, write_report
from samplelib.pack import PACK_NAME, PackedFile, write_pack
from tests.painting import paint_background, write_painted_faceset

SIDE = 96


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """src looks ahead; dst also looks far left six times. src has a broken face, a copy and a file without record; dst
    has frames, one of them without a face."""
    workspace = Workspace(tmp_path_factory.mktemp("a b & (é) 工作"))
    src, dst = workspace.data_src_aligned, workspace.data_dst_aligned
    paths = write_painted_faceset(src, 14, SIDE, yaws=np.linspace(-0.15, 0.15, 14).tolist(), seed=5)
    jpeg, metadata = read_face(paths[4])
    scattered = np.random.default_rng(0).uniform(0, SIDE, (68, 2)).astype(np.float32)
    write_face(paths[4], jpeg, dataclasses.replace(metadata, landmarks=scattered))
    shutil.copyfile(paths[8], src / "00015_0.jpg")
    shutil.copyfile(Path(__file__).parent.parent / "data" / "formats" / "face_1.jpg", src / "cut off.jpg")
    (src / "cut off.jpg").write_bytes((src / "cut off.jpg").read_bytes()[:300])
    write_painted_faceset(dst, 12, SIDE, yaws=[0.0] * 6 + [0.75] * 6, seed=40)
    with Journal(dst) as journal:
        key = journal.use({})
        for n in range(1, 14):
            path = workspace.data_dst / f"{n:05d}.png"
            write_image(path, paint_background(640, 640, n))
            faces = (FaceEntry(f"{n:05d}_0.jpg", {}),) if n < 13 else ()
            journal.add(FrameEntry(path.name, Fingerprint.of(path), key, faces))
    return workspace


@pytest.fixture(scope="module")
def written(made: Workspace) -> ReportFiles:
    return write_report(made, made.data_src_aligned, None, made.root / "report of src.html", SILENT)


@pytest.fixture(scope="module")
def facts(written: ReportFiles) -> dict[str, Any]:
    return json.loads(written.data.read_text("utf-8"))


def section(files: ReportFiles, key: str) -> Section:
    return next(section for section in files.report.sections if section.key == key)


def test_the_gap_is_told_in_words_and_numbers(written: ReportFiles, facts: dict[str, Any]) -> None:
    sentences = [finding.sentence for finding in section(written, "coverage").findings]
    assert "dst looks 40° left in 6 faces; src has no such faces." in sentences
    (gap,) = facts["coverage"]["gaps"]
    assert gap == {"yaw": 40.0, "pitch": 0.0, "dst": 6, "src": 0, "uncovered": 6}
    assert facts["coverage"]["covered"] == 0.5


def test_the_broken_face_comes_first(written: ReportFiles, facts: dict[str, Any]) -> None:
    assert [face["file"] for face in facts["doubtful"]["faces"]] == ["00005_0.jpg"]
    (gallery,) = section(written, "doubtful").galleries
    assert gallery.pictures[0].jpeg.startswith(b"\xff\xd8")


def test_the_copy_and_the_broken_file_are_named(facts: dict[str, Any]) -> None:
    assert facts["duplicates"]["same_picture"] == 1
    assert [item["file"] for item in facts["problems"]["files"]] == ["cut off.jpg"]


def test_findings_come_by_weight(facts: dict[str, Any]) -> None:
    levels = [finding["level"] for finding in facts["findings"]]
    assert levels == sorted(levels, key=["act", "look", "good"].index)
    assert {"act", "good"} <= set(levels)


class _Parser(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "action", "poster", "srcset")]
        assert not [name for name, _ in attrs if name.startswith("on")]


def test_the_page_runs_nothing_and_fetches_nothing(written: ReportFiles) -> None:
    text = written.page.read_text("utf-8")
    parser = _Parser()
    parser.feed(text)
    assert not {"script", "link", "iframe", "object"} & set(parser.tags)
    assert parser.tags.count("img") > 20
    assert all(link.startswith(("data:image/jpeg;base64,", "#")) for link in parser.links)
    assert "url(" not in text
    anchors = {link[1:] for link in parser.links if link.startswith("#")}
    assert anchors <= set(re.findall(r'<section id="?([a-z]+)"?>', text))


def test_dst_is_told_of_its_frames(made: Workspace) -> None:
    files = write_report(made, made.data_dst_aligned, None, made.root / "dst.html", SILENT)
    assert files.report.title == "Faces of dst: 12"
    frames = section(files, "frames")
    assert frames.facts["empty"] == ["00013.png"]
    assert frames.facts["frames"] == 13
    assert "keep the old face" in frames.findings[0].advice
    assert section(files, "cut").facts["frames_not_found"] == 0
    assert "src has no such faces" in section(files, "coverage").findings[0].sentence


def test_a_faceset_alone_is_judged_alone(tmp_path: Path) -> None:
    write_painted_faceset(tmp_path / "faces", 5, SIDE)
    files = write_report(Workspace(tmp_path / "w"), tmp_path / "faces", None, None, SILENT)
    assert files.page == tmp_path / "faces_report.html"
    assert files.data == tmp_path / "faces_report.json"
    assert section(files, "coverage").facts["gaps"] is None
    again = write_report(Workspace(tmp_path / "w"), tmp_path / "faces", None, None, SILENT)  # takes its own place
    assert again.faces == 5


def test_a_pack_is_judged_as_its_files_are(tmp_path: Path) -> None:
    paths = write_painted_faceset(tmp_path / "faces", 5, SIDE)
    loose = write_report(Workspace(tmp_path), tmp_path / "faces", None, tmp_path / "a.html", SILENT).report.as_json()
    (tmp_path / "packed").mkdir()
    write_pack(tmp_path / "packed" / PACK_NAME, [PackedFile(path, path.name) for path in paths], SILENT)
    packed = write_report(Workspace(tmp_path), tmp_path / "packed", None, tmp_path / "b.html", SILENT).report.as_json()
    for key in ("doubtful", "coverage", "size", "sharpness", "color"):
        assert packed[key] == loose[key]


def test_a_file_that_is_no_report_is_not_overwritten(tmp_path: Path) -> None:
    write_painted_faceset(tmp_path / "faces", 2, SIDE)
    mine = tmp_path / "diary.html"
    mine.write_text("<p>Dear diary")
    with pytest.raises(BadOption, match="no report"):
        write_report(Workspace(tmp_path), tmp_path / "faces", None, mine, SILENT)
    assert mine.read_text() == "<p>Dear diary"
    with pytest.raises(BadOption, match=r"\.html"):
        write_report(Workspace(tmp_path), tmp_path / "faces", None, tmp_path / "x.pdf", SILENT)


def test_a_named_folder_without_faces_is_an_error(made: Workspace, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingInput):
        write_report(made, made.data_src_aligned, tmp_path / "empty", tmp_path / "r.html", SILENT)


def test_names_cannot_break_the_page() -> None:
    bad = "<script>alert(1)</script>"
    finding = Finding("act", bad, f"`{bad}`")
    page = render(Report(bad, bad, bad, bad, ((bad, bad),), (Section("x", bad, (finding,), {}),)))
    assert "<script" not in page
