"""Frames as a session knows them."""

from merger.session_records import SessionFrame, View


def test_a_frame_is_known_by_the_stem_of_its_name() -> None:
    assert SessionFrame("00001.png").stem == "00001"
    assert SessionFrame("a.b.png").stem == "a.b"
    assert SessionFrame("bare").stem == "bare"


def test_the_tracks_of_its_faces_are_in_the_order_of_the_faces() -> None:
    assert SessionFrame("1.png", (("x", 4), ("y", 2))).tracks == [4, 2]


def test_help_is_shown_first() -> None:
    assert View().screen == "help"
