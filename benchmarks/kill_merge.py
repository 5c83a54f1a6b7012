"""Kills a merge at random moments, again and again, and looks whether anything was lost.

    python benchmarks/kill_merge.py [--frames 300] [--kills 20] [--workers 2] [--seed 2026] [--stream]

A shot of small painted frames is merged undisturbed. The same shot is merged again in another folder by the same
command, whose whole process group (engine and workers alike) is killed by signal 9 at a random moment after some
frames, `--kills` times; then it is left to finish. Frames and masks must be the undisturbed run's, byte for byte, with
nothing beside them; and what a run had finished is not rendered again. Ends with 1 where that is not so.

With --stream the frames go straight into two lossless videos, which grow in pieces of four frames; then the videos are
compared.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from core.console import say
from core.images import encode_jpeg, write_image
from core.paths import Workspace
from core.video.properties import ColorTags
from core.video.record import FramesRecord, write_record
from facelib.face_type import FaceType
from facelib.metadata import FaceMetadata, write_face
from tests.painting import paint_frame

ROOT = Path(__file__).resolve().parent.parent
_PATIENCE_SECONDS = 600


def make_shot(root: Path, frames: int) -> Workspace:
    """A workspace with painted frames of a moving face."""
    place = Workspace(root)
    matrix = np.array([[1.0, 0, 0], [0, 1, 0]])
    stored = encode_jpeg(np.zeros((64, 64, 3), np.uint8))
    place.data_dst_aligned.mkdir(parents=True)
    for number in range(1, frames + 1):
        at = (40 + number % 80, 60)
        frame, landmarks = paint_frame(160, 120, at, 50, yaw=0.3 * np.sin(number / 9), seed=number)
        name = f"{number:05d}"
        write_image(place.data_dst / f"{name}.png", frame)
        face = FaceMetadata(FaceType.FULL, landmarks, f"{name}.png", np.array([0, 0, 64, 64]), landmarks, matrix)
        write_face(place.data_dst_aligned / f"{name}_0.jpg", stored, face)
    tags = ColorTags("bt709", "bt709", "bt709", "tv")
    one = Fraction(1)
    record = FramesRecord("data_dst.mp4", 1, "", frames, ".png", 8, 160, 120, 25 * one, one, tags, frames)
    write_record(place.data_dst, record)
    return place


def result(place: Workspace) -> Path:
    """The video that is made with --stream."""
    return place.root / "result.mp4"


def start(place: Workspace, workers: int, log: Path, into_video: bool) -> subprocess.Popen[bytes]:
    """The command as a user would start it, with a stand-in for the model."""
    stand_in = "stream_with_stub" if into_video else "merge_with_stub"
    words = ["merge", "--model", "Quick96", "--workers", str(workers), "--defaults", "--mask-mode", "learned-dst"]
    words += [
        "--color-transfer",
        "rct",
        "--input-dir",
        str(place.data_dst),
        "--aligned-dir",
        str(place.data_dst_aligned),
    ]
    words += ["--output-dir", str(place.data_dst_merged), "--output-mask-dir", str(place.data_dst_merged_mask)]
    if into_video:
        words += ["--stream", str(result(place)), "--lossless"]
    environment = {**os.environ, "PAUSE": "0.02", "FACELOOM_INTERNAL": str(place.root / "internal")}
    with open(log, "ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-m", f"tests.mainscripts.{stand_in}", *words, "--model-dir", str(place.model)],
            cwd=ROOT,
            env=environment,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def parts_folder(video: Path) -> Path:
    """Where the pieces of a video lie."""
    return video.with_name(f".{video.name}.parts")


def finished(place: Workspace) -> dict[str, int]:
    """When each finished piece, a frame or a part of the video, was written."""
    pieces = [*place.data_dst_merged.glob("[0-9]*.png"), *parts_folder(result(place)).glob("[0-9]*.mp4")]
    return {path.name: path.stat().st_mtime_ns for path in pieces}


def everything(place: Workspace) -> dict[str, str]:
    """Hash of every finished video, of every picture in the folders of frames and masks, and of whatever hidden file
    was left there."""
    videos = [result(place), result(place).with_stem(f"{result(place).stem}_mask")]
    folders = [place.data_dst_merged, place.data_dst_merged_mask, *map(parts_folder, videos)]
    inside = [path for folder in folders for path in sorted(folder.rglob("*"))]
    told = [path for path in inside if path.suffix == ".png" or path.name.startswith(".")]
    return {
        str(path.relative_to(place.root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in [*videos, *told]
        if path.is_file()
    }


def wait(process: subprocess.Popen[bytes], place: Workspace, pieces: int) -> bool:
    """Until so many pieces are there; False: the process has ended."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < end:
        if len(finished(place)) >= pieces:
            return True
        time.sleep(0.003)
    return False


def complete(place: Workspace, workers: int, log: Path, into_video: bool) -> None:
    code = start(place, workers, log, into_video).wait(_PATIENCE_SECONDS)
    if code:
        raise SystemExit(f"The merge ended with {code}:\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}")


def drill(place: Workspace, asked: argparse.Namespace, pieces: int, log: Path) -> int:
    """Kills the merge again and again; the largest number of pieces that one run rendered a second time."""
    dice, most_again = random.Random(asked.seed), 0
    for kill in range(1, asked.kills + 1):
        before = finished(place)
        process = start(place, asked.workers, log, asked.stream)
        share = (pieces - len(before)) // (asked.kills - kill + 2)
        running = wait(process, place, min(pieces - 1, len(before) + dice.randint(0, max(1, 2 * share - 1))))
        time.sleep(dice.random() * 0.08)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        now = finished(place)
        again = sum(now.get(name) != written for name, written in before.items())
        most_again = max(most_again, again)
        state = "" if running else " (it had ended)"
        say(f"kill {kill}: {len(now)} of {pieces} pieces are there, {again} rendered again{state}")
        if before.keys() - now.keys():
            raise SystemExit(f"Pieces were lost: {sorted(before.keys() - now.keys())}.")
    return most_again


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=300)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--stream", action="store_true", help="merge straight into videos")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "log.txt"
        undisturbed = make_shot(Path(folder) / "undisturbed", arguments.frames)
        disturbed = make_shot(Path(folder) / "disturbed", arguments.frames)
        complete(undisturbed, arguments.workers, log, arguments.stream)
        pieces = len(finished(undisturbed))
        most_again = drill(disturbed, arguments, pieces, log)
        complete(disturbed, arguments.workers, log, arguments.stream)
        expected, found = everything(undisturbed), everything(disturbed)
    differ = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
    say(
        f"{arguments.kills} kills, {arguments.frames} frames and masks: {len(differ)} of {len(expected)} files differ; "
        f"a run rendered at most {most_again} of {pieces} finished pieces again."
    )
    for name in differ[:10]:
        say(f"  {name}")
    return 1 if differ or len(expected) != (2 if arguments.stream else 2 * arguments.frames) else 0


if __name__ == "__main__":
    sys.exit(main())
