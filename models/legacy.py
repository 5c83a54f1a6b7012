"""The models of DeepFaceLab, read: SAEHD and Quick96. Source: spec models 1.5, 4, 5.7, 7.3, 9.1-9.3.

    <name>_<Class>_data.dat               object stream: iteration, options, loss history, preview batch
    <name>_<Class>_<part>.npy             object stream, whatever its suffix says: tensor name -> float32 array
    <name>_<Class>_<optimizer>_opt.npy    "iters:0", and "ms_" and "vs_" (AdaBelief) or "acc_" (RMSprop) + variable

Streams are read by core/legacy_pickle, which never runs one. What each file must hold follows from the options and is
known before it is opened (models/tensor_tables): a file that lacks a tensor, has one too many or one of another shape
is refused by name. Nothing is clipped, nothing is filled in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import BadOption, BrokenFile, MissingInput
from core.files import natural_sorted
from core.legacy_pickle import Limits, decode
from core.legacy_values import Refused
from models.architecture import Architecture, Dims
from models.quick96_options import Quick96Options
from models.saehd_options import SAEHDOptions
from models.tensor_tables import Table, autoencoder_tables, code_discriminator_table, patch_discriminator_table

DATA_SUFFIX = "_data.dat"

_QUICK96 = (Architecture("df", frozenset("ud")), Dims(resolution=96, ae=128, e=64, d=64, d_mask=16))
_DIMS = {"resolution": "resolution", "ae": "ae_dims", "e": "e_dims", "d": "d_dims", "d_mask": "d_mask_dims"}
_LARGEST_NUMBER = 65_536
_LARGEST_FILE = 16 << 30
_ROOTS = {"GAN": "D_src", "code_discriminator": "dis"}
_OPTIMIZERS = {"code_discriminator": "D_code_opt", "GAN": "GAN_opt"}
_SLOTS = (("ms", "vs"), ("acc",))
_OBSOLETE = {"eyes_prio", "random_flip"}
_KINDS: dict[type, tuple[str, ...]] = {
    int: (
        "resolution", "ae_dims", "e_dims", "d_dims", "d_mask_dims", "autobackup_hour", "target_iter", "batch_size",
        "gan_patch_size", "gan_dims",
    ),
    float: ("random_hsv_power", "true_face_power", "face_style_power", "bg_style_power", "gan_power"),
    str: ("face_type", "archi", "lr_dropout", "ct_mode"),
    bool: (
        "models_opt_on_gpu", "masked_training", "eyes_mouth_prio", "uniform_yaw", "blur_out_mask", "adabelief",
        "random_warp", "clipgrad", "pretrain", "write_preview_history", "random_src_flip", "random_dst_flip",
    ),
}  # fmt: skip

OptionValue = bool | int | float | str


@dataclass(frozen=True)
class LegacyFaces:
    """One side of the batch that previews show: warped, target (N, R, R, 3), mask, eyes_mouth_mask (N, R, R, 1), all
    float32 in [0, 1], BGR."""

    warped: np.ndarray
    target: np.ndarray
    mask: np.ndarray
    eyes_mouth_mask: np.ndarray


@dataclass(frozen=True)
class LegacyModel:
    """A model as its files hold it.

    Attributes:
        name, class_name: "new", "SAEHD".
        iteration: number of completed iterations.
        options: values by their names in that tool, the known ones alone.
        unknown_options: names of options that FaceLoom has no use for.
        architecture, dims: of the autoencoder.
        parts: weights by part ("encoder", ..., "GAN", "code_discriminator") and tensor ("down1/downs_0/conv1/weight");
            parts and optimizers are what `SwapModel.import_state` takes.
        optimizers: what each remembers ("optimizer", "GAN_optimizer", "code_discriminator_optimizer"): "iterations",
            "<ms, vs or acc>/<part>/<tensor>", and a "seed" of 0, since that tool keeps none.
        missing: files that are not there and that a model can do without, which then begin afresh.
        loss_history: (n, 2) float32, src and dst.
        preview: src and dst side of the preview batch; None where the file holds none of this resolution.
    """

    name: str
    class_name: str
    iteration: int
    options: Mapping[str, OptionValue]
    unknown_options: tuple[str, ...]
    architecture: Architecture
    dims: Dims
    parts: Mapping[str, Mapping[str, np.ndarray]]
    optimizers: Mapping[str, Mapping[str, np.ndarray]]
    missing: tuple[str, ...]
    loss_history: np.ndarray
    preview: tuple[LegacyFaces, LegacyFaces] | None

    def settings(self) -> SAEHDOptions | Quick96Options:
        """The options as ours, unclipped; those that the model does not know have our defaults."""
        ours: SAEHDOptions | Quick96Options = SAEHDOptions.of() if self.class_name == "SAEHD" else Quick96Options.of()
        known: dict[str, Any] = {name: value for name, value in self.options.items() if hasattr(ours, name)}
        if known.get("lr_dropout") == "cpu":
            known["lr_dropout"] = "y"  # the same, kept in another memory
        return replace(ours, **known)


def find_legacy_models(folder: Path) -> list[Path]:
    """The data files of all models in a folder, each of which `read_legacy_model` takes. MissingInput without one."""
    found = natural_sorted(path for path in folder.glob(f"*_*{DATA_SUFFIX}") if path.is_file())
    if not found:
        raise MissingInput(
            f"{folder} holds no model of DeepFaceLab.", f"Name the folder with the <name>_<Class>{DATA_SUFFIX} file."
        )
    return found


def read_legacy_model(data_file: Path) -> LegacyModel:
    """Reads a model from its data file and the files beside it.

    Raises:
        BrokenFile: a file is damaged, hostile, too short or too long, or holds other tensors than its options say.
        BadOption: a model of another class.
    """
    stem = data_file.name.removesuffix(DATA_SUFFIX)
    name, _, class_name = stem.rpartition("_")
    if class_name not in ("SAEHD", "Quick96") or not name or stem == data_file.name:
        raise BadOption(
            f"Models of the classes SAEHD and Quick96 can be read. Received: {data_file.name}.",
            f"Name a file <name>_SAEHD{DATA_SUFFIX} or <name>_Quick96{DATA_SUFFIX}.",
        )
    data = _mapping(data_file)
    iteration = data.get("iter")
    if type(iteration) is not int or iteration < 1:
        raise BrokenFile(data_file, "it tells of no completed iteration, so there is nothing to read yet.")
    options, unknown = _options(data_file, data.get("options"))
    architecture, dims = _QUICK96 if class_name == "Quick96" else _sizes(data_file, options)
    try:
        tables = autoencoder_tables(architecture, dims)
        critics = _critics(architecture, dims, options)
    except BadOption as problem:
        raise BrokenFile(data_file, f"its options describe no network: {problem.what}") from problem
    parts, optimizers, missing = _weights(data_file, stem, tables, critics)
    return LegacyModel(
        name=name,
        class_name=class_name,
        iteration=iteration,
        options=options,
        unknown_options=unknown,
        architecture=architecture,
        dims=dims,
        parts=parts,
        optimizers=optimizers,
        missing=missing,
        loss_history=_loss_history(data_file, data.get("loss_history")),
        preview=_preview(data.get("sample_for_preview"), dims.resolution),
    )


def read_legacy_weights(path: Path, table: Table) -> dict[str, np.ndarray]:
    """The tensors of a file of weights. BrokenFile unless they are exactly those of the table, float32 and finite."""
    return _fitting(path, _tensors(path), table)


def read_legacy_optimizer(path: Path, tables: Mapping[str, Table]) -> dict[str, np.ndarray]:
    """What an optimizer remembers of the parts it trains, as `LegacyModel.optimizers` holds it. Errors alike."""
    tensors = _tensors(path)
    iterations = tensors.pop("iters", None)
    if iterations is None or iterations.shape != () or iterations.dtype.kind not in "iu" or iterations < 0:
        raise BrokenFile(path, "it does not say how many updates were made (iters:0).")
    slots = next((slots for slots in _SLOTS if any(name.startswith(f"{slots[0]}_") for name in tensors)), _SLOTS[0])
    written: Table = {}  # as the file calls them
    ours: dict[str, str] = {}
    for slot in slots:
        for part, table in tables.items():
            for name, shape in table.items():
                key = f"{slot}_{_ROOTS.get(part, part)}/{name}_0"
                written[key], ours[key] = shape, f"{slot}/{part}/{name}"
    fitting = _fitting(path, tensors, written)
    slots_found = {ours[key]: tensor for key, tensor in fitting.items()}
    return {"iterations": iterations.astype(np.int64), "seed": np.array(0, np.int64), **slots_found}


def _weights(
    data_file: Path, stem: str, tables: dict[str, Table], critics: dict[str, Table]
) -> tuple[dict[str, Mapping[str, np.ndarray]], dict[str, Mapping[str, np.ndarray]], tuple[str, ...]]:
    """All files of weights and optimizers beside the data file; which of those that may be missing are."""
    parts: dict[str, Mapping[str, np.ndarray]] = {}
    optimizers: dict[str, Mapping[str, np.ndarray]] = {}
    missing = []
    for part, table in (tables | critics).items():
        path = data_file.with_name(f"{stem}_{part}.npy")
        if path.is_file():
            parts[part] = read_legacy_weights(path, table)
        elif part.startswith("inter") or part in critics:
            missing.append(path.name)
        else:
            raise BrokenFile(path, "it is missing, and without it the model is none.", "Copy all files of the model.")
    trained = {"optimizer": ("src_dst_opt", tables)}
    trained |= {f"{part}_optimizer": (_OPTIMIZERS[part], {part: table}) for part, table in critics.items()}
    for ours, (theirs, trained_tables) in trained.items():
        path = data_file.with_name(f"{stem}_{theirs}.npy")
        if path.is_file():
            optimizers[ours] = read_legacy_optimizer(path, trained_tables)
        else:
            missing.append(path.name)
    return parts, optimizers, tuple(missing)


def _critics(architecture: Architecture, dims: Dims, options: Mapping[str, OptionValue]) -> dict[str, Table]:
    """The tables of the discriminators in use; files of others may be left from earlier, of any size."""
    critics = {}
    if options.get("true_face_power") and architecture.family == "df":
        critics["code_discriminator"] = code_discriminator_table(architecture, dims)
    if options.get("gan_power"):
        patch = int(options.get("gan_patch_size", dims.resolution // 8))
        critics["GAN"] = patch_discriminator_table(patch, int(options.get("gan_dims", 16)))
    return critics


# Streams.


def _decoded(path: Path) -> Any:
    size = path.stat().st_size
    if size > _LARGEST_FILE:
        raise BrokenFile(path, f"it is {size >> 30} GB large; no model's file is.")
    try:
        return decode(path.read_bytes(), Limits.of_file(size))
    except Refused as problem:
        raise BrokenFile(path, f"it was not read, because {problem}", "Use files that a trainer wrote.") from problem


def _mapping(path: Path) -> dict[str, Any]:
    value = _decoded(path)
    if type(value) is not dict or any(type(key) is not str for key in value):
        raise BrokenFile(path, "it holds no values by name.")
    return value


def _tensors(path: Path) -> dict[str, np.ndarray]:
    """A file's tensors by name, without the ":0" that ends each."""
    tensors = {}
    for key, value in _mapping(path).items():
        if not key.endswith(":0") or not isinstance(value, np.ndarray | int | float):
            raise BrokenFile(path, f"its value '{key[:80]}' is no tensor.")
        tensors[key[:-2]] = np.asarray(value)
    return tensors


