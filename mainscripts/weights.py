"""`weights`: lists, fetches and verifies the ready face networks in `_internal/weights`."""

from __future__ import annotations

from dataclasses import dataclass

from core.errors import MissingInput
from core.options import Options, option
from core.paths import Workspace, weights_folder
from core.progress import Progress
from facelib.nets import pretrained
from facelib.nets.pretrained import OptionalFile, State, WeightFile


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
    """Every file with its state, the optional ones apart, and the files this run has written."""

    states: dict[WeightFile, State]
    fetched: list[WeightFile]
    optional: dict[OptionalFile, State]


def run(workspace: Workspace, options: WeightsOptions, progress: Progress) -> WeightsReport:
    """Lists the weight files; with `fetch` brings what is missing first.

    Raises:
        ToolFailed: the archive could not be downloaded.
        MissingInput: `verify` was asked for and a file is missing or damaged, or an optional one is damaged.
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
    optional = _tell_optional(progress)
    bad = [file.name for file, found in states.items() if found is not State.OK]
    if bad and options.verify:
        raise MissingInput(f"Not there or damaged: {', '.join(bad)}.", pretrained.FETCH_REMEDY)
    strange = [file for file, found in optional.items() if found is State.DAMAGED]
    if strange and options.verify:
        names = ", ".join(file.name for file in strange)
        raise MissingInput(f"Damaged or another version: {names}.", pretrained.optional_remedy(strange[0]))
    if bad:
        progress.say(f"{len(bad)} of {len(states)} are not usable yet. {pretrained.FETCH_REMEDY}")
    return WeightsReport(states, fetched, optional)


def _tell_optional(progress: Progress) -> dict[OptionalFile, State]:
    """Lists the networks that the user may supply; nothing fetches them."""
    states = {file: pretrained.optional_state(file) for file in pretrained.OPTIONAL_FILES}
    progress.say("Optional face networks of an older tool (never fetched; put them into the same folder):")
    for file, found in states.items():
        progress.say(f"  {found.value:<8} {file.name:<40} {file.purpose}")
        progress.say(f"           git blob {file.git_blob}")
    progress.say(f"  from {pretrained.OPTIONAL_ORIGIN}; its license applies to them")
    damaged = [file for file, found in states.items() if found is State.DAMAGED]
    if damaged:
        names = ", ".join(file.name for file in damaged)
        progress.say(f"Not the known content, so not used: {names}. {pretrained.optional_remedy(damaged[0])}")
    return states
