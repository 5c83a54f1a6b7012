"""Which models there are: the classes this program knows, and the trained ones in a model folder.

A model lies in `<model folder>/<name>_<Class>`. The class is the end of the folder's name, so a name may hold `_` and
any letters of any script. Neural frameworks load only when a model is built.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import BadOption, BrokenFile, MissingInput
from core.options import Options, resolve, specs
from models.base import TRAINING_PARTS

if TYPE_CHECKING:
    from models.base import SwapModel
    from models.checkpoint import Checkpoint

MODEL_CLASSES = ("SAEHD", "Quick96")
"""The class words, as on the command line and in folder names."""

_FORBIDDEN = set('/\\:*?"<>|')
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
_LONGEST_NAME = 120  # bytes; leaves room for the class and for what is written beside a folder


@dataclass(frozen=True)
class SavedModel:
    """A trained model.

    Attributes:
        name: as the user gave it.
        class_name: one of MODEL_CLASSES.
        folder: where it lies.
        iteration: of the last save; None when its figures cannot be read.
        saved_at: time of the last save.
    """

    name: str
    class_name: str
    folder: Path
    iteration: int | None
    saved_at: datetime


def model_classes() -> dict[str, type[SwapModel]]:
    """Class word -> class. Loads the neural framework."""
    from models.quick96 import Quick96
    from models.saehd import SAEHD

    return {SAEHD.name: SAEHD, Quick96.name: Quick96}


def options_class(class_name: str) -> type[Options]:
    """The settings a model of this class remembers. Loads no neural framework."""
    from models.quick96_options import Quick96Options
    from models.saehd_options import SAEHDOptions

    return {"SAEHD": SAEHDOptions, "Quick96": Quick96Options}[class_name]


def build_model(
    class_name: str,
    values: Mapping[str, Any],
    *,
    device: str = "auto",
    precision: str = "fp32",
    seed: int = 0,
    training: bool = True,
) -> SwapModel:
    """Builds a model with weights drawn from the seed.

    Args:
        values: its settings by name, as a model remembers them; what is not there takes its default.
        training: False for use alone: nothing is built that only training needs.

    Raises:
        BadOption: a class, value, device or precision that does not exist.
        FaceLoomError: the device cannot be used.
    """
    if class_name not in MODEL_CLASSES:
        raise BadOption(f"A model class is one of {', '.join(MODEL_CLASSES)}. Received: {class_name}.")
    if unknown := values.keys() - known_values(class_name, values).keys():
        raise BadOption(f"A {class_name} model has no setting named {', '.join(sorted(unknown))}.")
    options = resolve(options_class(class_name), {}, saved=values)
    build: Any = model_classes()[class_name]
    model: SwapModel = build(options, device=device, precision=precision, seed=seed, training=training)
    return model


def read_for_use(saved: SavedModel) -> Checkpoint:
    """The checkpoint of a trained model, without what only training needs.

    Raises:
        MissingInput: it was never saved.
        BadOption: it is still pretraining: it has seen neither of the two people.
        BrokenFile: it is damaged.
    """
    from models.checkpoint import CheckpointStore

    found = CheckpointStore(saved.folder).read(without=TRAINING_PARTS)
    if found is None:
        raise MissingInput(
            f"The model in {saved.folder} was never saved.", f"Train it first: 6) train {saved.class_name}."
        )
    if found.state.options.get("pretrain"):
        raise BadOption(
            f"The model {saved.name} is still pretraining; it has seen neither of the two people.",
            f"Go on with 6) train {saved.class_name} and --set pretrain=n first.",
        )
    return found


def load_model(
    saved: SavedModel, *, device: str = "auto", precision: str = "fp32", found: Checkpoint | None = None
) -> tuple[SwapModel, list[str]]:
    """Builds a trained model for use, without what only training needs.

    Args:
        found: its checkpoint, where `read_for_use` has read it already.

    Returns:
        The model, and what the user should hear about its checkpoint.

    Raises:
        UserError, BrokenFile: see `read_for_use`.
        FaceLoomError: the weights do not fit; the sentence says how to go on.
    """
    from models.checkpoint import load_weights

    found = found or read_for_use(saved)
    values = known_values(saved.class_name, found.state.options)
    model = build_model(saved.class_name, values, device=device, precision=precision, training=False)
    load_weights(model, found, model.part_names)
    return model, list(found.notes)


def known_values(class_name: str, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Of saved answers those that this version's class knows; others are left alone."""
    names = {spec.name for spec in specs(options_class(class_name))}
    return {name: value for name, value in saved.items() if name in names}


