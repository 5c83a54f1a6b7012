"""The networks of a merge: which model, what tells its state from any other, and how it is loaded.

Nothing of a neural framework is loaded before `load` is called: it takes seconds, and is not needed where every frame
is up to date.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from core.options import resolve, specs, to_plain
from core.paths import weights_folder
from core.progress import Progress
from facelib.nets import older_weights, pretrained
from facelib.prediction import Predictor
from merger.face_tools import FaceTools, require_networks
from merger.journal import Networks
from models.base import State
from models.registry import SavedModel, find_model, known_values, load_model, options_class, read_for_use

if TYPE_CHECKING:
    from mainscripts.merge_options import MergeOptions
    from models.checkpoint import Checkpoint

_MORPHING = ("AMP",)


def open_model(folder: Path, options: MergeOptions, progress: Progress) -> tuple[Networks, Callable[[], Predictor]]:
    """What tells the chosen model's state, and what loads the model with everything else the settings need.

    Raises:
        UserError: no such model; those that exist are listed. A model is never made here. Or the settings need a
            network that is not there.
    """
    saved = find_model(folder, options.model, options.force_model_name or options.model_name)
    enhanced = options.enhances and pretrained.optional_state(pretrained.FACE_ENHANCER) is pretrained.State.OK
    require_networks(options, morphs=saved.class_name in _MORPHING, segments=False, enhances=enhanced)
    checkpoint = read_for_use(saved)
    progress.say(f"Model {saved.name} ({saved.class_name}), iteration {checkpoint.state.iteration:,}.")

    def load() -> Predictor:
        model, notes = load_model(saved, device=options.device, found=checkpoint)
        for note in notes:
            progress.say(note)
        tools = dataclasses.replace(FaceTools.of(model), on_cpu=_on_cpu(saved, checkpoint, options.device))
        return dataclasses.replace(tools, enhance=_load_enhancer(options.device)) if enhanced else tools

    networks = Networks(
        shape_words(saved.class_name, checkpoint.state.options),
        fingerprint(checkpoint.parts),
        enhancer=pretrained.FACE_ENHANCER.git_blob[:12] if enhanced else "",
    )
    return networks, load


def _on_cpu(saved: SavedModel, checkpoint: Checkpoint, device: str) -> Callable[[], FaceTools] | None:
    """What loads the model a second time, for faces that its graphics card fails on; None: it is on the CPU."""
    from core.nn.device import choose_devices

    if choose_devices(device)[0].kind == "cpu":
        return None
    return lambda: FaceTools.of(load_model(saved, device="cpu", found=checkpoint)[0])


def shape_words(class_name: str, saved: Mapping[str, Any]) -> str:
    """What of a model cannot change while it lives, resolution and face type among it, as a text."""
    options = options_class(class_name)
    values = to_plain(resolve(options, known_values(class_name, saved)))
    fixed = {spec.name: values[spec.name] for spec in specs(options) if spec.fixed}
    return f"{class_name} {json.dumps(fixed, sort_keys=True)}"


def fingerprint(parts: State) -> str:
    """Tells the weights of one model from all others: a hash of every tensor's name, shape and bytes."""
    digest = hashlib.blake2b(digest_size=12)
    for part in sorted(parts):
        for name in sorted(parts[part]):
            tensor = parts[part][name]
            digest.update(f"{part}/{name} {tensor.dtype} {tensor.shape}\n".encode())
            digest.update(tensor.tobytes())
    return digest.hexdigest()


def _load_enhancer(device: str) -> Callable[[NDArray, bool], NDArray]:
    file = pretrained.FACE_ENHANCER
    stream = pretrained.read_optional(file)
    tensors = older_weights.tensors_of_stream(stream, older_weights.enhancer_table(), weights_folder() / file.name)
    from core.nn.device import choose_devices
    from facelib.nets.enhancer import Enhancer

    return Enhancer(tensors, choose_devices(device)[0]).enlarge
