"""Sections of `util --report` about how the faces look: size, sharpness, color, near-duplicates."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from mainscripts.report_charts import Series, color_strip, histogram
from mainscripts.report_faces import Judged
from mainscripts.report_findings import skin_colors
from mainscripts.report_page import Finding, Gallery, Section
from mainscripts.report_words import (
    MOST_NAMES,
    SHOWN_FEW,
    as_rgb,
    be,
    counts_of,
    evenly,
    face_picture,
    its,
    say_color,
    say_faces,
    say_who,
    spread_of,
)
from mainscripts.sort_duplicates import near_duplicates
from samplelib.face_features import RECORD, SHARPNESS, THUMBNAIL

_BLURRED = 0.5
_ENLARGED = 2.0
_FAR_COLOR = 8.0
_TOGETHER = 4096


def size(judged: Judged) -> Section:
    """How large the faces are in their frames."""
    own = judged.own
    covered, sides = own.covered_pixels, own.table.column(RECORD, "side")
    enlarged = np.flatnonzero(sides > _ENLARGED * covered)
    middle, side = float(np.median(covered)), float(np.median(sides))
    findings = []
    if len(enlarged):
        findings.append(
            Finding(
                "look" if len(enlarged) < 0.05 * len(own) else "act",
                f"{say_faces(len(enlarged))} {be(len(enlarged))} stored at more than twice {its(len(enlarged))} size.",
                f"They show little detail. {judged.removal} `sort --by face-source-rect-size` brings the large first.",
            )
        )
    if middle > 1.5 * side:
        findings.append(
            Finding(
                "look",
                f"The frames hold more detail than the faces: {middle:.0f} px are stored as {side:.0f}.",
                f"`extract --image-size {min(2048, int(np.ceil(middle / 64) * 64))}` keeps it.",
            )
        )
    findings.append(
        Finding("good", f"A face covers {middle:.0f} px of its frame (middle) and is stored at {side:.0f} px.")
    )
    series = [Series(judged.label, covered)]
    if judged.other is not None:
        series.append(Series(judged.other_label, judged.other.covered_pixels))
    rows = enlarged[np.argsort(covered[enlarged])]
    pictures = [face_picture(own, row, f"{covered[row]:.0f} px stored at {sides[row]}") for row in rows[:SHOWN_FEW]]
    return Section(
        "size",
        "Size",
        tuple(findings),
        {
            "covered_pixels": spread_of(covered),
            "stored_pixels": spread_of(sides),
            "enlarged_twice": [own.name(n) for n in rows[:MOST_NAMES]],
            "histogram": counts_of(covered),
        },
        figures=((f"Side of a face's picture in pixels of its frame{say_who(judged)}.", histogram(series, " px")),),
        galleries=(Gallery("Smallest in their frames", tuple(pictures), len(rows)),),
    )


def sharpness(judged: Judged) -> Section:
    """How sharp the faces are."""
    own = judged.own
    values = own.table.column(SHARPNESS, "perceived").astype(np.float64)
    middle = float(np.median(values))
    order = np.argsort(values, kind="stable")
    blurred = [row for row in order.tolist() if values[row] < _BLURRED * middle]
    if blurred:
        finding = Finding(
            "look" if len(blurred) < 0.1 * len(own) else "act",
            f"{say_faces(len(blurred))} {be(len(blurred))} much less sharp than usual here.",
            f"{judged.removal} `sort --by blur` puts the sharp ones first.",
        )
    else:
        finding = Finding("good", "The faces are about equally sharp.")
    shown = blurred[:SHOWN_FEW] or order.tolist()[:6]
    pictures = [face_picture(own, row, f"sharpness {values[row]:.2f}") for row in shown]
    best = [face_picture(own, row, f"sharpness {values[row]:.2f}") for row in order[::-1][:6].tolist()]
    caption = "Perceived sharpness: the share of edges that look sharp, 0 to 1."
    return Section(
        "sharpness",
        "Sharpness",
        (finding,),
        {
            "perceived": spread_of(values),
            "blurred": [own.name(n) for n in blurred[:MOST_NAMES]],
            "histogram": counts_of(values),
        },
        figures=((caption, histogram([Series(judged.label, values)], "", low=0.0)),),
        galleries=(
            Gallery("Least sharp", tuple(pictures), len(blurred) or len(pictures)),
            Gallery("Sharpest, to compare", tuple(best), len(best)),
        ),
    )


def color(judged: Judged) -> Section:
    """Brightness and color of the faces, and whether the two sides are alike."""
    own = skin_colors(judged.own.table.column(THUMBNAIL, "pixels"))
    sides = [(judged.label, own)]
    findings: list[Finding] = []
    if judged.other is not None:
        other = skin_colors(judged.other.table.column(THUMBNAIL, "pixels"))
        sides.append((judged.other_label, other))
        first, second = (np.median(values, axis=0) for values in (own, other))
        apart = float(np.linalg.norm(first - second))
        if apart > _FAR_COLOR:
            words = say_color(first - second)
            findings.append(
                Finding(
                    "act" if apart > 2 * _FAR_COLOR else "look",
                    f"{judged.label} is {words} than {judged.other_label} (by {apart:.0f} levels of Lab).",
                    "Train with a color transfer, for example rct, and merge with one too.",
                )
            )
        else:
            findings.append(Finding("good", "src and dst have nearly the same brightness and color."))
    spread = float(own[:, 0].std())
    findings.append(
        Finding("good", f"Brightness differs by {spread:.1f} levels of 100 from face to face (standard deviation).")
    )
    darkest, brightest = (np.argsort(own[:, 0] * sign, kind="stable")[:6].tolist() for sign in (1, -1))
    figures = (
        (
            f"Brightness of the middle of the face, 0 to 100{say_who(judged)}.",
            histogram([Series(label, values[:, 0]) for label, values in sides], ""),
        ),
        (
            "Colors of the faces, each strip from the darkest face to the brightest.",
            color_strip([(label, as_rgb(values[np.argsort(values[:, 0])])) for label, values in sides]),
        ),
    )
    return Section(
        "color",
        "Brightness and color",
        tuple(findings),
        {
            label: {name: spread_of(values[:, n]) for n, name in enumerate(("lightness", "green_red", "blue_yellow"))}
            for label, values in sides
        },
        figures=figures,
        galleries=tuple(
            Gallery(
                title, tuple(face_picture(judged.own, row, f"brightness {own[row, 0]:.0f}") for row in rows), len(rows)
            )
            for title, rows in (("Darkest", darkest), ("Brightest", brightest))
        ),
    )


def duplicates(judged: Judged) -> Section:
    """Faces that are nearly the same picture as another."""
    table = judged.own.table
    levels = {level: near_duplicates(table, level) for level in (1, 2, 3)}
    same, close, alike = (len(levels[level]) for level in (1, 2, 3))
    share = close / len(table)
    if close and judged.label == "src":
        finding = Finding(
            "look" if share < 0.5 else "act",
            f"{say_faces(close)} ({100 * share:.0f} %) can hardly be told apart from another.",
            "They slow nothing down, and they make their moment count more than others. "
            "`sort --near-duplicates 2` puts them into the trash; the best of each stays.",
        )
    elif close:
        finding = Finding(
            "good", f"{say_faces(close)} can hardly be told apart from another; every frame needs its own."
        )
    else:
        finding = Finding("good", "No two faces are nearly the same picture.")
    pictures = []
    kept = np.setdiff1d(np.arange(len(table)), levels[2])
    for row in evenly(levels[2], 6):
        twin = _nearest_picture(table.column(THUMBNAIL, "pixels"), row, kept)
        pictures += [face_picture(judged.own, twin, "stays"), face_picture(judged.own, row, "nearly the same")]
    return Section(
        "duplicates",
        "Near-duplicates",
        (finding,),
        {
            "same_picture": same,
            "hardly_told_apart": close,
            "alike_at_a_glance": alike,
            "files": [judged.own.name(n) for n in levels[2][:MOST_NAMES].tolist()],
        },
        galleries=(Gallery("Pairs", tuple(pictures), 2 * close),),
        details=(
            (
                "At other levels",
                f"Level 1, the same picture byte for byte: {same}. Level 2, hardly to be told apart: {close}. "
                f"Level 3, alike at a glance: {alike}.",
            ),
        ),
    )


def _nearest_picture(pixels: NDArray[np.uint8], row: int, rows: NDArray[np.int64]) -> int:
    """Of `rows` the one whose small picture is most like that of `row`; a few thousand are held at once."""
    best, least = -1, np.inf
    for start in range(0, len(rows), _TOGETHER):
        part = rows[start : start + _TOGETHER]
        apart = cv2.absdiff(pixels[part], np.broadcast_to(pixels[row], pixels[part].shape).copy())
        sums = apart.reshape(len(part), -1).sum(axis=1, dtype=np.int64)
        if sums.min() < least:
            best, least = int(part[np.argmin(sums)]), float(sums.min())
    return best
