"""The choice of an encoder: what fits together, what is refused, what is told."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from core.errors import BadOption
from core.video.commands import EncodingPlan, RawFrames
from core.video.encoders import X264, Encoder, find_encoder
from core.video.properties import ColorTags
from mainscripts.encoding import EncodingOptions, choose_encoder, depth_notes, has_bitrate

SDR = ColorTags("bt709", "bt709", "bt709", "tv", "left")
HDR = ColorTags("bt2020nc", "bt2020", "smpte2084", "tv", "left")
CARD = Encoder("h264_card", "h264_card", "h264", "nv12", None, lambda q: {"q": q})


def chosen(extension: str = ".mp4", bitrate: float | None = None, **given: Any) -> Any:
    return choose_encoder(EncodingOptions.of(**given), bitrate, extension)


def test_what_is_taken_when_nothing_is_said() -> None:
    choice = chosen()
    assert (choice.encoder, choice.quality, choice.keeps_alpha, choice.note) == (X264, 16, False, None)
    assert chosen(encoder="x265").quality == 18
    assert chosen(encoder="av1").quality == 20
    assert chosen(crf=23).quality == 23
    assert chosen(".mov", encoder="prores4444").keeps_alpha


def test_lossless_forms_have_encoders_of_their_own() -> None:
    assert chosen(".mov", lossless=True).keeps_alpha
    assert not chosen(".mp4", lossless=True).keeps_alpha
    assert chosen(".mp4", lossless=True).note is None
    assert "Not used: x265." in chosen(".mp4", lossless=True, encoder="x265").note
    assert "Not used: --crf, --bitrate." in chosen(".mov", 40.0, lossless=True, crf=20).note


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"extension": ".avi", "encoder": "x265"}, r"x265 goes into \.mp4, \.mov, \.mkv\. Received: \.avi"),
        ({"extension": ".mov", "encoder": "av1"}, r"av1 goes into \.mp4, \.mkv\. Received: \.mov"),
        ({"extension": ".mp4", "encoder": "prores4444"}, r"prores4444 goes into \.mov"),
        ({"extension": ".mov", "encoder": "prores4444", "crf": 3}, "prores4444 has one quality"),
        ({"extension": ".mov", "encoder": "prores4444", "bitrate": 50.0}, "prores4444 has one quality"),
        ({"crf": 20, "bitrate": 8.0}, r"a constant quality or a bit rate\. Received: --crf 20 and --bitrate 8"),
        ({"crf": 60}, r"quality of x264 ends at 51\. Received: --crf 60"),
    ],
)
def test_what_does_not_fit_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(BadOption, match=words):
        chosen(**given)
    assert chosen(encoder="av1", crf=60).quality == 60


def test_a_bit_rate_is_asked_for_where_there_is_one() -> None:
    assert has_bitrate(EncodingOptions())
    assert not has_bitrate(EncodingOptions(lossless=True))
    assert not has_bitrate(EncodingOptions(encoder="prores4444"))
    assert not has_bitrate(EncodingOptions(crf=20))


@pytest.mark.parametrize(
    ("encoder", "colors", "depth", "told"),
    [
        (X264, SDR, 8, []),
        (X264, SDR, 16, ["16 bits become 10"]),
        (CARD, SDR, 16, ["h264_card holds 8 bits"]),
        (CARD, HDR, 16, ["h264_card holds 8 bits", "HDR in 8 bits"]),
        (X264, HDR, 8, ["HDR in 8 bits"]),
    ],
)
def test_what_is_lost_is_told(encoder: Encoder, colors: ColorTags, depth: int, told: list[str]) -> None:
    frames = RawFrames(64, 48, 3, depth, Fraction(25))
    plan = EncodingPlan(".mp4", False, 16, None, colors, Fraction(1), encoder)
    notes = depth_notes(frames, plan)
    assert len(notes) == len(told)
    assert all(words in note for words, note in zip(told, notes, strict=True))
    assert depth_notes(frames, replace(plan, lossless=True)) == []
    assert depth_notes(replace(frames, channels=1), plan) == []


def test_players_are_named_for_h264_alone() -> None:
    frames = RawFrames(64, 48, 3, 16, Fraction(25))
    plan = EncodingPlan(".mp4", False, 18, None, HDR, Fraction(1), find_encoder("x265"))
    assert depth_notes(frames, plan) == ["16 bits become 10."]
