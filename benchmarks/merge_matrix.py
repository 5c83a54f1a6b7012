"""The matrix picture: one frame through every mode, with a few masks and color transfers, to look at.

    python benchmarks/merge_matrix.py OUTPUT.png [--frame 00001.png --aligned FOLDER]
                                                 [--model "SAEHD mine" --model-dir FOLDER]

Rows are modes, columns are masks and color transfers; the faces are cut out of the finished frames. Without a frame a
painted head is used; without a model a stand-in that mirrors and tints the face it is shown, so that every seam and
every color is plain to see.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from core.console import say
from core.geometry import warp
from core.images import read_image, to_uint8, write_image
from core.progress import SILENT
from facelib.alignment import frame_to_face
from facelib.face_type import FaceType
from merger.face_tools import FaceTools
from merger.frames import FrameFace, collect_frames
from merger.merge_frame import merge_frame
from merger.settings import MODES, MergeSettings
from tests.merger.scenes import TintedPredictor, enlarge, segment_blobs
from tests.painting import paint_frame

SIDE = 192
LABEL = 18
COLUMNS: dict[str, dict[str, Any]] = {
    "full": {"mask_mode": "full"},
    "dst, blur 30": {"mask_mode": "dst", "blur_mask": 30},
    "learned-prd*dst": {"mask_mode": "learned-prd*learned-dst"},
    "XSeg-dst": {"mask_mode": "XSeg-dst"},
    "rct": {"color_transfer": "rct"},
    "lct": {"color_transfer": "lct"},
    "mkl-m": {"color_transfer": "mkl-m"},
    "idt-m": {"color_transfer": "idt-m"},
    "sot-m": {"color_transfer": "sot-m"},
    "mix-m": {"color_transfer": "mix-m"},
    "scale -20, sharp": {"output_face_scale": -20, "sharpen_mode": "gaussian", "blursharpen_amount": 4},
    "compat dfl, rct": {"compat": "dfl", "color_transfer": "rct"},
}
USUAL: dict[str, Any] = {
    "mask_mode": "learned-prd*learned-dst",
    "color_transfer": "none",
    "blur_mask": 20,
    "erode_mask": 10,
}


def picture_of(frame: NDArray, face: FrameFace, tools: FaceTools) -> NDArray:
    """(H, W, 3) uint8: all modes below each other, all columns side by side, labeled."""
    view = frame_to_face(face.landmarks, FaceType.WHOLE, SIDE, 0.8)
    rows = [_labels(["", *COLUMNS])]
    for mode in MODES:
        cells = [_label(mode, SIDE)]
        for given in COLUMNS.values():
            settings = MergeSettings.of(**{**USUAL, **given, "mode": mode, "hist_match_threshold": 250})
            merged = merge_frame(frame, [face], settings, tools)
            shown = to_uint8(merged.image.astype(np.float32) / np.iinfo(merged.image.dtype).max)
            if mode == "raw-predict":
                cells.append(cv2.resize(shown, (SIDE, SIDE), interpolation=cv2.INTER_AREA))
            else:
                cells.append(warp(shown, view, SIDE, "cubic", "replicate"))
        rows.append(np.hstack(cells))
    return np.vstack(rows)


def _labels(words: Sequence[str]) -> NDArray:
    return np.hstack([_label(word, LABEL) for word in words])


def _label(word: str, height: int) -> NDArray:
    cell = np.full((height, SIDE, 3), 30, np.uint8)
    cv2.putText(cell, word, (4, height // 2 + 5), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (230, 230, 230), 1, cv2.LINE_AA)
    return cell


def stand_in(resolution: int = 128) -> FaceTools:
    """A model, an XSeg and an enhancer that need no weights."""
    predictor = TintedPredictor(resolution)
    return FaceTools(
        resolution,
        predictor.face_type,
        predictor.predict,
        segment=lambda faces: np.stack([segment_blobs(face) for face in faces]),
        enhance=lambda face, _: enlarge(face),
    )


def trained(folder: Path, words: str) -> FaceTools:
    """A trained model, `words` being its class and its name ("SAEHD mine"), with a stand-in for XSeg."""
    from models.registry import find_model, load_model

    model, _ = load_model(find_model(folder, *words.split(" ", 1)))
    return dataclasses.replace(FaceTools.of(model), segment=stand_in().segment)


def first_face(frame_path: Path, aligned: Path) -> FrameFace:
    """The first face that a faceset knows in a frame."""
    from samplelib.faceset import open_faceset

    samples = open_faceset(aligned, SILENT).samples
    (found,) = collect_frames([frame_path], ((s.path.name, s.metadata) for s in samples)).frames
    return found.faces[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("output", type=Path)
    parser.add_argument("--frame", type=Path, help="a frame with a face in the faceset")
    parser.add_argument("--aligned", type=Path, help="the faceset")
    parser.add_argument("--model", metavar="CLASS NAME", help="a trained model, as in 'SAEHD mine'")
    parser.add_argument("--model-dir", type=Path, help="the folder it is in")
    arguments = parser.parse_args()
    if arguments.frame:
        frame, face = read_image(arguments.frame), first_face(arguments.frame, arguments.aligned)
    else:
        frame, landmarks = paint_frame(960, 720, (430, 380), 260, yaw=0.15, roll=0.1, seed=2)
        face = FrameFace(landmarks)
    tools = trained(arguments.model_dir, arguments.model) if arguments.model else stand_in()
    write_image(arguments.output, picture_of(frame, face, tools))
    say(f"Wrote {arguments.output}.")


if __name__ == "__main__":
    main()
