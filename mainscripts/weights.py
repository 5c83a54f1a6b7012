"""`weights`: lists, fetches and verifies the ready face networks in `_internal/weights`."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import MissingInput
from core.options import Options, option
from core.paths import Workspace, weights_folder
from core.progress import Progress
from facelib.nets import pretrained
from facelib.nets.pretrained import State, WeightFile


@dataclass(kw_only=True)
class WeightsOptions(Options):
    fetch: bool = option(
        False, "Fetch what is missing", ask=False, help="Downloads (36 MB, once) the networks that are not there."
    )
    verify: bool = option(
        False, "Verify", ask=False, help="Fails unless every file is there with its recorded SHA-256."
    )


@dataclass(frozen=True)
class WeightsReport:
    """Every file with its state, and the files this run has written."""

    states: dict[WeightFile, State]
    fetched: list[WeightFile]


def run(workspace: Workspace, options: WeightsOptions, progress: Progress) -> WeightsReport:
    """Lists the weight files; with `fetch` brings what is missing first.

    Raises:
        ToolFailed: the archive could not be downloaded.
        MissingInput: `verify` was asked for and a file is missing or damaged.
    """
    del workspace  # the networks belong to the installation, not to one workspace
    fetched: list[WeightFile] = []
    if options.fetch:
        if any(pretrained.state(f) is not State.OK for f in pretrained.FILES):
            megabytes = pretrained.ARCHIVE_BYTES / 1e6
            progress.say(f"Fetching the face networks out of {pretrained.ARCHIVE} ({megabytes:.0f} MB, once) ...")
        fetched = pretrained.fetch(progress)
    states = {file: pretrained.state(file) for file in pretrained.FILES}
    progress.say(f"Face networks in {weights_folder()}:")
    for file, found in states.items():
        progress.say(f"  {found.value:<8} {file.name:<40} {file.size:>9,} bytes  {file.license}  {file.purpose}")
        progress.say(f"           SHA-256 {file.sha256}  from {file.origin}")
    bad = [file.name for file, found in states.items() if found is not State.OK]
    if bad and options.verify:
        raise MissingInput(f"Not there or damaged: {', '.join(bad)}.", pretrained.FETCH_REMEDY)
    if bad:
        progress.say(f"{len(bad)} of {len(states)} are not usable yet. {pretrained.FETCH_REMEDY}")
    return WeightsReport(states, fetched)
