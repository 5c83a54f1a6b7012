"""Sections of `merge --report` about what is measured over time: flicker, jitter, color. Each with its chart."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mainscripts.merge_report_judging import COLOR_LIMIT, FLICKER_LIMIT, JITTER_LIMIT, Judged, spread
from mainscripts.merge_report_words import LEGEND, MANY, Strips, as_facts, listed, say_which, spot_gallery
from mainscripts.report_charts import Timeline, timeline
from mainscripts.report_page import Finding, Section
from mainscripts.report_words import say_color, say_frames

_WHOLE_WIDTH, _SCENE_WIDTH = 960, 470
_CHARTED_SCENES = 4
_WIDE_ENOUGH = 200
"""In a chart of so many frames each can be seen; scenes are drawn by themselves in longer shots."""


@dataclass(frozen=True, eq=False)
class _Course:
    """What is drawn over the frames: (N,) values, (N,) others to compare with, the limit, the unit, and in words."""

    values: NDArray
    beside: NDArray | None
    limit: float
    unit: str
    caption: str


def flicker(judged: Judged, strips: Strips) -> Section:
    """How steady the color of the face is."""
    caption = (
        "How much the color of the new face, against the ring around its mask, jumps from frame to frame (second "
        "difference, levels of Lab: twice what a single frame is off). Above the broken line it can be seen. Thin "
        "line: the source at the same place, which is no fault of the merge."
    )
    found = judged.of_kind("flicker")
    if found:
        finding = Finding(
            "act" if len(found) > MANY * len(judged) else "look",
            f"The color of the face jumps in {say_which(judged, found)}.",
            "Raise `--stabilize-colors` (in seamless modes `--stabilize-seamless`), or take another color transfer.",
        )
    else:
        finding = Finding("good", "The color of the face is steady from frame to frame.")
    course = _Course(judged.flicker[0], judged.source_flicker, FLICKER_LIMIT, " Lab", caption)
    return _section(judged, strips, "flicker", "Flicker", course, finding)


def jitter(judged: Judged, strips: Strips) -> Section:
    """How steady the face sits."""
    pasted = bool(judged.known.pasted)
    caption = (
        f"How much the corners of {'the pasted face' if pasted else 'the face as it was extracted'} jump from frame to "
        "frame (second difference, thousandths of the face's side: twice what a single frame is off). Above the broken "
        "line it can be seen."
        + (" Thin line: the faces as they were extracted, before they were steadied." if pasted else "")
    )
    found = judged.of_kind("jitter")
    if found:
        finding = Finding(
            "act" if len(found) > MANY * len(judged) else "look",
            f"The face jumps in {say_which(judged, found)}.",
            "Raise `--stabilize-landmarks`; where single faces are wrong, correct them "
            "(`5) data_dst faceset extract + manual fix`).",
        )
    else:
        finding = Finding("good", "The face sits steadily from frame to frame.")
    course = _Course(judged.jitter[0], judged.landmark_jitter if pasted else None, JITTER_LIMIT, " ‰", caption)
    return _section(judged, strips, "jitter", "Jitter", course, finding)


def color(judged: Judged, strips: Strips) -> Section:
    """Whether the face has the color that the frame around it asks for."""
    found = judged.of_kind("color")
    if found:
        shift = np.median([judged.color_shifts[t.frame, t.face or 0] for t in found], axis=0)
        finding = Finding(
            "act" if len(found) > MANY * len(judged) else "look",
            f"The new face is {say_color(shift)} than the old one in {say_which(judged, found)}.",
            "Merge with a color transfer, for example `merge --color-transfer rct`, or with another one.",
        )
    else:
        finding = Finding("good", f"The new face has the color of the old one, within {COLOR_LIMIT:.0f} levels of Lab.")
    now, before = spread(judged.ring), spread(judged.source_ring)
    caption = (
        "How far the color of the new face is from that of the old one, both taken against the ring around the mask "
        "(levels of Lab). Above the broken line it can be seen."
    )
    if now and before:
        caption += (
            f" Face and ring are {now[0]:.0f} levels apart (middle of the frames), and {before[0]:.0f} in the source."
        )
    course = _Course(judged.color[0], None, COLOR_LIMIT, " Lab", caption)
    section = _section(judged, strips, "color", "Color", course, finding)
    section.facts["difference_to_ring"] = as_facts(judged.ring)
    section.facts["source_difference_to_ring"] = as_facts(judged.source_ring)
    return section


def _section(judged: Judged, strips: Strips, key: str, title: str, course: _Course, finding: Finding) -> Section:
    found = judged.of_kind(key)
    facts = {"all": as_facts(course.values), "limit": course.limit, "frames": listed(judged, found)}
    if facts["all"] is None:
        finding = _nothing_measured(judged, title)
        return Section(key, title, (finding,), facts)
    gallery = spot_gallery(judged, strips, f"Worst first. {LEGEND}", judged.spots(found))
    return Section(key, title, (finding,), facts, figures=_charts(judged, course), galleries=(gallery,))


def _nothing_measured(judged: Judged, title: str) -> Finding:
    measurable = [
        look
        for place, look in zip(judged.places, judged.looks, strict=True)
        if place.merged and place.merged.suffix != ".exr" and place.mask and not (look.broken or look.other_size)
    ]
    told = f"{title}: nothing could be measured, because"
    if len(judged.without_face) == len(judged):
        return Finding("good", f"{told} there are no faces.")
    readings = [record.difference for look in measurable for record in look.records]
    if readings and not any(readings):
        advice = "The faces hardly show. Train longer, or choose another `--mask-mode`."
        return Finding("look", f"{told} no mask covers its face by half.", advice)
    return Finding("good", f"{told} that takes a face with its mask in three merged frames in a row.")


def _charts(judged: Judged, course: _Course) -> tuple[tuple[str, str], ...]:
    """The whole shot, and the scenes with most frames beyond the limit."""
    figures = [_chart(judged, course, range(len(judged)), course.caption, _WHOLE_WIDTH)]
    over = np.nan_to_num(course.values) > course.limit
    counts = [int(over[scene.start : scene.stop].sum()) for scene in judged.scenes]
    if len(judged.scenes) > 1 and len(judged) > _WIDE_ENOUGH:
        for n in sorted(range(len(counts)), key=lambda n: -counts[n])[:_CHARTED_SCENES]:
            if counts[n]:
                caption = f"Scene {n + 1}: {say_frames(counts[n])} above the line."
                figures.append(_chart(judged, course, judged.scenes[n], caption, _SCENE_WIDTH))
    return tuple(figures)


def _chart(judged: Judged, course: _Course, part: range, caption: str, width: int) -> tuple[str, str]:
    """Caption and drawing of some frames in a row."""
    inside = slice(part.start, part.stop)
    chart = Timeline(
        course.values[inside],
        judged.names[inside],
        course.limit,
        course.unit,
        None if course.beside is None else course.beside[inside],
        [scene.start - part.start for scene in judged.scenes if part.start < scene.start < part.stop],
        width,
    )
    together = chart.frames_per_point
    caption += f" Each point of the line is the largest of {together} frames." if together > 1 else ""
    caption += " Upright lines: cuts." if chart.cuts else ""
    return caption, timeline(chart)
