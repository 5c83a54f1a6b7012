"""Sections of `merge --report` about the faces: how sure they are, where they look, what is cut off."""

from __future__ import annotations

import numpy as np

from core.shots import MOST_RUNS, say_runs
from mainscripts.merge_report_judging import YAW_LIMIT, FaceKey, Judged
from mainscripts.merge_report_words import LEGEND, Strips, listed, say_which, spot_gallery, strip_picture
from mainscripts.report_page import Finding, Gallery, Section
from mainscripts.report_words import MOST_NAMES, SHOWN_FEW, be, evenly, have, say_faces, say_frames

_LEAST_SURE = 12


def least_sure(judged: Judged) -> list[FaceKey]:
    """The faces of which the networks were least sure, as far as the records say."""
    known = {key: both for key, both in judged.known.sureness.items() if np.isfinite(both).any()}
    order = sorted(known, key=lambda key: (*np.nan_to_num(known[key][::-1], nan=np.inf).tolist(), key))
    return order[:_LEAST_SURE]


def confidence(judged: Judged, strips: Strips) -> Section:
    """Faces whose landmarks may be wrong, and those of which the networks were least sure."""
    found, least = judged.of_kind("doubt"), least_sure(judged)
    if found:
        finding = Finding(
            "look",
            f"{say_faces(len(found))} may be aligned wrongly, in {say_which(judged, found)}.",
            "Where the strip looks wrong, correct the face (`5) data_dst faceset extract MANUAL`) rather than delete "
            "it: a frame without its face keeps the old one.",
        )
    elif least:
        finding = Finding("good", "The networks were sure of every face, and all landmarks form one.")
    elif judged.records:
        finding = Finding("good", "All landmarks form a face. How sure the networks were, these faces do not say.")
    else:
        finding = Finding("good", "There are no faces to be sure of.")
    notes = [_say_sureness(*judged.known.sureness[key]) for key in least]
    doubtful = spot_gallery(judged, strips, f"Most doubtful first. {LEGEND}", judged.spots(found))
    galleries = [doubtful]
    if least:
        pictures = [strip_picture(judged, strips, *key, note) for key, note in zip(least, notes, strict=True)]
        title = f"Lowest confidence first. {LEGEND}"
        galleries.append(Gallery(title, tuple(pictures[:SHOWN_FEW]), len(judged.known.sureness), wide=True))
    facts = {
        "doubtful": listed(judged, found),
        "least_sure": [{"frame": judged.names[n], "what": note} for (n, _), note in zip(least, notes, strict=True)],
    }
    return Section("confidence", "Confidence", (finding,), facts, galleries=tuple(galleries))


def _say_sureness(score: float, presence: float) -> str:
    words = [f"detector {100 * score:.0f} %"] if np.isfinite(score) else []
    words += [f"landmark network {presence:.1f} (clear faces have 15 and more)"] if np.isfinite(presence) else []
    return ", ".join(words)


def turned(judged: Judged, strips: Strips) -> Section:
    """Heads turned so far that a model is seldom good."""
    found = judged.of_kind("yaw")
    most = max((abs(record.yaw) for record in judged.records.values()), default=0.0)
    if found:
        finding = Finding(
            "look",
            f"A head is turned more than {YAW_LIMIT:.0f}° in {say_which(judged, found)}.",
            "Models are seldom good there. More faces of src that look the same way help.",
        )
    elif judged.records:
        finding = Finding("good", f"No head is turned more than {most:.0f}°.")
    else:
        finding = Finding("good", "There are no faces.")
    facts = {"limit": YAW_LIMIT, "most": round(most, 1), "frames": listed(judged, found)}
    gallery = spot_gallery(judged, strips, f"Farthest first. {LEGEND}", judged.spots(found))
    return Section("yaw", "Turned heads", (finding,), facts, galleries=(gallery,))


def border(judged: Judged, strips: Strips) -> Section:
    """Masks that are cut by the edge of the frame."""
    found = judged.of_kind("border")
    if found:
        words = f"The mask touches the edge of the frame in {say_which(judged, found)}."
        finding = Finding("look", words, "The model saw only a part of the face there: look along that edge.")
    else:
        finding = Finding("good", "No mask touches the edge of the frame.")
    gallery = spot_gallery(judged, strips, LEGEND, judged.spots(found))
    return Section("border", "Masks at the edge", (finding,), {"frames": listed(judged, found)}, galleries=(gallery,))


def without_faces(judged: Judged, strips: Strips) -> Section:
    """Frames in which nothing was swapped because no face is known."""
    bare = judged.without_face
    names = [judged.names[n] for n in bare]
    laid_in = judged.of_kind("bridged")
    facts = {"count": len(bare), "frames": names[:MOST_NAMES]}
    facts |= {"bridged": listed(judged, laid_in)} if laid_in else {}
    title = "Frames without a face"
    bridged = Finding(
        "look",
        f"No face was found, and one was laid in between those around it (merge --fill-missing), in "
        f"{say_which(judged, laid_in)}.",
        "Where it lies wrong, find the face (`5) data_dst faceset extract + manual fix`).",
    )
    further = (bridged,) if laid_in else ()
    if not bare:
        good = Finding("good", "Every other frame has a face." if laid_in else "Every frame has a face.")
        shown = spot_gallery(judged, strips, LEGEND, judged.spots(laid_in))
        return Section("without", title, (*further, good), facts, galleries=(shown,))
    count = f"{say_frames(len(bare))} of {len(judged):,}"
    finding = Finding(
        "look",
        f"{count} {have(len(bare))} no face and {be(len(bare))} copied: {say_runs(names, 3)}.",
        "Where the person can be seen there, the old face stays: `5) data_dst faceset extract + manual fix` finds it.",
    )
    pictures = [
        strip_picture(judged, strips, n, None, f"scene {judged.scene_of(n)}") for n in shown_without_face(judged)
    ]
    gallery = Gallery(LEGEND, tuple(pictures), len(bare), wide=True)
    details = (("Which", say_runs(names, MOST_RUNS)),)
    shown = spot_gallery(judged, strips, LEGEND, judged.spots(laid_in))
    return Section("without", title, (finding, *further), facts, galleries=(gallery, shown), details=details)


def shown_without_face(judged: Judged) -> list[int]:
    """Some of them, spread evenly."""
    return evenly(np.array(judged.without_face, np.int64), SHOWN_FEW)
