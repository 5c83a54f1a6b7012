"""The sections of `util --report`: what was judged, put into words, pictures and facts, worst first."""

from __future__ import annotations

import numpy as np

from core.progress import Progress
from core.shots import MOST_RUNS, say_runs
from mainscripts.report_charts import Series, pose_map
from mainscripts.report_faces import Judged
from mainscripts.report_findings import (
    black_share,
    find_doubts,
    find_gaps,
    jumps,
    landmarks_outside,
    misfits,
    outside_share,
    say_direction,
)
from mainscripts.report_looks import color, duplicates, sharpness, size
from mainscripts.report_page import Finding, Gallery, Section
from mainscripts.report_words import (
    MOST_NAMES,
    SHOWN,
    SHOWN_FEW,
    be,
    directions,
    evenly,
    face_picture,
    frame_pictures,
    have,
    say_faces,
    say_frames,
    say_reach,
    spread_of,
)
from samplelib.face_features import RECORD, THUMBNAIL

_EMPTY_PART = 0.1


def all_sections(judged: Judged, progress: Progress) -> tuple[Section, ...]:
    """Every section, in the order of the page."""
    makers = (doubtful, coverage, size, sharpness, color, duplicates, cut, without_faces, problems)
    with progress.task("Judging", len(makers), "question") as task:
        sections = []
        for make in makers:
            section = make(judged)
            task.advance()
            if section is not None:
                sections.append(section)
    return tuple(sections)


def doubtful(judged: Judged) -> Section:
    """Faces whose landmarks may be wrong."""
    own = judged.own
    misfit = misfits(own.table.column(RECORD, "landmarks"))
    jump = jumps(own.table.frame_names, own.frame_landmarks, own.table.column(RECORD, "frame_bbox"))
    doubts = find_doubts(misfit, jump, own.frame_to_face, own.told("presence"), own.told("score"), own.told("gap"))
    if doubts:
        finding = Finding(
            "act",
            f"{say_faces(len(doubts))} may be aligned wrongly.",
            f"Look at the green points. {judged.correction}",
        )
    else:
        sure = "" if np.isnan(own.told("score")).all() else ", the networks are sure of each"
        told = f"Every face looks well aligned: landmarks fit a head{sure}, and none jumps for a frame."
        finding = Finding("good", told)
    pictures = [face_picture(own, d.row, d.reason, with_landmarks=True) for d in doubts[:SHOWN]]
    return Section(
        "doubtful",
        "Doubtful alignments",
        (finding,),
        {
            "count": len(doubts),
            "faces": [{"file": own.name(d.row), "reason": d.reason, "weight": round(d.weight, 3)} for d in doubts],
        },
        galleries=(Gallery("Most doubtful first", tuple(pictures), len(doubts)),),
    )


def coverage(judged: Judged) -> Section:
    """Where the faces look, and where the source has nothing for the target."""
    own = directions(judged.own)
    if judged.source is None or judged.target is None:
        caption = "Faces in each direction, in steps of 10°. Left is the left side of the picture."
        figure = pose_map(Series(judged.label, own), None)
        facts = {"yaw": spread_of(own[:, 0]), "pitch": spread_of(own[:, 1]), "gaps": None}
        finding = Finding(
            "look",
            f"The faces look from {say_reach(own[:, 0], 'left', 'right')} and {say_reach(own[:, 1], 'up', 'down')}.",
            "There is no other faceset to hold this one against; name one with `--against FOLDER`.",
        )
        return Section("coverage", "Where the faces look", (finding,), facts, figures=((caption, figure),))
    source, target = judged.source, judged.target
    here, there = directions(source), directions(target)
    gaps, covered = find_gaps(here, there)
    findings = [
        Finding(
            "act" if len(gap.rows) >= 0.02 * len(target) else "look",
            f"dst looks {say_direction(gap.yaw, gap.pitch)} in {say_faces(gap.there)}; src has "
            f"{gap.here or 'no'} such face{'' if gap.here == 1 else 's'}.",
            f"{say_faces(len(gap.rows))} of dst {have(len(gap.rows))} fewer than 5 faces of src within 10°. Look for "
            "footage of the source person that looks there; without it the model guesses.",
        )
        for gap in gaps
    ]
    sentence = f"src covers {100 * covered:.0f} % of the faces of dst (5 faces within 10° count as enough)."
    findings.append(Finding("good" if covered > 0.98 else "look", sentence))
    galleries = []
    for gap in gaps[:4]:
        rows = evenly(gap.rows, 8)
        angles = [say_direction(*np.round(there[row]).tolist()) for row in rows]
        pictures = tuple(face_picture(target, row, angle) for row, angle in zip(rows, angles, strict=True))
        galleries.append(Gallery(f"dst looks {say_direction(gap.yaw, gap.pitch)}", pictures, len(gap.rows)))
    caption = (
        "Numbers: faces of dst that look there, in steps of 10°; left is the left side of the picture. Green: src has "
        "enough faces like these. Yellow: 1 to 4. Red: none. Outlined: src has faces there and dst does not."
    )
    return Section(
        "coverage",
        "Where the faces look: src for dst",
        tuple(findings),
        {
            "covered": round(covered, 4),
            "src": {"yaw": spread_of(here[:, 0]), "pitch": spread_of(here[:, 1])},
            "dst": {"yaw": spread_of(there[:, 0]), "pitch": spread_of(there[:, 1])},
            "gaps": [
                {"yaw": g.yaw, "pitch": g.pitch, "dst": g.there, "src": g.here, "uncovered": len(g.rows)} for g in gaps
            ],
        },
        figures=((caption, pose_map(Series("src", here), Series("dst", there))),),
        galleries=tuple(galleries),
    )