def _fitting(path: Path, tensors: Mapping[str, np.ndarray], table: Table) -> dict[str, np.ndarray]:
    """The tensors in the order of the table. BrokenFile naming whatever does not fit."""
    problems = []
    for name, tensor in tensors.items():
        if name in table and tensor.shape != table[name]:
            problems.append(f"{name} has shape {tensor.shape} instead of {table[name]}")
        elif name in table and tensor.dtype != np.float32:
            problems.append(f"{name} holds {tensor.dtype} instead of float32")
        elif name in table and not np.isfinite(tensor).all():
            problems.append(f"{name} holds values that are not finite")
    problems += [f"{name} is missing" for name in table if name not in tensors]
    problems += [f"{name[:80]} is unexpected" for name in tensors if name not in table]
    if problems:
        shown = "; ".join(problems[:6]) + (f"; and {len(problems) - 6} more" if len(problems) > 6 else "")
        raise BrokenFile(path, f"it does not fit the model's options: {shown}.", "Take all files from one model.")
    return {name: tensors[name] for name in table}


# What the data file holds.


def _options(path: Path, found: Any) -> tuple[dict[str, OptionValue], tuple[str, ...]]:
    """The known options, checked by kind, and the names of others."""
    if type(found) is not dict or any(type(key) is not str for key in found):
        raise BrokenFile(path, "it holds no options.")
    kinds = {name: kind for kind, names in _KINDS.items() for name in names}
    options = {
        name: _of_kind(path, name, value, kinds[name])
        for name, value in found.items()
        if name in kinds and value is not None
    }
    unknown = tuple(name[:80] for name in found if name not in kinds and name not in _OBSOLETE)
    return options, unknown


