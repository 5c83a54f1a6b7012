"""What a session holds: its frames, what is decided about the faces in them, and what a window shows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class SessionFrame:
    """A frame as a session knows it.

    Attributes:
        name: of its file.
        faces: of each face, in the order of the frame: what tells it from any other, and the number of its track.
        size, changed_ns: of its file.
    """

    name: str
    faces: tuple[tuple[str, int], ...] = ()
    size: int = 0
    changed_ns: int = 0

    @property
    def stem(self) -> str:
        return self.name.rpartition(".")[0] or self.name

    @property
    def tracks(self) -> list[int]:
        """The track of each of its faces."""
        return [track for _, track in self.faces]


@dataclass(frozen=True)
class SessionFace:
    """What is decided about a face of the shot: whether it is swapped, and how far in front it is composited."""

    track: int
    enabled: bool
    order: int
    frames: int
    has_own_settings: bool


@dataclass
class View:
    """What a window shows; nothing of it reaches a picture."""

    screen: str = "help"
    checkerboard: bool = False
    scale: float = 1.0
    comparison: int = 0
    mask: int = 0