def check_name(text: str) -> str:
    """A model's name as it will be used: composed Unicode, without blanks around it.

    Raises:
        BadOption: empty, too long, or something that cannot be a folder's name on every system.
    """
    name = unicodedata.normalize("NFC", text).strip()
    wrong = ""
    if not name:
        wrong = "needs at least one letter"
    elif bad := sorted({c for c in name if c in _FORBIDDEN or unicodedata.category(c)[0] == "C"}):
        wrong = f"cannot hold {' '.join(c if c.isprintable() else repr(c) for c in bad)}"
    elif name.startswith(".") or name.endswith("."):
        wrong = "cannot begin or end with a dot"
    elif name.casefold().partition(".")[0] in _RESERVED:
        wrong = "cannot be a word that Windows keeps for devices"
    elif len(name.encode()) > _LONGEST_NAME:
        wrong = f"cannot be longer than {_LONGEST_NAME} bytes"
    if wrong:
        raise BadOption(f"The name of a model {wrong}. Received: {text}.", "Letters, digits, blanks and _ always work.")
    return name


def model_folder(folder: Path, name: str, class_name: str) -> Path:
    """Where the model of that name lies, or will."""
    return folder / f"{check_name(name)}_{class_name}"


def list_models(folder: Path, class_name: str) -> list[SavedModel]:
    """The trained models of one class, the one saved last first."""
    if not folder.is_dir():
        return []
    ending = f"_{class_name}"
    found = [_look_at(path, class_name) for path in folder.iterdir() if path.is_dir() and path.name.endswith(ending)]
    return sorted((m for m in found if m is not None), key=lambda m: (m.saved_at, m.name), reverse=True)


def _look_at(folder: Path, class_name: str) -> SavedModel | None:
    from models.checkpoint import CheckpointStore
    from models.checkpoint_files import read_figures

    name = folder.name.removesuffix(f"_{class_name}")
    iteration: int | None = None
    places = CheckpointStore(folder).saves
    if not name or not places:
        return None
    for place in places:
        try:
            iteration = int(read_figures(place)["iteration"])
            break
        except (BrokenFile, KeyError, TypeError, ValueError):
            continue
    saved_at = max(datetime.fromtimestamp(place.stat().st_mtime) for place in places)
    return SavedModel(name, class_name, folder, iteration, saved_at)


def describe(saved: SavedModel) -> str:
    """One line of a list: "iteration 12,345, saved 2026-03-01 18:20"."""
    iteration = "damaged" if saved.iteration is None else f"iteration {saved.iteration:,}"
    return f"{iteration}, saved {saved.saved_at:%Y-%m-%d %H:%M}"


def find_model(folder: Path, class_name: str, name: str | None = None) -> SavedModel:
    """A trained model by name; the newest when no name is given. Never makes one.

    Raises:
        MissingInput: there is none, or none of that name; those that exist are listed.
    """
    models = list_models(folder, class_name)
    if not models:
        remedy = f"Train one first: 6) train {class_name}."
        if others := [m for other in MODEL_CLASSES if other != class_name for m in list_models(folder, other)]:
            remedy = f"Those of another class: {', '.join(f'--model {m.class_name} ({m.name})' for m in others)}."
        raise MissingInput(f"There is no trained {class_name} model in {folder}.", remedy)
    if name is None:
        return models[0]
    wanted = check_name(name)
    for model in models:
        if model.name == wanted:
            return model
    listed = "; ".join(f"{model.name} ({describe(model)})" for model in models)
    raise MissingInput(
        f"There is no {class_name} model of that name in {folder}. Received: {name}.", f"There are: {listed}."
    )