def _of_kind(path: Path, name: str, value: Any, kind: type) -> Any:
    """An option's value, which must be of the kind to the letter."""
    if name == "lr_dropout" and type(value) is bool:
        return "y" if value else "n"  # as it was written before there were three answers
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind or (isinstance(value, float) and not isfinite(value)):
        raise BrokenFile(path, f"its option {name} is no {kind.__name__}.")
    return value


def _sizes(path: Path, options: Mapping[str, OptionValue]) -> tuple[Architecture, Dims]:
    """What the options of a SAEHD model say of its networks."""
    numbers = {ours: options.get(theirs) for ours, theirs in _DIMS.items()}
    checked = [(_DIMS[ours], number) for ours, number in numbers.items()]
    checked += [(name, options.get(name, 16)) for name in ("gan_patch_size", "gan_dims")]
    for name, number in checked:
        if type(number) is not int or not 1 <= number <= _LARGEST_NUMBER:
            raise BrokenFile(path, f"its option {name} is missing or no number that a network can have.")
    try:
        architecture = Architecture.parse(str(options.get("archi")))
    except BadOption as problem:
        written = str(options.get("archi"))[:40]
        raise BrokenFile(path, f"its architecture '{written}' is none that is still in use.") from problem
    return architecture, Dims(**{ours: number for ours, number in numbers.items() if type(number) is int})


