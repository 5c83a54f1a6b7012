"""Where a report goes: a page (.html) and the same for programs (.json) beside it, in place of no other file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from core.errors import BadOption
from core.files import atomic_write_text
from core.paths import sibling
from mainscripts.report_page import GENERATOR, Report, render

_HEAD = 4096
_SUFFIX = "report.html"


@dataclass(frozen=True)
class ReportPlaces:
    """The two files of a report.

    Attributes:
        schema: the first word of the JSON, by which an earlier report is known.
    """

    page: Path
    data: Path
    schema: str

    @classmethod
    def beside(cls, folder: Path, schema: str, page: Path | None = None) -> ReportPlaces:
        """Beside the folder that is judged (<folder>_report.html), unless another page is named.

        Raises:
            BadOption: the place of the page holds another file, or it is no .html file.
        """
        page = page or sibling(folder.absolute(), _SUFFIX)
        places = cls(page, page.with_suffix(".json"), schema)
        places._check()
        return places

    def _check(self) -> None:
        """Refuses to overwrite what is not an earlier report."""
        if self.page.suffix.casefold() not in (".html", ".htm"):
            raise BadOption(f"A report is an .html file. Received: {self.page}.")
        for path, mark in ((self.page, GENERATOR), (self.data, self.schema)):
            if path.is_dir():
                raise BadOption(f"The report cannot take the place of a folder. Received: {path}.")
            if path.is_file():
                with open(path, encoding="utf-8", errors="replace") as stream:
                    if mark not in stream.read(_HEAD):
                        raise BadOption(
                            f"There is a file that is no report of this command. Received: {path}.",
                            "Move it away, or name another place with --output.",
                        )

    def write(self, report: Report) -> None:
        """Writes both."""
        atomic_write_text(self.page, render(report))
        plain = json.dumps(report.as_json(), ensure_ascii=False, allow_nan=False, indent=1)
        atomic_write_text(self.data, plain + "\n")
