"""Marking faces by hand, frame after frame: the plain object behind a page, with no page in it.

    editor = LandmarkEditor(names, read, measurer, FaceType.WHOLE)
    editor.move_pointer(310, 220)      # the rectangle follows the pointer
    editor.turn_wheel(+1)              # and grows; what lies inside is measured
    editor.click(310, 220)             # locked
    editor.press("enter")              # accepted; the next frame
    write_marks(path, editor.marks())

A page shows `draw()`, hands in mouse positions (pixels of that picture) and keys, and stops when `finished`. Where a
network sees no face, a right click starts drawing: the mean face is laid in from the nose to the pointer. Single
landmarks can be dragged. Every frame may get several faces.

Source of mouse, keys and what they do: spec faces-and-formats 6.8. Beyond it: several faces, turning, dragging, undo.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from core.errors import NotAFace
from core.geometry import invert_affine, transform_points
from facelib.alignment import frame_to_face
from facelib.face_rectangle import FaceRectangle
from facelib.face_type import FaceType
from facelib.landmark_view import FrameView, draw_view
from facelib.marks import FaceMeasurer, Mark, mean_face

KEYS: Mapping[str, str] = {
    "enter": "accept",
    "space": "skip",
    ",": "go_back",
    ".": "go_on",
    "q": "finish",
    "a": "toggle_accurate",
    "h": "toggle_help",
    "+": "accept_one_more",
    "[": "turn_left",
    "]": "turn_right",
    "u": "undo",
}
"""Key -> method. Capitals count as small letters, `<` as `,`, `>` as `.`"""

HELP = (
    "[mouse] place, [wheel] size, [ and ] turn the rectangle; [left click] lock and unlock it",
    "[right click] draw the face from its nose toward image-right, left click keeps it; drag a landmark to move it",
    "[enter] accept and next frame; [+] accept and mark one more face here; [space] no face here, next frame",
    "[,] [.] previous and next frame, a locked face is kept",
    "[q] skip the rest and finish; [u] undo",
    "[a] accurate or quick landmarks; [h] hide this",
)

_MOST_UNDO = 200


@dataclass(frozen=True, eq=False)
class EditedFace:
    """An accepted face: the rectangle it was found with, and its landmarks, float64 (68, 2), frame pixels."""

    rectangle: FaceRectangle
    landmarks: NDArray


@dataclass(frozen=True, eq=False)
class _State:
    """Everything that undo brings back.

    Attributes:
        anchor: where the nose is while a face is being drawn; None while rectangles are.
        own: landmarks that were not measured in the rectangle: drawn, dragged, or of a face shown again.
        faces: frame number -> accepted faces; an empty tuple: none, said by hand.
    """

    rectangle: FaceRectangle
    frame: int = 0
    locked: bool = False
    accurate: bool = True
    help_shown: bool = True
    anchor: tuple[float, float] | None = None
    own: NDArray | None = None
    faces: Mapping[int, tuple[EditedFace, ...]] = field(default_factory=dict)
    finished: bool = False

    def unlocked(self) -> _State:
        return replace(self, locked=False, anchor=None, own=None)


class LandmarkEditor:
    """Faces being marked by hand.

    Attributes:
        message: what the last key or click had to say, for a line on the page; "" for nothing.
    """

    def __init__(
        self,
        names: Sequence[str],
        read: Callable[[int], NDArray],
        measurer: FaceMeasurer,
        face_type: FaceType = FaceType.WHOLE,
        *,
        window_size: int = 1368,
    ) -> None:
        """Args:
        names: of the frames, at least one; `marks` uses them.
        read: frame number -> (H, W, 3) BGR uint8.
        face_type: whose crop is drawn.
        window_size: the view is 9/16 of it high; 0 shows frames as large as they are.
        """
        if not names:
            raise ValueError("there is no frame to mark faces in")
        self.message = ""
        self._names = tuple(names)
        self._read = read
        self._measurer = measurer
        self._face_type = face_type
        self._window_size = window_size
        self._undo: deque[_State] = deque(maxlen=_MOST_UNDO)
        self._shown: tuple[int, NDArray] | None = None
        self._measured: tuple[object, NDArray | None] | None = None
        self._dragged: int | None = None
        height, width = self._frame_at(0).shape[:2]
        self._state = _State(FaceRectangle(((width - 1) / 2, (height - 1) / 2)))

    # --------------------------------------------------------------------------------------------------- what is there

    @property
    def finished(self) -> bool:
        """Whether the last frame is behind, or `q` was pressed."""
        return self._state.finished

    @property
    def frame_number(self) -> int:
        """Of the frame that is shown, from 0."""
        return self._state.frame

    @property
    def frame_name(self) -> str:
        """Of the frame that is shown."""
        return self._names[self._state.frame]

    @property
    def locked(self) -> bool:
        """Whether the rectangle stays where it is."""
        return self._state.locked

    @property
    def accurate(self) -> bool:
        """Whether landmarks are measured as well as possible, or quickly."""
        return self._state.accurate

    @property
    def drawing(self) -> bool:
        """Whether the face is being drawn by hand, from nose to pointer."""
        return self._state.anchor is not None

    @property
    def help_lines(self) -> tuple[str, ...]:
        """What to write over the picture; nothing while help is hidden."""
        return HELP if self._state.help_shown else ()

    @property
    def rectangle(self) -> NDArray:
        """Corners of the rectangle, float64 (4, 2), frame pixels, clockwise from its top left."""
        return self._state.rectangle.corners

    @property
    def landmarks(self) -> NDArray | None:
        """Of the face in the rectangle, float64 (68, 2), frame pixels; None where none is seen. Measured when asked."""
        state = self._state
        if state.own is not None or state.anchor is not None:
            return state.own
        place = (state.frame, state.rectangle, state.accurate)
        if self._measured is None or self._measured[0] != place:
            frame, rectangle = self._frame_at(state.frame), state.rectangle
            seen = self._measurer.measure_box(frame, rectangle.box, rectangle.turn, accurate=state.accurate)
            self._measured = (place, seen)
        return self._measured[1]

    def faces(self, frame_number: int) -> tuple[EditedFace, ...]:
        """The faces accepted in a frame so far."""
        return self._state.faces.get(frame_number, ())

    def marks(self) -> dict[str, tuple[Mark, ...] | None]:
        """Frame name -> accepted faces; empty where there is none; None for frames that are still open."""
        accepted = self._state.faces
        return {
            name: tuple(Mark.of_landmarks(face.landmarks) for face in accepted[number]) if number in accepted else None
            for number, name in enumerate(self._names)
        }

    # ----------------------------------------------------------------------------------------------------------- mouse

    def move_pointer(self, x: float, y: float) -> None:
        """The mouse has moved, in view pixels: the rectangle follows, or the drawn face turns and grows."""
        state, place = self._state, self.view.in_frame(x, y)
        if state.anchor is not None:
            across = np.array(place) - state.anchor
            length = math.hypot(*across)
            if length >= 1:
                rectangle = FaceRectangle(state.rectangle.center, length, math.atan2(across[1], across[0]))
                self._state = replace(state, rectangle=rectangle, own=mean_face(np.array(state.anchor), across))
        elif not state.locked:
            self._state = replace(state, rectangle=replace(state.rectangle, center=place), own=None)

    def turn_wheel(self, steps: int) -> None:
        """Above 0 the rectangle grows, below 0 it shrinks."""
        if not self._state.locked and self._state.anchor is None:
            self._state = replace(self._state, rectangle=self._state.rectangle.grown(steps), own=None)

    def click(self, x: float, y: float) -> None:
        """Left button: locks or unlocks; a drawn face is kept and locked."""
        state = self._state
        if state.anchor is not None:
            self._change(anchor=None, locked=state.own is not None)
        elif state.locked:
            self._change(locked=False, own=None)
            self.move_pointer(x, y)
        else:
            self.move_pointer(x, y)
            self._change(locked=True)

    def click_right(self) -> None:
        """Right button: starts drawing a face from its nose, where the rectangle's middle is; a second time, stops."""
        if self._state.anchor is None:
            self._change(anchor=self._state.rectangle.center, locked=False, own=None)
        else:
            self._change(anchor=None, locked=False, own=None, rectangle=replace(self._state.rectangle, turn=0.0))

    def find_landmark(self, x: float, y: float, reach: float = 6.0) -> int | None:
        """The number of the landmark under the pointer (view pixels), to be dragged; None where there is none."""
        landmarks = self.landmarks
        if landmarks is None:
            return None
        away = np.hypot(*(transform_points(landmarks, self.view.frame_to_view) - (x, y)).T)
        nearest = int(away.argmin())
        return nearest if away[nearest] <= reach else None

    def drag_landmark(self, number: int, x: float, y: float) -> None:
        """Puts one landmark under the pointer (view pixels) and locks the face."""
        landmarks = self.landmarks
        if landmarks is None:
            return
        moved = np.array(landmarks, np.float64)
        moved[number] = transform_points(np.array([[x, y]], np.float64), invert_affine(self.view.frame_to_view))[0]
        if self._dragged != number:  # one drag of many steps is one thing to undo
            self._remember()
        self._dragged = number
        self._state = replace(self._state, own=moved, locked=True, anchor=None)

    # ------------------------------------------------------------------------------------------------------------ keys

    def press(self, key: str) -> bool:
        """Does what a key means; False where it means nothing."""
        key = {"<": ",", ">": "."}.get(key, key.casefold())
        if key not in KEYS:
            return False
        getattr(self, KEYS[key])()
        return True

    def accept(self) -> None:
        """Enter: keeps the face, locked or not, and goes on to the next frame without one."""
        if self._keep():
            self._step_over_done()

    def accept_one_more(self) -> None:
        """Keeps the face and stays, for another one in the same frame."""
        if self._keep():
            self._state = self._state.unlocked()

    def skip(self) -> None:
        """Space: this frame has no (more) face; a face shown again is dropped. On to the next frame without one."""
        self._change(faces={**self._state.faces, self._state.frame: self.faces(self._state.frame)})
        self._step_over_done()

    def go_back(self) -> None:
        """`,`: the previous frame, if there is one; a locked face is kept first, any other is not."""
        if self._state.frame > 0:
            self._leave_for(self._state.frame - 1)

    def go_on(self) -> None:
        """`.`: the next frame; a locked face is kept, any other is not, and the frame stays open."""
        self._leave_for(self._state.frame + 1)

    def finish(self) -> None:
        """`q`: keeps a locked face and leaves all further frames as they are."""
        if self._settle():
            self._state = replace(self._state.unlocked(), finished=True)

    def toggle_accurate(self) -> None:
        """`a`: accurate landmarks or quick ones."""
        self._change(accurate=not self._state.accurate)

    def toggle_help(self) -> None:
        """`h`: shows or hides the help."""
        self._change(help_shown=not self._state.help_shown)

    def turn_left(self) -> None:
        """Turns the rectangle counterclockwise by 15 degrees."""
        self._turn(-1)

    def turn_right(self) -> None:
        """Turns the rectangle clockwise by 15 degrees."""
        self._turn(+1)

    def undo(self) -> None:
        """Takes back the last click, key or drag."""
        self._dragged = None
        self.message = "" if self._undo else "There is nothing to undo."
        if self._undo:
            self._state = self._undo.pop()

    # -------------------------------------------------------------------------------------------------------- the view

    @property
    def view(self) -> FrameView:
        """How the frame is shown now."""
        height, width = self._frame_at(self._state.frame).shape[:2]
        rectangle = self._state.rectangle
        return FrameView(width, height, self._window_size, rectangle.center, rectangle.half_size)

    def draw(self) -> NDArray:
        """The view, (H, W, 3) BGR uint8: the frame, the rectangle, landmarks, the crop, and faces accepted before."""
        frame = self._frame_at(self._state.frame)
        known = [face.landmarks for face in self.faces(self._state.frame)]
        locked = self._state.locked
        return draw_view(frame, self.view, self.rectangle, self.landmarks, known, self._face_type, locked=locked)

    # --------------------------------------------------------------------------------------------------------- innards

    def _frame_at(self, number: int) -> NDArray:
        if self._shown is None or self._shown[0] != number:
            self._shown = (number, self._read(number))
        return self._shown[1]

    def _remember(self) -> None:
        self._undo.append(self._state)
        self._dragged = None
        self.message = ""

    def _change(self, **changes: object) -> None:
        self._remember()
        self._state = replace(self._state, **changes)  # type: ignore[arg-type]

    def _turn(self, steps: int) -> None:
        if not self._state.locked and self._state.anchor is None:
            self._change(rectangle=self._state.rectangle.turned(steps), own=None)

    def _keep(self) -> bool:
        """Stores the face that is shown; False, and says so, where none is seen."""
        landmarks, state = self.landmarks, self._state
        try:
            if landmarks is None:
                raise NotAFace("No face is seen in the rectangle")
            frame_to_face(landmarks, self._face_type, 1)
        except NotAFace:
            self.message = "No face is seen in the rectangle: move it, or right-click and draw the face."
            return False
        face = EditedFace(state.rectangle, landmarks)
        self._change(faces={**state.faces, state.frame: (*self.faces(state.frame), face)})
        return True

    def _settle(self) -> bool:
        """Before the frame is left: keeps a locked face, and no other. False where a locked one cannot be kept."""
        if self._state.locked:
            return self._keep()
        self._remember()
        return True

    def _leave_for(self, number: int) -> None:
        """To a neighbor frame; its last face, if it has one, is taken out and shown, locked."""
        if not self._settle():
            return
        self._arrive(number)
        faces = self.faces(number)
        if not self._state.finished and faces:
            last, rest = faces[-1], {**self._state.faces, number: faces[:-1]}
            if not rest[number]:
                del rest[number]
            self._state = replace(self._state, rectangle=last.rectangle, own=last.landmarks, locked=True, faces=rest)

    def _step_over_done(self) -> None:
        number = self._state.frame + 1
        while self.faces(number):
            number += 1
        self._arrive(number)

    def _arrive(self, number: int) -> None:
        """Shows a frame; place, size and modes of the rectangle stay, its lock does not. Behind the last: finished."""
        if number >= len(self._names):
            self._state = replace(self._state.unlocked(), finished=True)
        else:
            self._state = replace(self._state.unlocked(), frame=number, finished=False)
