"""Pretraining: a model learns faces as such, from many people, before it learns a pair.

While a model's setting `pretrain` is on, the faces of one folder are both sides of its training. When it is switched
off, the parts that know whom they saw start afresh and the iterations count from 0; the pretrained state is kept as a
backup first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import BadOption, BrokenFile, FaceLoomError, MissingInput
from core.options import Asker, OptionSpec, specs
from core.paths import Workspace, pretraining_faces_folder
from core.progress import Progress
from mainscripts.train_options import TrainOptions
from models.registry import options_class

if TYPE_CHECKING:
    from models.base import SwapModel
    from models.checkpoint import CheckpointStore
    from models.checkpoint_files import TrainingState

SETTING = "pretrain"
"""The model's setting; a class that has none knows no pretraining."""


def faces_folder(options: TrainOptions) -> Path:
    """Where the faces for pretraining lie, or should. The path of a pack means its folder."""
    folder = options.pretraining_data_dir or pretraining_faces_folder()
    return folder.parent if folder.is_file() else folder


def refusal(options: TrainOptions) -> BadOption | None:
    """Why pretraining cannot be: there is no face in its folder. None where it can."""
    from samplelib.faceset import face_places

    folder = faces_folder(options)
    try:
        if face_places(folder)[0]:
            return None
    except MissingInput:
        pass
    except BrokenFile as problem:
        return BadOption(f"Pretraining needs faces: {problem.what}", problem.remedy)
    return BadOption(
        f"Pretraining needs faces of many people, and there are none in {folder}.",
        "Put a faceset there, loose or as a pack, or name another folder with --pretraining-data-dir.",
    )


def require_faces(options: TrainOptions, workspace: Workspace) -> None:
    """Before a new model's questions: raises MissingInput where it could train on nothing, not even pretrain."""
    from samplelib.faceset import require_face_files

    knows_pretraining = any(spec.name == SETTING for spec in specs(options_class(options.model)))
    if knows_pretraining and refusal(options) is None:
        return
    require_face_files(options.training_data_src_dir or workspace.data_src_aligned)
    require_face_files(options.training_data_dst_dir or workspace.data_dst_aligned)


def care_about_faces(asker: Asker, options: TrainOptions, say: Callable[[str], None]) -> Asker:
    """An asker that takes no yes to pretraining where it cannot be."""
    return _Careful(asker, options, say)


@dataclass
class _Careful:
    asker: Asker
    options: TrainOptions
    say: Callable[[str], None]

    def ask(self, spec: OptionSpec, default: Any) -> Any:
        answer = self.asker.ask(spec, default)
        while spec.name == SETTING and answer and (problem := refusal(self.options)) is not None:
            self.say(str(problem))
            answer = self.asker.ask(spec, False)
        return answer


def is_over(saved: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    """Whether a model that was in pretraining when it was saved now leaves it."""
    return bool(saved.get(SETTING)) and not values.get(SETTING)


def end(model: SwapModel, store: CheckpointStore, state: TrainingState, progress: Progress) -> TrainingState:
    """Leaves pretraining: keeps the pretrained state as a backup, resets what must not be kept, counts from 0.

    Returns:
        The state the training goes on from: without iterations.

    Raises:
        FaceLoomError: the backup cannot be made; nothing has changed then.
    """
    from models.history import LossHistory
    from models.preview import put_history_aside

    try:
        slot = store.backups.make(store.current if store.current.exists() else store.previous)
    except FaceLoomError as problem:
        raise FaceLoomError(
            f"The pretrained model could not be kept as a backup, so pretraining was not ended. {problem.what}",
            problem.remedy,
        ) from problem
    parts = list(model.parts_reset_after_pretraining)
    for part in parts:
        model.reset_part(part)
    model.count_from_zero()
    progress.say(
        f"Pretraining is over after {state.iteration:,} iterations. The pretrained model is kept: {slot} "
        f"(--restore-backup {int(slot.name)}).\n"
        f"Started afresh: {', '.join(parts) or 'nothing'}. The other parts keep what they learned, and the iterations "
        "count from 0."
    )
    try:
        aside = put_history_aside(store.folder / "previews")
    except FaceLoomError as problem:
        progress.say(f"The previews kept of the pretraining stay among those to come. {problem}")
    else:
        if aside is not None:
            progress.say(f"The previews kept of the pretraining: {aside}.")
    return replace(
        state,
        history=LossHistory(),
        batch_number=0,
        seconds=0.0,
        seconds_waited=0.0,
        backup_seconds=0.0,
        rollbacks=0,
    )
