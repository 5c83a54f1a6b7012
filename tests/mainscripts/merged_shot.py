"""A painted shot as a merge leaves it, with the troubles a test asks for. No model, and nothing is rendered."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from core.images import encode_jpeg, write_image
from core.paths import Workspace
from facelib.face_type import FaceType
from facelib.metadata import FaceMetadata, write_face
from merger.journal import Journal, RenderKey
from tests.painting import paint_frame

WIDTH, HEIGHT, HEAD = 160, 120, 50
KEY = RenderKey("frame", "faces", "settings", "model", "software")


class MergedShot:
    """Frames, faces, merged frames and masks in a workspace; frames are numbered from 1."""

    def __init__(self, root: Path) -> None:
        self.workspace = Workspace(root)
        self.count = 0

    def name(self, number: int) -> str:
        return f"{number:05d}.png"

    def add(
        self,
        seed: int,
        *,
        brighter: int = 4,
        face: bool = True,
        yaw: float = 0.0,
        jump: float = 0.0,
        copied: bool = False,
        edge: bool = False,
        finding: Mapping[str, Any] | None = None,
        recorded: bool = True,
    ) -> int:
        """One more frame; its number.

        Args:
            seed: of its colors: frames of one seed are a scene.
            brighter: gray levels by which the face is changed.
            jump: pixels by which the landmarks are off to the right.
            copied: the merged frame is the source.
            edge: the mask reaches the left edge of the frame.
            recorded: whether the journal knows it.
        """
        self.count += 1
        place, name = self.workspace, self.name(self.count)
        source, landmarks = paint_frame(WIDTH, HEIGHT, (80, 60), HEAD, yaw=yaw, seed=seed)
        write_image(place.data_dst / name, source)
        if face:
            self.write_face(name, np.asarray(landmarks + np.array([jump, 0]), np.float32), finding)
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        cv2.ellipse(mask, (80, 62), (20, 26), 0, 0, 360, 255, -1, cv2.LINE_AA)
        merged = source.copy()
        merged[mask > 127] = np.clip(merged[mask > 127].astype(int) + brighter, 0, 255)
        if edge:
            mask[50:60, :4] = 255
        write_image(place.data_dst_merged / name, source if copied or not face else merged)
        write_image(place.data_dst_merged_mask / name, mask if face else np.zeros_like(mask))
        if recorded:
            with Journal(place.data_dst_merged, place.data_dst_merged_mask) as journal:
                journal.record(Path(name).stem, KEY, (1, 1))
        return self.count

    def write_face(self, frame_name: str, landmarks: NDArray, finding: Mapping[str, Any] | None) -> None:
        matrix = np.array([[1.0, 0, 0], [0, 1, 0]])
        extra = {"finding": dict(finding)} if finding else {}
        metadata = FaceMetadata(
            FaceType.FULL, landmarks, frame_name, np.array([0, 0, 64, 64]), landmarks, matrix, extra=extra
        )
        path = self.workspace.data_dst_aligned / f"{Path(frame_name).stem}_0.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        write_face(path, encode_jpeg(np.zeros((64, 64, 3), np.uint8)), metadata)
