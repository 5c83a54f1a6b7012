"""Everything that can go wrong in words, and the exit code each kind gives a command.

    FaceLoomError                1   what happened, and what to do
    ├── UserError                2   the request cannot be carried out as given
    │   ├── MissingInput             a file or folder that a step needs is not there, or empty
    │   ├── BadOption                a value outside what an option accepts: "... Received: ..."
    │   └── NotAFace                 a picture without a face record, or landmarks that are no face
    ├── BrokenFile               1   a damaged file; carries its path
    ├── ToolFailed               1   ffmpeg or a device failed; carries its last words
    │   └── OutOfMemory              a device had no room for what it was given
    ├── PartialFailure           3   the step finished, but the items it has listed failed
    ├── ConfirmationNeeded       4   something is to be put away and nobody agreed to it yet
    └── Cancelled              130   the user pressed Ctrl-C; everything is in a consistent state

Any other exception is our own bug: traceback in a named log, exit 1. Success is exit 0.
"""

from __future__ import annotations

from pathlib import Path


class FaceLoomError(Exception):
    """One sentence what happened (`what`), one what to do about it (`remedy`, may be empty)."""

    exit_code = 1

    def __init__(self, what: str, remedy: str = "") -> None:
        super().__init__(f"{what} {remedy}".strip())
        self.what = what
        self.remedy = remedy


class UserError(FaceLoomError):
    """The request cannot be carried out as given."""

    exit_code = 2


class MissingInput(UserError):
    """A file or folder that a step needs is not there, or is empty."""


class BadOption(UserError):
    """A value outside what an option accepts. The sentence ends in `Received: <value>.`"""


class NotAFace(UserError):
    """A picture without a face record, or landmarks that cannot be a face."""


class BrokenFile(FaceLoomError):
    """A file that is damaged or not what its name says."""

    def __init__(self, path: Path | str, why: str, remedy: str = "") -> None:
        super().__init__(f"{path}: {why}", remedy)
        self.path = Path(path)
        self.why = why

    def __reduce__(self) -> tuple[type[BrokenFile], tuple[Path, str, str]]:
        # Exceptions travel between processes by their constructor arguments.
        return type(self), (self.path, self.why, self.remedy)


class ToolFailed(FaceLoomError):
    """An outside tool (ffmpeg) or a device failed; its last words are part of the sentence."""

    def __init__(self, tool: str, last_words: str, remedy: str = "") -> None:
        super().__init__(f"{tool} failed: {last_words.strip() or 'it said nothing'}", remedy)
        self.tool = tool
        self.last_words = last_words

    def __reduce__(self) -> tuple[type[ToolFailed], tuple[str, str, str]]:
        return type(self), (self.tool, self.last_words, self.remedy)


class OutOfMemory(ToolFailed):
    """A device had no room for what it was given; with less it may work."""


class PartialFailure(FaceLoomError):
    """The step finished, but some items failed; each has been listed with its reason."""

    exit_code = 3


class ConfirmationNeeded(FaceLoomError):
    """Something would be put away or replaced and nobody agreed to it yet."""

    exit_code = 4


class Cancelled(FaceLoomError):
    """The user stopped the step; files are in a consistent state."""

    exit_code = 130

    def __init__(self, what: str = "Stopped.", remedy: str = "") -> None:
        super().__init__(what, remedy)
