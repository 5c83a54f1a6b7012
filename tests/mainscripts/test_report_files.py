"""Where reports go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.errors import BadOption
from mainscripts.report_files import ReportPlaces
from mainscripts.report_page import Finding, Gallery, Report, Section, Table

EVIL = "<script>'\"&\u5de5\u4f5c b"


def report(schema: str = "Test.1") -> Report:
    table = Table(EVIL, (EVIL, "n"), ((EVIL, "1,204"),), ("look",))
    section = Section("x", EVIL, (Finding("act", EVIL, f"`{EVIL}`"),), {"n": EVIL}, tables=(table,),
                      galleries=(Gallery(EVIL, (), 0, wide=True),))  # fmt: skip
    return Report(EVIL, EVIL, "", "", ((EVIL, EVIL),), (section,), headline=f"do {EVIL}", schema=schema)


def test_page_and_data_stand_beside_the_folder(tmp_path: Path) -> None:
    places = ReportPlaces.beside(tmp_path / "a b.c", "Test.1")
    assert (places.page.name, places.data.name) == ("a b.c_report.html", "a b.c_report.json")
    places.write(report())
    page = places.page.read_text("utf-8")
    assert "<script" not in page
    assert "<td class=number>1,204</td>" in page
    assert json.loads(places.data.read_text("utf-8"))["headline"] == f"do {EVIL}"
    ReportPlaces.beside(tmp_path / "a b.c", "Test.1").write(report())  # takes its own place


def test_another_report_and_other_files_are_kept(tmp_path: Path) -> None:
    ReportPlaces.beside(tmp_path / "a", "Test.1").write(report())
    with pytest.raises(BadOption, match="no report"):
        ReportPlaces.beside(tmp_path / "a", "Other.1")
    with pytest.raises(BadOption, match=r"\.html"):
        ReportPlaces.beside(tmp_path / "a", "Test.1", tmp_path / "a.pdf")
    (tmp_path / "b_report.html").mkdir()
    with pytest.raises(BadOption, match="folder"):
        ReportPlaces.beside(tmp_path / "b", "Test.1")
