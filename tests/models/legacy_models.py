"""Models as DeepFaceLab stores them, made for tests by FaceLoom's own writer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from core.legacy_writer import encode
from models.architecture import Architecture, Dims
from models.tensor_tables import Table, autoencoder_tables, patch_discriminator_table

DIMS = Dims(resolution=64, ae=6, e=2, d=2, d_mask=2)


def options(**changes: Any) -> dict[str, Any]:
    """The options of a small model; a change to `...` leaves its key out."""
    plain: dict[str, Any] = {
        "resolution": 64, "face_type": "wf", "models_opt_on_gpu": True, "archi": "liae-ud", "ae_dims": 6, "e_dims": 2,
        "d_dims": 2, "d_mask_dims": 2, "masked_training": True, "adabelief": True, "lr_dropout": "n",
        "random_hsv_power": 0.05, "gan_power": 0.1, "gan_patch_size": 7, "gan_dims": 4, "ct_mode": "lct",
    }  # fmt: skip
    return {key: value for key, value in (plain | changes).items() if value is not ...}


def data(**changes: Any) -> dict[str, Any]:
    """The content of its data file."""
    rng = np.random.default_rng(1)
    side = [rng.random((2, 64, 64, channels), dtype=np.float32) for channels in (3, 3, 1, 1)]
    plain = {
        "iter": 123,
        "options": options(),
        "loss_history": [[2.0, 3.0], [1.5, 2.5], [1.25, 2.25]],
        "sample_for_preview": [side, [1.0 - array for array in side]],
        "choosed_gpu_indexes": None,
    }
    return plain | changes


def tensors(table: Table, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {name: rng.random(shape, dtype=np.float32) for name, shape in table.items()}


def weights_file(named: dict[str, np.ndarray]) -> bytes:
    return encode({f"{name}:0": tensor for name, tensor in named.items()})


def optimizer_file(tables: dict[str, Table], slots: tuple[str, ...], iterations: Any = 123) -> bytes:
    """`tables` by the roots that the file uses."""
    named: dict[str, Any] = {"iters:0": iterations}
    for number, slot in enumerate(slots):
        for root, table in tables.items():
            for name, tensor in tensors(table, 50 + number).items():
                named[f"{slot}_{root}/{name}_0:0"] = tensor
    return encode(named)


def write_model(
    folder: Path,
    *,
    content: dict[str, Any] | None = None,
    slots: tuple[str, ...] = ("ms", "vs"),
    archi: str = "liae-ud",
) -> Path:
    """Writes all files of the model "one", with a GAN; returns its data file."""
    tables = autoencoder_tables(Architecture.parse(archi), DIMS)
    critic = patch_discriminator_table(7, 4)
    stem = folder / "one_SAEHD"
    for seed, (part, table) in enumerate({**tables, "GAN": critic}.items()):
        Path(f"{stem}_{part}.npy").write_bytes(weights_file(tensors(table, seed)))
    Path(f"{stem}_src_dst_opt.npy").write_bytes(optimizer_file(tables, slots))
    Path(f"{stem}_GAN_opt.npy").write_bytes(optimizer_file({"D_src": critic}, slots, 7))
    data_file = Path(f"{stem}_data.dat")
    data_file.write_bytes(encode(content or data(options=options(archi=archi))))
    return data_file
