"""Has all frames of a folder searched, and single places searched again: in processes, or here by neural networks."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from core import console
from core.errors import FaceLoomError
from core.images import read_image, to_uint8
from core.parallel import map_ordered
from core.progress import Progress
from facelib.extraction import FoundFace, NearFinder
from facelib.tracking import Gap
from mainscripts.extract_central import BatchFinder, located
from mainscripts.extract_findings import Finding, Findings
from mainscripts.extract_worker import FinderChoice, MakeFinder, find_again, find_in_frame, start_finding

_WORTH_A_PROCESS = 16


@dataclass(frozen=True, eq=False)
class Search:
    """Who searches.

    Attributes:
        central: finders in this process, one per device; () where each worker process makes its own.
        findings: what is known already, and where what is found goes.
    """

    make_finder: MakeFinder
    choice: FinderChoice
    central: Sequence[BatchFinder]
    workers: int
    findings: Findings
    progress: Progress

    def look(self, frames: Sequence[Path]) -> tuple[list[Finding | None], dict[str, str]]:
        """What is in every frame, searched or known from before; and frame name -> why it could not be read."""
        known = {path.name: self._known(path) for path in frames}
        problems: dict[str, str] = {}
        wanted = [path for path in frames if known[path.name] is None]
        if wanted:
            with self.progress.task("Finding faces", total=len(wanted)) as task:
                faces = 0
                for path, seen in self._searched(wanted):
                    if isinstance(seen, str):
                        problems[path.name] = seen
                    else:
                        self.findings.add(path.name, seen)
                        known[path.name] = seen
                        faces += len(seen.sight.faces)
                    task.note(f"{faces} faces")
                    task.advance()
        return [known[path.name] for path in frames], problems

    def _known(self, path: Path) -> Finding | None:
        try:
            return self.findings.of(path)
        except FaceLoomError:  # it cannot be looked at now; reading it will say why
            return None

    def _searched(self, frames: Sequence[Path]) -> Iterator[tuple[Path, Finding | str]]:
        if self.central:
            with contextlib.closing(located(frames, self.central)) as found:
                yield from found
            return
        workers = min(self.workers, len(frames))
        start = (self.make_finder, self.choice)
        outcomes = map_ordered(find_in_frame, frames, workers=workers, initializer=start_finding, initargs=start)
        for outcome in outcomes:
            if outcome.details:
                console.log_only(outcome.details)
            yield outcome.item, outcome.value or outcome.error or "unknown"

    def look_again(self, questions: Sequence[tuple[Path, Gap]]) -> list[FoundFace | None]:
        """The face at each place where a track leads; None where there is none."""
        answers = [self.findings.seen_again(path.name, gap.expected) for path, gap in questions]
        wanted = [question for question, answer in zip(questions, answers, strict=True) if answer is None]
        if wanted:
            with self.progress.task("Looking again where tracks lead", total=len(wanted)) as task:
                for (path, gap), found in zip(wanted, self._searched_again(wanted), strict=True):
                    if isinstance(found, str):  # not an answer: kept, it would be taken for nobody ever after
                        self.progress.say(f"{path.name} could not be searched again: {found}")
                    else:
                        self.findings.add_again(path.name, gap.expected, found)
                    task.advance()
            answers = [self.findings.seen_again(path.name, gap.expected) for path, gap in questions]
        return [answer[0] if answer is not None else None for answer in answers]

    def _searched_again(self, questions: Sequence[tuple[Path, Gap]]) -> Iterator[FoundFace | str | None]:
        """The face at each place, None where there is none, or why nobody could look."""
        if self.central:
            for path, gap in questions:
                yield _near(self.central[0], path, gap)
            return
        places = [(path, gap.expected) for path, gap in questions]
        workers = min(self.workers, len(places)) if len(places) >= _WORTH_A_PROCESS else 0
        start = (self.make_finder, self.choice)
        for outcome in map_ordered(find_again, places, workers=workers, initializer=start_finding, initargs=start):
            if outcome.details:
                console.log_only(outcome.details)
            yield outcome.error or outcome.value


def _near(finder: BatchFinder, path: Path, gap: Gap) -> FoundFace | str | None:
    try:
        return finder.find_near(to_uint8(read_image(path)), gap.expected) if isinstance(finder, NearFinder) else None
    except FaceLoomError as problem:
        return str(problem)
