"""The rules for what a video does not say of its colors."""

from __future__ import annotations

import pytest

from core.video.properties import ColorTags, colors_from_plain, colors_to_plain, settle_colors


@pytest.mark.parametrize(
    ("width", "height", "matrix", "primaries"),
    [
        (1920, 1080, "bt709", "bt709"),
        (720, 1364, "bt709", "bt709"),
        (1280, 536, "bt709", "bt709"),
        (960, 720, "bt709", "bt709"),
        (720, 480, "smpte170m", "smpte170m"),
        (512, 512, "smpte170m", "smpte170m"),
        (720, 576, "bt470bg", "bt470bg"),
    ],
)
def test_untagged_video_is_settled_by_its_size(width: int, height: int, matrix: str, primaries: str) -> None:
    settled = settle_colors(ColorTags(), width, height)
    assert (settled.matrix, settled.primaries, settled.range) == (matrix, primaries, "tv")
    assert None not in (settled.transfer, settled.chroma)


def test_tags_win_over_size() -> None:
    tags = ColorTags("bt709", "bt470bg", "iec61966-2-1", "pc", "topleft")
    assert settle_colors(tags, 64, 48) == tags


def test_a_matrix_that_cannot_be_converted_counts_as_none() -> None:
    assert settle_colors(ColorTags(matrix="ycgco"), 1920, 1080).matrix == "bt709"


def test_tags_survive_json_and_foreign_json_does_no_harm() -> None:
    tags = ColorTags("bt709", None, "smpte2084", "tv", None)
    assert colors_from_plain(colors_to_plain(tags)) == tags
    assert tags.is_hdr
    assert colors_from_plain({"matrix": 7, "else": "x"}) == ColorTags()
    assert colors_from_plain("nothing") == ColorTags()
