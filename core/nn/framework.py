"""The one door to Keras, which settles the environment before the neural framework loads.

Every module that builds or runs networks takes Keras from here (`from core.nn.framework import keras, ops`), so that
the first import, wherever it happens, sees the same settings: TensorFlow unless KERAS_BACKEND says otherwise.
"""

from __future__ import annotations

import os
from typing import Any

from core.nn.chatter import held_back

os.environ.setdefault("KERAS_BACKEND", "tensorflow")
with held_back():
    import keras
    from keras import ops

__all__ = ["Tensor", "keras", "ops"]

Tensor = Any
"""A tensor of whichever framework Keras runs on."""
