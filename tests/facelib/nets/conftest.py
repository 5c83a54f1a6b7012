"""Real people for the networks: two public-domain portraits that ship inside scikit-image and matplotlib."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest

from core.images import read_image, to_uint8
from facelib.nets import pretrained
from facelib.nets.face_mesh import FaceMeshFinder


@pytest.fixture(scope="session")
def weights() -> None:
    """The networks must be there: the test command fetches them first."""
    missing = [f.name for f in pretrained.FILES if pretrained.state(f) is not pretrained.State.OK]
    if missing:
        pytest.fail(f"Run `python main.py weights --fetch` before the tests; not usable: {', '.join(missing)}")


@pytest.fixture(scope="session")
def finder(weights: None) -> FaceMeshFinder:
    return FaceMeshFinder()


@pytest.fixture(scope="session")
def astronaut() -> np.ndarray:
    """Eileen Collins (NASA): a woman's frontal face of about 100 pixels in 512 x 512."""
    return _portrait("skimage", "data/astronaut.png")


@pytest.fixture(scope="session")
def grace_hopper() -> np.ndarray:
    """Grace Hopper (US Navy): glasses, a cap, a face of about 200 pixels in 512 x 600."""
    return _portrait("matplotlib", "mpl-data/sample_data/grace_hopper.jpg")


def _portrait(package: str, name: str) -> np.ndarray:
    path = files(package).joinpath(name)
    assert isinstance(path, Path)
    return to_uint8(read_image(path))