def cut(judged: Judged) -> Section:
    """Faces that reach beyond their frame."""
    own, sizes = judged.own, judged.frames.sizes
    outside = outside_share(own.frame_to_face, own.table.column(RECORD, "side"), sizes)
    known = outside >= 0
    seen = np.where(known, outside, black_share(own.table.column(THUMBNAIL, "pixels")))
    points = landmarks_outside(own.frame_landmarks, sizes)
    broken, wide = np.flatnonzero(points > 0), np.flatnonzero((points == 0) & (seen > _EMPTY_PART))
    findings = []
    if len(broken):
        findings.append(
            Finding("look", f"{say_faces(len(broken))} {be(len(broken))} cut by the edge of the frame.", judged.removal)
        )
    if len(wide):
        findings.append(
            Finding(
                "look",
                f"{say_faces(len(wide))} {have(len(wide))} more than a tenth of the picture outside of the frame.",
                "The face itself is whole. A tighter face type (for example full_face) leaves the black out: "
                "`facesettool resize --face-type full_face`.",
            )
        )
    if not findings:
        findings.append(Finding("good", "No face is cut by the edge of its frame."))
    rows = [*broken[np.argsort(-points[broken])].tolist(), *wide[np.argsort(-seen[wide])].tolist()]
    notes = [
        f"{points[row]} of 68 points outside" if points[row] else f"{100 * seen[row]:.0f} % outside" for row in rows
    ]
    pictures = [face_picture(own, row, note) for row, note in list(zip(rows, notes, strict=True))[:SHOWN_FEW]]
    unknown = int((~known).sum())
    words = f"{say_faces(unknown)} had no frame beside the faces; black edges were counted instead."
    return Section(
        "cut",
        "Cut by the frame",
        tuple(findings),
        {
            "face_cut": [own.name(n) for n in broken[:MOST_NAMES].tolist()],
            "picture_beyond_frame": [own.name(n) for n in wide[:MOST_NAMES].tolist()],
            "frames_not_found": unknown,
        },
        galleries=(Gallery("Most cut first", tuple(pictures), len(rows)),),
        details=(("How it was told", words),) if unknown else (),
    )


def without_faces(judged: Judged) -> Section | None:
    """Frames that have no face here; None where nothing tells."""
    frames = judged.frames.without
    if not frames.known:
        return None
    missing = [
        ("no face was found", frames.empty),
        ("could not be read", tuple(name for name, _ in frames.failed)),
        ("the face that was found is not in the folder any more", frames.removed),
        ("never extracted", frames.untold),
    ]
    count = sum(len(names) for _, names in missing)
    findings = [
        Finding(
            "act" if judged.label == "dst" and reason != "could not be read" and len(names) > 0.02 * frames.total
            else "look",
            f"{say_frames(len(names))} of {frames.total:,}: {reason}.",
            "In the result they keep the old face."
            if judged.label == "dst"
            else "",
        )
        for reason, names in missing
        if names
    ]  # fmt: skip
    if not findings:
        findings = [Finding("good", f"Each of the {frames.total:,} frames has a face.")]
    galleries = [
        Gallery(reason.capitalize(), tuple(frame_pictures(judged.frames.folder, names)), len(names))
        for reason, names in missing
        if names
    ]
    return Section(
        "frames",
        "Frames without faces",
        tuple(findings),
        {
            "frames": frames.total,
            "without": count,
            "empty": list(frames.empty),
            "failed": dict(frames.failed),
            "removed": list(frames.removed),
            "not_extracted": list(frames.untold),
        },
        galleries=tuple(galleries),
        details=tuple((f"Which: {reason}", say_runs(names, MOST_RUNS)) for reason, names in missing if names),
    )


def problems(judged: Judged) -> Section | None:
    """Files that are no usable faces; None where there are none."""
    found = judged.own.problems
    if not found:
        return None
    finding = Finding(
        "act",
        f"{len(found)} file{'s' if len(found) > 1 else ''} in the folder cannot be used.",
        "Where an editor dropped the record, `util --recover-records` gives it back.",
    )
    listed = "; ".join(f"{name}: {reason}" for name, reason in found[:500])
    facts = {"files": [{"file": name, "reason": reason} for name, reason in found]}
    return Section("problems", "Files that cannot be used", (finding,), facts, details=(("Which and why", listed),))
