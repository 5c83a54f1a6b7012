"""Frames that show what is set, and those that do not."""

from __future__ import annotations

from merger.session_records import SessionFrame
from merger.session_states import FrameStates, Look


class Painted(FrameStates):
    """Frames whose look is one word."""

    def __init__(self) -> None:
        super().__init__()
        self.frames = tuple(SessionFrame(f"{n}.png") for n in range(4))
        self.cursor = 2
        self.words = ["red"] * 4
        self.settled: list[str] = []

    def look(self, frame: int) -> Look:
        return (self.words[frame],)

    def _go_on(self) -> None:
        self.settled.append("one more")


def test_a_frame_is_done_as_long_as_its_look_stays() -> None:
    made = Painted()
    assert made.state_of(0) == "pending"
    made.rendered(0)
    assert made.state_of(0) == "done"
    made.words[0] = "blue"
    assert made.state_of(0) == "changed"
    made.words[0] = "red"
    assert made.state_of(0) == "done"
    made.outdate([0, 1])
    assert [made.state_of(frame) for frame in (0, 1)] == ["changed", "pending"]


def test_the_look_is_that_of_when_the_work_began() -> None:
    made = Painted()
    begun = made.look(1)
    made.words[1] = "blue"
    made.rendered(1, begun)
    assert made.state_of(1) == "changed"


def test_failed_frames_are_settled_until_they_are_rendered() -> None:
    made = Painted()
    made.failed(3, "no room")
    assert made.state_of(3) == "failed"
    assert made.is_settled(3)
    made.rendered(3)
    assert made.state_of(3) == "done"
    assert len(made.settled) == 2


def test_what_an_earlier_sitting_finished_counts() -> None:
    made = Painted()
    made.resume([[], ["settings"], ["new"], ["missing"]])
    assert [made.state_of(frame) for frame in range(4)] == ["done", "changed", "pending", "pending"]
    assert made.unfinished() == [2, 3, 1]
    assert made.unfinished(ahead=1) == [2]
