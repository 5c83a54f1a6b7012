"""Faces with known answers: projections of the mean head, as in spec faces-and-formats 11."""

import math

import numpy as np
import pytest

from facelib.landmarks import POSE_POINTS


@pytest.fixture
def level_face() -> np.ndarray:
    """Vector V1: the mean head from the front, twice as large, turned by 15 degrees in the picture; (68, 2)."""
    angle = math.radians(15)
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    return 2 * POSE_POINTS[:, :2] @ turn.T + [400, 300]


@pytest.fixture
def turned_face() -> np.ndarray:
    """Vector V2: the mean head with a yaw of 0.4 radians, twice as large; (68, 2)."""
    turn = np.array([[math.cos(0.4), 0, math.sin(0.4)], [0, 1, 0], [-math.sin(0.4), 0, math.cos(0.4)]])
    return 2 * (POSE_POINTS @ turn.T)[:, :2] + 300
