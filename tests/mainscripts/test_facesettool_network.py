"""`facesettool enhance` by the network: with weights made by hand whose answer is known, and by played networks."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from core.errors import BadOption, BrokenFile, FaceLoomError, MissingInput
from core.images import read_image
from core.legacy_writer import encode
from core.paths import Workspace
from core.progress import SILENT, SilentProgress
from facelib.metadata import read_metadata
from facelib.nets import pretrained
from facelib.nets.older_weights import enhancer_table
from mainscripts.facesettool import EnhanceOptions, ToolReport, enhance
from mainscripts.facesettool_network import each_on_its_device, enhance_with, make_enhancers, network_is_there
from tests.painting import write_painted_faceset


class Said(SilentProgress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def faces(odd_folder: Path) -> Path:
    write_painted_faceset(odd_folder / "faces", 2, side=128)
    return odd_folder / "faces"


@pytest.fixture
def internal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation without any network."""
    monkeypatch.setenv("FACELOOM_INTERNAL", str(tmp_path / "internal"))
    (tmp_path / "internal" / "weights").mkdir(parents=True)
    return tmp_path / "internal"


@pytest.fixture
def brighter(internal: Path, monkeypatch: pytest.MonkeyPatch) -> float:
    """A network in the weights folder that enlarges smoothly and adds 0.2 to blue. Returns what it adds."""
    tensors = {f"{name}:0": np.zeros(shape, np.float32) for name, shape in enhancer_table().items()}
    tensors["out1x_conv1/bias:0"][0] = np.arctanh(0.4)  # of a range from -1 to 1
    stream = encode(tensors)
    (internal / "weights" / "FaceEnhancer.npy").write_bytes(stream)
    known = pretrained.OptionalFile("FaceEnhancer.npy", pretrained.git_blob_id(stream), "")
    monkeypatch.setattr(pretrained, "FACE_ENHANCER", known)
    return 0.2


def run(faces: Path, progress: SilentProgress = SILENT, **given: object) -> ToolReport:
    return enhance(Workspace(faces.parent), EnhanceOptions.of(input_dir=faces, **given), progress)


def blue_added(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    room = before[..., 0] < 190
    return (after.astype(float) - before)[room].mean(axis=0)


def test_the_network_is_used_when_it_is_there(faces: Path, brighter: float) -> None:
    said = Said()
    report = run(faces, said, device="cpu", jpeg_quality=100)
    assert said.lines[0] == "Enhancing with the network FaceEnhancer on CPU:0: it makes detail up."
    assert report.faces == 2
    before, after = (read_image(folder / "00001_0.jpg") for folder in (faces, report.folder))
    assert after.shape == before.shape
    np.testing.assert_allclose(blue_added(before, after), (brighter * 255, 0, 0), atol=1.5)
    assert read_metadata(report.folder / "00001_0.jpg") == read_metadata(faces / "00001_0.jpg")
    twice = run(faces, device="cpu", scale=2)
    assert read_image(twice.folder / "00001_0.jpg").shape == (256, 256, 3)
    moved = read_metadata(twice.folder / "00001_0.jpg").landmarks
    np.testing.assert_allclose(moved, 2 * read_metadata(faces / "00001_0.jpg").landmarks + 0.5, atol=1e-3)


def test_classical_stays_possible_and_no_network_needs_no_device(faces: Path, brighter: float) -> None:
    said = Said()
    report = run(faces, said, method="classical", device="7")
    assert said.lines[0].endswith("No network is at work.")
    before, after = (read_image(folder / "00001_0.jpg") for folder in (faces, report.folder))
    assert abs(blue_added(before, after)).max() < 3


def test_without_weights_it_is_classical_and_says_why(faces: Path, internal: Path) -> None:
    assert not network_is_there()
    said = Said()
    run(faces, said)
    assert said.lines[0].endswith("No network is at work. FaceEnhancer.npy is not there; `weights` tells more.")


def test_a_network_that_was_asked_for_must_be_there_and_whole(faces: Path, internal: Path) -> None:
    with pytest.raises(MissingInput, match=r"Put FaceEnhancer\.npy of .*FaceLoom does not fetch it"):
        run(faces, method="network")
    (internal / "weights" / "FaceEnhancer.npy").write_bytes(b"something else")
    with pytest.raises(BrokenFile, match="git blob id"):
        run(faces)
    assert not faces.with_name("faces_enhanced").exists()


def test_an_unknown_device_is_refused(brighter: float) -> None:
    with pytest.raises(BadOption, match="Received: 99"):
        make_enhancers("99")


class Repeats:
    """Enlarges by repeating pixels; remembers its thread."""

    def __init__(self) -> None:
        self.threads: set[int] = set()

    def enlarge(self, picture: np.ndarray) -> np.ndarray:
        assert picture.dtype == np.float32
        assert 0 <= picture.min() <= picture.max() <= 1
        self.threads.add(threading.get_ident())
        return picture.repeat(4, 0).repeat(4, 1)


@pytest.mark.parametrize("scale", [1, 2, 4])
def test_enlarged_four_times_and_reduced_to_the_wanted_size(scale: int) -> None:
    image = np.random.default_rng(3).integers(0, 256, (20, 24, 3), np.uint8)
    np.testing.assert_array_equal(enhance_with(Repeats(), image, scale), image.repeat(scale, 0).repeat(scale, 1))


def test_several_devices_share_the_faces_and_the_order_stays() -> None:
    networks = [Repeats(), Repeats()]

    def work(network: Repeats, item: int) -> str:
        network.enlarge(np.zeros((1, 1, 3), np.float32))
        if item == 3:
            raise FaceLoomError("It is damaged.")
        return str(item)

    outcomes = list(each_on_its_device(work, networks, range(7)))  # type: ignore[arg-type]
    assert [outcome.item for outcome in outcomes] == list(range(7))
    assert [outcome.value for outcome in outcomes] == ["0", "1", "2", None, "4", "5", "6"]
    assert outcomes[3].error == "It is damaged."
    assert len(networks[0].threads) == len(networks[1].threads) == 1
    assert networks[0].threads != networks[1].threads


def test_a_failing_device_ends_the_run_and_leaves_no_thread() -> None:
    def work(network: Repeats, item: int) -> str:
        raise RuntimeError("the device is gone")

    before = threading.active_count()
    with pytest.raises(RuntimeError, match="gone"):
        list(each_on_its_device(work, [Repeats()], range(9)))  # type: ignore[arg-type]
    assert threading.active_count() == before