def _loss_history(path: Path, found: Any) -> np.ndarray:
    if isinstance(found, np.ndarray) and found.ndim == 2 and found.shape[1] == 2 and found.dtype.kind == "f":
        return found.astype(np.float32)
    rows = found if type(found) is list else None
    if rows is None or any(
        type(row) is not list or len(row) != 2 or any(type(number) not in (int, float) for number in row)
        for row in rows
    ):
        raise BrokenFile(path, "its loss history is not one of pairs of numbers.")
    return np.array(rows, np.float32).reshape(-1, 2)


def _preview(found: Any, resolution: int) -> tuple[LegacyFaces, LegacyFaces] | None:
    """The preview batch, channels last; None where it is not two sides of four pictures each of the resolution."""
    if type(found) is not list or len(found) != 2:
        return None
    sides = []
    for side in found:
        if type(side) is not list or len(side) != 4 or any(not isinstance(array, np.ndarray) for array in side):
            return None
        pictures = []
        for array, channels in zip(side, (3, 3, 1, 1), strict=True):
            if array.ndim == 4 and array.shape[1:] == (channels, resolution, resolution):
                array = array.transpose(0, 2, 3, 1)
            wanted = (len(side[0]), resolution, resolution, channels)
            if array.shape != wanted or array.dtype != np.float32:
                return None
            pictures.append(np.ascontiguousarray(array))
        sides.append(LegacyFaces(*pictures))
    return sides[0], sides[1]
