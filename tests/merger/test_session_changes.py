"""What a session says of what changed, and how it moves on."""

from __future__ import annotations

from dataclasses import replace

from merger.session import MergeSession
from merger.session_changes import Identity, compare, move_to_frames
from merger.session_records import SessionFrame
from merger.settings import MergeSettings

MODEL = Identity("new", "SAEHD", 1000, "weights")
FRAMES = [SessionFrame(f"{n}.png", ((f"face {n}", 1),), 10, n) for n in range(6)]


def erosions(session: MergeSession) -> list[int]:
    return [session.settings_at(frame).erode_mask for frame in range(len(session.frames))]


def stepped() -> MergeSession:
    """Eroded by 10 per frame."""
    session = MergeSession(FRAMES, MergeSettings(), cuts=[2, 4])
    session.ledger._clock = iter(range(1, 1000)).__next__
    for frame in range(6):
        session.set_key("erode_mask", frame, 10 * frame)
        session.mark(frame, str(frame))
    return session


def test_nothing_changed() -> None:
    changes = compare(MODEL, FRAMES, MODEL, FRAMES)
    assert changes.sentences(FRAMES) == []
    assert not changes.is_other_model
    assert not changes.is_other_shot


def test_faces_of_one_frame_are_that_frame() -> None:
    now = list(FRAMES)
    now[3] = replace(now[3], faces=(("moved", 1),))
    changes = compare(MODEL, FRAMES, MODEL, now)
    assert (changes.changed_faces, changes.changed_frames) == ([3], [])
    assert changes.sentences(now) == ["With other faces since the session was saved: 1 frame (3.png)."]


def test_the_number_of_a_track_alone_is_no_change() -> None:
    now = [replace(frame, faces=((frame.faces[0][0], 9),)) for frame in FRAMES]
    assert compare(MODEL, FRAMES, MODEL, now).changed_faces == []


def test_a_frame_that_was_written_again_is_told() -> None:
    now = list(FRAMES)
    now[0] = replace(now[0], size=11)
    now[5] = replace(now[5], name="5.jpg", changed_ns=99)
    assert compare(MODEL, FRAMES, MODEL, now).changed_frames == [0, 5]


def test_a_model_that_was_trained_on_is_told() -> None:
    changes = compare(MODEL, FRAMES, replace(MODEL, iteration=2500, weights="others"), FRAMES)
    assert changes.is_other_model
    assert changes.sentences(FRAMES) == [
        "The model was at iteration 1,000 when the session was saved and is at 2,500 now."
    ]
    assert compare(MODEL, FRAMES, replace(MODEL, weights="others"), FRAMES).is_other_model
    with_masks = replace(MODEL, segmenter="a")
    assert "XSeg" in compare(with_masks, FRAMES, replace(MODEL, segmenter="b"), FRAMES).sentences(FRAMES)[0]
    assert compare(with_masks, FRAMES, MODEL, FRAMES).sentences(FRAMES) == []  # not known now


def test_frames_that_came_and_went_are_named() -> None:
    now = [FRAMES[0], SessionFrame("0a.png"), *FRAMES[2:]]
    said = compare(MODEL, FRAMES, MODEL, now).sentences(now)
    assert said == [
        "New since the session was saved: 1 frame (0a.png), with the settings of the frame before.",
        "Gone since the session was saved: 1 frame (1.png); the keys moved on.",
    ]


def test_keys_cuts_and_marks_move_with_their_frames() -> None:
    now = [SessionFrame("a.png"), SessionFrame("b.png"), *FRAMES]
    session = stepped()
    session.go(3)
    moved = move_to_frames(session, now)
    assert erosions(moved) == [0, 0, 0, 10, 20, 30, 40, 50]
    assert moved.scenes == [range(4), range(4, 6), range(6, 8)]
    assert moved.marks == {frame + 2: str(frame) for frame in range(6)}
    assert moved.cursor == 5
    assert moved.visited == {2, 5}


def test_keys_of_frames_that_went_move_to_the_next_one_unless_it_has_its_own() -> None:
    session = MergeSession(FRAMES, MergeSettings())
    session.ledger._clock = iter(range(1, 1000)).__next__
    session.set_key("erode_mask", 1, 10)
    session.set_key("erode_mask", 4, 40)
    session.set_key("erode_mask", 5, 50)
    session.go(1)
    moved = move_to_frames(session, [FRAMES[0], FRAMES[2], FRAMES[3], FRAMES[5]])
    assert erosions(moved) == [0, 10, 10, 50]
    assert moved.cursor == 1


def test_steps_can_still_be_taken_back_after_frames_came() -> None:
    moved = move_to_frames(stepped(), [SessionFrame("a.png"), *FRAMES])
    moved.undo()
    assert 6 not in moved.marks
    moved.undo()
    assert erosions(moved) == [0, 0, 10, 20, 30, 40, 40]


def test_behind_the_last_frame_nothing_is_left() -> None:
    session = stepped()
    session.go(5)
    moved = move_to_frames(session, FRAMES[:3])
    assert erosions(moved) == [0, 10, 20]
    assert moved.cursor == 2
    assert moved.scenes == [range(2), range(2, 3)]


def test_another_shot_is_seen_as_one() -> None:
    assert compare(MODEL, FRAMES, MODEL, [SessionFrame("x.png")]).is_other_shot
