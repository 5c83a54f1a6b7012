"""The keys of the merger: which key does what to a session, as a table.

Keys are those of the classical merger, and more where it had none. A key that has to wait for the current frame to be
finished, and every key after it, waits its turn and is not lost. Source: spec merging 5.4, 5.5, 10.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from merger.session import MergeSession
from merger.settings import MODES, MergeSettings
from merger.timeline import ALL_FACES

STEP, LARGE_STEP = 1, 5
_SMALLEST_SCALE, _LARGEST_SCALE = 1, 40  # tenths
COMPARISONS = ("off", "split", "side by side", "flicker", "difference")
MASK_VIEWS = ("picture", "checkerboard", "red", "mask", "edge")


class Answer(Enum):
    """What became of a key."""

    DONE = 1
    WAITING = 2
    UNKNOWN = 3
    QUIT = 4
    """The user has ended the sitting: finish what is under way, save, and close."""
    SAVE = 5
    """The session is to be saved right now."""


@dataclass(frozen=True)
class KeyPress:
    """A key as a window or a page reports it.

    Attributes:
        text: what it types ("e", "E", "<"), or its name: "Tab", "Escape", "Backspace", "Home", "End", "ArrowLeft".
        shift: whether Shift is held. None: not known, and told by what it types; then Caps Lock counts as Shift.
        control: whether Ctrl (or Command) is held.
    """

    text: str
    shift: bool | None = None
    control: bool = False


@dataclass(frozen=True)
class Binding:
    """One row of the table.

    Attributes:
        key: as typed without Shift.
        shift: None: the same with and without.
        does: method of MergeSession, or of Keyboard with a dot before it.
        says: what it does, for a help screen.
        waits: for the current frame to be finished.
    """

    key: str
    shift: bool | None
    does: str
    says: str
    arguments: tuple[Any, ...] = ()
    waits: bool = False
    control: bool = False


_NUMBERS = (
    ("q", "a", "hist_match_threshold", "histogram threshold"),
    ("w", "s", "erode_mask", "erode mask"),
    ("e", "d", "blur_mask", "blur mask"),
    ("r", "f", "motion_blur_power", "motion blur"),
    ("t", "g", "super_resolution_power", "super resolution"),
    ("y", "h", "blursharpen_amount", "sharpen or blur"),
    ("u", "j", "output_face_scale", "face scale (more: a smaller face)"),
    ("i", "k", "image_denoise_power", "denoise the frame"),
    ("o", "l", "bicubic_degrade_power", "soften the frame"),
    ("p", ";", "color_degrade_power", "fewer colors"),
)
_WORDS = (
    ("z", "masked_hist_match", "histogram inside the mask only"),
    ("x", "mask_mode", "next mask"),
    ("c", "color_transfer", "next color transfer"),
    ("n", "sharpen_mode", "next kind of sharpening"),
)
_WAYS = (
    (",", False, "previous_frame", "previous frame"),
    (",", True, "first_frame", "first frame"),
    (".", False, "next_frame", "next frame"),
    (".", True, "render_rest", "render the remaining frames"),
    ("m", False, "previous_with_settings", "previous frame, which takes these settings"),
    ("m", True, "first_with_settings", "first frame; every passed one takes these settings"),
    ("/", False, "next_with_settings", "next frame, which takes these settings"),
    ("/", True, "rest_with_settings", "next frame; all later ones take these settings"),
)
_MORE = (
    ("0", "reset_last", "resets the setting that was changed last"),
    ("b", "set_keys", "puts a key for every setting that changes"),
    ("Backspace", "remove_keys", "takes the keys of this frame away"),
    ("Home", "first_frame", "first frame, rendered or not"),
    ("End", "last_frame", "last frame, rendered or not"),
    ("ArrowLeft", "previous_frame", "previous frame, rendered or not"),
    ("ArrowRight", "next_frame", "next frame, rendered or not"),
    ("ArrowDown", "next_face", "settings of the next face, after the last one of all"),
)


def _bindings() -> Iterator[Binding]:
    for key, mode in zip("`123456", MODES, strict=True):
        yield Binding(key, False, "set", mode, ("mode", mode))
    for more, less, name, says in _NUMBERS:
        for key, sign in ((more, 1), (less, -1)):
            for shift, step in ((False, STEP), (True, LARGE_STEP)):
                yield Binding(key, shift, "shift", f"{says} {sign * step:+d}", (name, sign * step))
    for key, name, says in _WORDS:
        yield Binding(key, None, "cycle", says, (name,))
    for key, shift, way, says in _WAYS:
        yield Binding(key, shift, way, says, waits=way != "render_rest")
    for key, action, says in _MORE:
        yield Binding(key, None, action, says)
    yield Binding("ArrowUp", None, "next_face", "settings of the face before, before the first one of all", (-1,))
    yield Binding("[", False, "previous_key", "previous key")
    yield Binding("[", True, "previous_scene", "previous scene")
    yield Binding("]", False, "next_key", "next key")
    yield Binding("]", True, "next_scene", "next scene")
    yield Binding("\\", True, "switch_cut", "a scene begins here, or no longer")
    yield Binding("z", None, "undo", "undo", control=True)
    yield Binding("y", None, "redo", "redo", control=True)
    yield Binding("s", None, ".save", "save", control=True)
    yield Binding("v", None, ".switch_checkerboard", "checkerboard where the mask is empty")
    yield Binding("7", None, ".next_comparison", "compare with the original")
    yield Binding("9", None, ".next_mask_view", "another view of the mask")
    yield Binding("-", None, ".zoom", "smaller window", (-1,))
    yield Binding("=", None, ".zoom", "larger window", (1,))
    yield Binding("Tab", None, ".switch_screen", "help")
    yield Binding("Escape", None, ".quit", "save and quit")


BINDINGS = tuple(_bindings())
"""Every key."""

ACTIVE_WHEN = {
    "hist_match_threshold": lambda settings: "hist-match" in settings.mode,
    "masked_hist_match": lambda settings: settings.mode == "hist-match",
}
"""Settings whose keys do something in some modes only; the others always do, also where they have no effect."""

_UNSHIFTED = {"<": ",", ">": ".", "?": "/", ":": ";", "{": "[", "}": "]", "|": "\\", "~": "`", "_": "-"}
_FUNCTION_KEYS = {"F2": "`", "F3": ",", "F4": ".", "F5": "m", "F6": "/", "Esc": "Escape", "+": "="}
"""Other names of keys, for keyboards where they are hard to reach."""


def find_binding(press: KeyPress) -> Binding | None:
    """The row of the table a key belongs to."""
    key, shift = press.text, press.shift
    if key in _UNSHIFTED:
        key, shift = _UNSHIFTED[key], True
    elif len(key) == 1 and key.isalpha():
        shift = key.isupper() if shift is None else shift
        key = key.lower()
    key = _FUNCTION_KEYS.get(key, key)
    for row in BINDINGS:
        if row.key == key and row.control == press.control and row.shift in (None, bool(shift)):
            return row
    return None


def is_active(binding: Binding, settings: MergeSettings, face: int = ALL_FACES) -> bool:
    """Whether a key does anything with these settings. face: the one that is worked at."""
    if binding.arguments == ("mode", "raw-predict"):
        return face == ALL_FACES
    name = binding.arguments[0] if binding.does in ("shift", "cycle") else None
    return name not in ACTIVE_WHEN or ACTIVE_WHEN[name](settings)


class Keyboard:
    """Passes keys on to a session; `pump` after frames were rendered lets the waiting ones through."""

    def __init__(self, session: MergeSession) -> None:
        self.session = session
        self.waiting: deque[Binding] = deque()

    def press(self, press: KeyPress) -> Answer:
        """Does what a key says, or lets it wait its turn."""
        binding = find_binding(press)
        if binding is None:
            return Answer.UNKNOWN
        if binding.does.startswith("."):
            return getattr(self, binding.does[1:])(*binding.arguments)
        self.session.is_running = False  # whatever is pressed ends it
        self.waiting.append(binding)
        self.pump()
        return Answer.WAITING if self.waiting and self.waiting[-1] is binding else Answer.DONE

    def pump(self) -> None:
        """Does what the waiting keys say, as far as it can be done by now."""
        while self.waiting and not (self.waiting[0].waits and not self.session.is_settled(self.session.cursor)):
            self._do(self.waiting.popleft())

    def _do(self, binding: Binding) -> None:
        if is_active(binding, self.session.settings, self.session.face):
            getattr(self.session, binding.does)(*binding.arguments)

    # Keys of the window.

    def save(self) -> Answer:
        return Answer.SAVE

    def quit(self) -> Answer:
        """Nothing that was pressed is lost: what still waits is done as if its frames were finished."""
        while self.waiting:
            binding = self.waiting.popleft()
            if binding.does != "render_rest":
                self._do(binding)
        self.session.is_running = False
        return Answer.QUIT

    def switch_checkerboard(self) -> Answer:
        self.session.view.checkerboard = not self.session.view.checkerboard
        return self._shown()

    def switch_screen(self) -> Answer:
        self.session.view.screen = "main" if self.session.view.screen == "help" else "help"
        return self._shown()

    def next_comparison(self) -> Answer:
        self.session.view.comparison = (self.session.view.comparison + 1) % len(COMPARISONS)
        return self._shown()

    def next_mask_view(self) -> Answer:
        self.session.view.mask = (self.session.view.mask + 1) % len(MASK_VIEWS)
        return self._shown()

    def zoom(self, tenths: int) -> Answer:
        scale = round(10 * self.session.view.scale) + tenths
        self.session.view.scale = min(max(scale, _SMALLEST_SCALE), _LARGEST_SCALE) / 10
        return self._shown()

    def _shown(self) -> Answer:
        self.session.on_change()
        return Answer.DONE
