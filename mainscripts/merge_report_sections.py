"""The sections of `merge --report`: what stands out in a merged shot, in words, charts and strips.

merge_report_steadiness.py and merge_report_faces.py hold some of them, merge_report_words.py what they share.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from core.shots import say_runs
from mainscripts.merge_report_faces import border, confidence, least_sure, shown_without_face, turned, without_faces
from mainscripts.merge_report_judging import KINDS, UNFINISHED, Judged, Trouble, spread
from mainscripts.merge_report_steadiness import color, flicker, jitter
from mainscripts.merge_report_words import (
    LEGEND,
    StripKey,
    Strips,
    as_column,
    as_facts,
    listed,
    say_which,
    spot_gallery,
)
from mainscripts.report_page import Finding, Section, Table
from mainscripts.report_words import MOST_NAMES, SHOWN, SHOWN_FEW, be, have, say_frames

_MOST_ROWS = 60
_FEW_CAUSES = 3


def headline(judged: Judged, sections: Sequence[Section]) -> str:
    """The one sentence what to do: finish it, then mend what goes through the whole shot, then look at places."""
    undone = sorted({trouble.frame for trouble in judged.of_kind("failed", "missing", "broken")})
    if undone:
        them = "it" if len(undone) == 1 else "them"
        which = say_runs([judged.names[n] for n in undone], 2)
        return (
            f"Do not make the video yet: {say_frames(len(undone))} {be(len(undone))} unfinished ({which}); "
            f"mend the cause named below and run `merge` again, which renders only {them}."
        )
    through = [f.sentence for section in sections for f in section.findings if f.level == "act"]
    if through:
        return f"Mend this before you look closer: {through[0][:1].lower()}{through[0][1:]}"
    spots = judged.spots(judged.troubles)
    if spots:
        first = spots[0]
        where = judged.names[first.worst]
        why = first.troubles[0].words
        if len(spots) == 1:
            return f"Look at {where} before you watch the whole: {why}."
        return f"Look at {len(spots):,} places before you watch the whole, first at {where}: {why}."
    return "Nothing stands out: watch it once at full speed, then make the video (step 8)."


def wanted_strips(judged: Judged) -> list[StripKey]:
    """The strips that the sections show."""
    keys: list[StripKey] = [(s.worst, s.face) for s in judged.spots(judged.troubles)[:SHOWN]]
    for kinds in (UNFINISHED, *((kind,) for kind in KINDS if kind not in UNFINISHED)):
        keys += [(spot.worst, spot.face) for spot in judged.spots(judged.of_kind(*kinds))[:SHOWN_FEW]]
    keys += least_sure(judged)[:SHOWN_FEW]
    keys += [(frame, None) for frame in shown_without_face(judged)]
    return list(dict.fromkeys(keys))


def all_sections(judged: Judged, strips: Strips) -> tuple[Section, ...]:
    """Every section, in the order of the page."""
    makers = (first_look, unfinished, scenes, flicker, jitter, color, confidence, turned, border, without_faces, frames)
    sections = [make(judged, strips) for make in makers]
    return tuple(section for section in sections if section is not None)


def first_look(judged: Judged, strips: Strips) -> Section | None:
    """The places that most need a look, with everything that stands out there."""
    spots = judged.spots(judged.troubles)
    if not spots:
        return None
    facts = [
        {
            "frame": judged.names[frame],
            "scene": judged.scene_of(frame),
            "kinds": list(dict.fromkeys(trouble.kind for trouble in found)),
            "reasons": [trouble.words for trouble in found],
        }
        for frame, found in judged.by_frame.items()
    ]
    gallery = spot_gallery(judged, strips, LEGEND, spots, SHOWN)
    counts = {"places": len(spots), "count": len(facts)}
    return Section("first", "Look at these first", (), {**counts, "frames": facts[:MOST_NAMES]}, galleries=(gallery,))


def unfinished(judged: Judged, strips: Strips) -> Section:
    """Frames that are not what a merge makes: failed, missing, damaged, or the same as their source."""
    told = (
        ("failed", "Merging failed, and the source stands in where there is a picture", "act"),
        ("missing", "Not merged yet", "act"),
        ("broken", "A file cannot be read, or the mask is missing", "act"),
        ("unchanged", "Merged, and yet the same as the source (an empty mask, or the mode original)", "look"),
    )
    findings = []
    for kind, words, level in told:
        if found := judged.of_kind(kind):
            advice = "Run `merge` again: it renders what failed or is missing." if level == "act" else ""
            causes = f" {_say_causes(judged, found)}" if kind in ("failed", "broken") else ""
            findings.append(Finding(level, f"{words}: {say_which(judged, found)}.{causes}", advice))
    other = [judged.names[n] for n, look in enumerate(judged.looks) if look.other_size]
    if other:
        words = f"{say_frames(len(other))} {have(len(other))} another size than the source: {say_runs(other, 3)}."
        findings.append(Finding("look", words, "In the mode raw-predict that is meant; colors are not measured there."))
    if not findings:
        findings = [Finding("good", f"All of the {say_frames(len(judged))} are merged and can be read.")]
    facts = {kind: listed(judged, judged.of_kind(kind)) for kind in UNFINISHED}
    gallery = spot_gallery(judged, strips, f"{LEGEND} Gray: not there.", judged.spots(judged.of_kind(*UNFINISHED)))
    return Section(
        "unfinished", "Unfinished frames", tuple(findings), {**facts, "other_size": other}, galleries=(gallery,)
    )


def _say_causes(judged: Judged, found: Sequence[Trouble]) -> str:
    """The first few of the reasons why, each of the first frame that has it."""
    first: dict[str, Trouble] = {}
    for trouble in found:
        first.setdefault(trouble.words, trouble)
    more = f" and {len(first) - _FEW_CAUSES} more" if len(first) > _FEW_CAUSES else ""
    causes = [f"{judged.names[trouble.frame]} {words}" for words, trouble in list(first.items())[:_FEW_CAUSES]]
    return f"Why: {'; '.join(causes)}{more}."


def scenes(judged: Judged, strips: Strips) -> Section:
    """One row for each scene."""
    bare, marked = np.zeros(len(judged), int), np.zeros(len(judged), int)
    bare[judged.without_face] = 1
    marked[list(judged.by_frame)] = 1
    measured = {"flicker": judged.flicker[0], "jitter": judged.jitter[0], "color": judged.color[0]}
    rows, facts = [], []
    for number, scene in enumerate(judged.scenes, 1):
        part = slice(scene.start, scene.stop)
        first, last = judged.names[scene.start], judged.names[scene.stop - 1]
        figures = {name: values[part] for name, values in measured.items()}
        counts = {"frames": len(scene), "without_face": int(bare[part].sum()), "stand_out": int(marked[part].sum())}
        told = {name: as_facts(values) for name, values in figures.items()}
        facts.append({"scene": number, "first": first, "last": last, **counts, **told})
        cells = [_say_spread(values) for values in figures.values()]
        ends = (f"{counts['frames']:,}", f"{counts['without_face']:,}")
        rows.append((str(number), first, last, judged.moment(scene.start), *ends, *cells, f"{counts['stand_out']:,}"))
    heads = ("Scene", "First frame", "Last frame", "At", "Frames", "No face", "Flicker", "Jitter", "Color", "Stand out")
    kept = [n for n, head in enumerate(heads) if judged.known.rate or head != "At"]
    shown = sorted(sorted(range(len(rows)), key=lambda n: -int(marked[judged.scenes[n]].sum()))[:_MOST_ROWS])
    title = "" if len(shown) == len(rows) else f"The {len(shown)} of {len(rows):,} scenes in which most stands out"
    table = Table(
        title,
        tuple(heads[n] for n in kept),
        tuple(tuple(rows[row][n] for n in kept) for row in shown),
        tuple("look" if marked[judged.scenes[row]].any() else "good" for row in shown),
    )
    notes = (
        "Flicker and color in levels of Lab, jitter in thousandths of the face: the middle of the scene's frames, and "
        "the largest. Stand out: frames in which anything does. Scenes are told by cuts in the picture."
    )
    return Section(
        "scenes", "Scene by scene", (), {"scenes": facts}, details=(("How to read it", notes),), tables=(table,)
    )


def _say_spread(values: np.ndarray) -> str:
    seen = spread(values)
    return "–" if seen is None else f"{seen[0]:.1f}, up to {seen[1]:.1f}"


def frames(judged: Judged, strips: Strips) -> Section:
    """Every frame in figures, for programs; people are told how it was measured."""
    columns = {
        "names": judged.names,
        "scene": [judged.scene_of(n) for n in range(len(judged))],
        "faces": [len(place.faces.faces) for place in judged.places],
        "flicker": as_column(judged.flicker[0]),
        "source_flicker": as_column(judged.source_flicker),
        "jitter": as_column(judged.jitter[0]),
        "landmark_jitter": as_column(judged.landmark_jitter),
        "color": as_column(judged.color[0]),
        "ring": as_column(judged.ring),
        "source_ring": as_column(judged.source_ring),
        "yaw": as_column(judged.worst_of({key: abs(record.yaw) for key, record in judged.records.items()})[0]),
        "touches": [list(look.touches) for look in judged.looks],
    }
    notes = (
        f"Every frame was read and measured ({len(judged):,}), none was left out. Strips are a selection: of frames in "
        "a row in which the same stands out the worst one, and of those the worst; of frames without a face some, "
        "spread evenly. Of several faces in a frame the worst counts. Frames in .exr files that do not say by which "
        "curve they became light are judged by their masks and landmarks alone. Every number of every frame is in the "
        ".json file beside this page."
    )
    return Section("frames", "How it was measured", (), columns, details=(("In words", notes),))
