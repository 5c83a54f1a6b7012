"""The page of a report: one file that works offline, light or dark, on paper too. It runs nothing.

What it shows is a `Report`, which says the same as JSON (`as_json`).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Any

SCHEMA = "FacesetReport.1"
GENERATOR = '<meta name="generator" content="FaceLoom report">'
LEVELS = ("act", "look", "good")
"""Of findings: to be acted on, worth a look, fine."""
_WORDS = {"act": "do", "look": "look", "good": "fine"}


@dataclass(frozen=True)
class Finding:
    """A sentence, how much it matters (one of `LEVELS`), and what to do; commands between `backquotes`."""

    level: str
    sentence: str
    advice: str = ""


@dataclass(frozen=True)
class Picture:
    """A small picture with its file name and a note. jpeg: a JPEG file, empty where it could not be read."""

    name: str
    note: str
    jpeg: bytes = b""


@dataclass(frozen=True)
class Gallery:
    """Pictures under one title; total: how many there are, of which some are shown. wide: strips, not squares."""

    title: str
    pictures: tuple[Picture, ...]
    total: int
    wide: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of texts under their headings; cells that begin with a digit stand to the right. level: of a row, one of
    `LEVELS`."""

    title: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    levels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Section:
    """One question about what is judged. facts: the same for programs; figures: caption and SVG;
    details: title and text, folded."""

    key: str
    title: str
    findings: tuple[Finding, ...]
    facts: dict[str, Any]
    figures: tuple[tuple[str, str], ...] = ()
    galleries: tuple[Gallery, ...] = ()
    details: tuple[tuple[str, str], ...] = ()
    tables: tuple[Table, ...] = ()


@dataclass(frozen=True)
class Report:
    """Everything the page shows.

    Attributes:
        counts: label and number, for the tiles at the top.
        headline: one sentence what to do, above everything.
        in_order: what is said where nothing is to be done.
        schema: the first word of the JSON.
    """

    title: str
    folder: str
    against: str
    made: str
    counts: tuple[tuple[str, str], ...]
    sections: tuple[Section, ...] = field(default_factory=tuple)
    headline: str = ""
    in_order: str = "Nothing: this faceset is in order."
    schema: str = SCHEMA

    @property
    def findings(self) -> list[tuple[Section, Finding]]:
        """All findings, the ones to act on first."""
        pairs = [(section, finding) for section in self.sections for finding in section.findings]
        return sorted(pairs, key=lambda pair: LEVELS.index(pair[1].level))

    def as_json(self) -> dict[str, Any]:
        """The report for programs: every fact and sentence, no pictures."""
        return {
            "schema": self.schema,
            **({"headline": self.headline.replace("`", "")} if self.headline else {}),
            "folder": self.folder,
            "against": self.against or None,
            "made": self.made,
            "findings": [
                {"section": s.key, "level": f.level, "sentence": f.sentence, "advice": f.advice.replace("`", "")}
                for s, f in self.findings
            ],
            **{section.key: section.facts for section in self.sections},
        }


def render(report: Report) -> str:
    """The page as HTML."""
    open_findings = [(s, f) for s, f in report.findings if f.level != "good"]
    fine = [(s, f) for s, f in report.findings if f.level == "good"]
    tiles = "".join(
        f"<div class=tile><b>{escape(number)}</b><span>{escape(label)}</span></div>" for label, number in report.counts
    )
    against = f"<br>held against <code>{escape(report.against)}</code>" if report.against else ""
    todo = _findings(open_findings, links=True) if open_findings else f"<p>{escape(report.in_order)}</p>"
    headline = f"<p class=headline>{_marked(report.headline)}</p>" if report.headline else ""
    done = f"<details><summary>{len(fine)} things are fine</summary>{_findings(fine, links=True)}</details>"
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8>"
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">"
        '<meta name=viewport content="width=device-width,initial-scale=1"><meta name=color-scheme content="light dark">'
        f"{GENERATOR}<title>{escape(report.title)}</title><style>{_STYLE}</style></head><body><main>"
        f"<header><h1>{escape(report.title)}</h1><p class=where><code>{escape(report.folder)}</code>{against}<br>"
        f"{escape(report.made)}</p>{headline}</header><div class=tiles>{tiles}</div>"
        f"<section id=todo><h2>What to do</h2>{todo}{done if fine else ''}</section>"
        + "".join(_section(section) for section in report.sections)
        + "</main></body></html>\n"
    )


def _section(section: Section) -> str:
    figures = "".join(
        f"<figure>{svg}<figcaption>{_marked(caption)}</figcaption></figure>" for caption, svg in section.figures
    )
    galleries = "".join(_gallery(gallery) for gallery in section.galleries)
    tables = "".join(_table(table) for table in section.tables)
    details = "".join(
        f"<details><summary>{escape(title)}</summary><p class=long>{escape(text)}</p></details>"
        for title, text in section.details
    )
    findings = _findings([(section, finding) for finding in section.findings], links=False)
    return (
        f'<section id="{section.key}"><h2>{escape(section.title)}</h2>{findings}'
        f"<div class=figures>{figures}</div>{tables}{galleries}{details}</section>"
    )


def _findings(pairs: Sequence[tuple[Section, Finding]], *, links: bool) -> str:
    rows = []
    for section, finding in pairs:
        sentence = escape(finding.sentence)
        if links:
            sentence = f'<a href="#{section.key}">{sentence}</a>'
        advice = f"<div class=advice>{_marked(finding.advice)}</div>" if finding.advice else ""
        mark = f'<i class="mark {finding.level}">{_WORDS[finding.level]}</i>'
        rows.append(f"<li>{mark}<div>{sentence}{advice}</div></li>")
    return f"<ul class=findings>{''.join(rows)}</ul>"


def _gallery(gallery: Gallery) -> str:
    if not gallery.pictures:
        return ""
    shown = len(gallery.pictures)
    count = f"{gallery.total:,}" if shown == gallery.total else f"{shown} of {gallery.total:,}"
    cards = "".join(_card(picture) for picture in gallery.pictures)
    kind = '"gallery wide"' if gallery.wide else "gallery"
    return f"<h3>{escape(gallery.title)} <small>{count}</small></h3><div class={kind}>{cards}</div>"


def _table(table: Table) -> str:
    first = table.rows[0] if table.rows else ("",) * len(table.heads)
    heads = "".join(_cell(head, cell, "th") for head, cell in zip(table.heads, first, strict=True))
    levels = table.levels or ("",) * len(table.rows)
    rows = "".join(
        f'<tr class="{level}">{"".join(_cell(cell, cell) for cell in row)}</tr>'
        for row, level in zip(table.rows, levels, strict=True)
    )
    title = f"<h3>{escape(table.title)}</h3>" if table.title else ""
    return f"{title}<div class=rows><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"


def _cell(text: str, like: str, tag: str = "td") -> str:
    return f"<{tag}{' class=number' if like[:1].isdigit() or like == '–' else ''}>{escape(text)}</{tag}>"


def _card(picture: Picture) -> str:
    name, note = escape(picture.name), escape(picture.note)
    image = "<div class=gone>cannot be shown</div>"
    if picture.jpeg:
        data = base64.b64encode(picture.jpeg).decode("ascii")
        image = f'<img loading=lazy alt="{name}" src="data:image/jpeg;base64,{data}">'
    return f"<figure class=card>{image}<figcaption><b>{name}</b><span>{note}</span></figcaption></figure>"


def _marked(text: str) -> str:
    """Escaped, with `commands` as code."""
    parts = escape(text).split("`")
    return "".join(f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))


_STYLE = """
:root{--back:#f7f6f3;--card:#fff;--text:#23211e;--soft:#6f6a62;--line:#e4e0d8;--one:#0f766e;--two:#b45309;
--good:#0f766e;--few:#d99a1c;--none:#c8402f;--code:#efece5}
@media(prefers-color-scheme:dark){:root{--back:#171614;--card:#211f1c;--text:#ece8e1;--soft:#a39c90;--line:#38342e;
--one:#2fa598;--two:#e69a4c;--good:#2fa598;--few:#dba53a;--none:#e0604e;--code:#2d2a26}}
*{box-sizing:border-box}html{scroll-behavior:smooth}
body{margin:0;background:var(--back);color:var(--text);font:16px/1.5 system-ui,"Segoe UI","DejaVu Sans",sans-serif}
main{max-width:1080px;margin:0 auto;padding:36px 24px 80px}
h1{font-size:30px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em}
h2{font-size:20px;margin:0 0 12px}h3{font-size:15px;margin:22px 0 8px}small{color:var(--soft);font-weight:400}
.where{color:var(--soft);margin:0;overflow-wrap:anywhere}
code{font:.88em/1.4 ui-monospace,Consolas,"DejaVu Sans Mono",monospace;background:var(--code);padding:1px 5px;
border-radius:4px;overflow-wrap:anywhere}
section{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:22px 24px;margin-top:18px}
.headline{font-size:19px;line-height:1.4;margin:18px 0 0;border-left:4px solid var(--one);padding-left:14px}
.rows{overflow-x:auto}table{border-collapse:collapse;font-size:14px;font-variant-numeric:tabular-nums;width:100%}
th{text-align:left;color:var(--soft);font-weight:500;vertical-align:bottom}
th,td{padding:5px 14px 5px 0;border-bottom:1px solid var(--line)}
.number{text-align:right!important}tr.act td:last-child{color:var(--none)}tr.look td:last-child{color:var(--two)}
.tiles{display:flex;flex-wrap:wrap;gap:12px;margin-top:22px}
.tile{background:var(--card);border:1px solid var(--line);border-radius:12px;padding:12px 18px;min-width:128px}
.tile b{display:block;font-size:25px;line-height:1.2;font-variant-numeric:tabular-nums}
.tile span{color:var(--soft);font-size:13px}
.findings{list-style:none;margin:0;padding:0}
.findings li{display:flex;gap:12px;align-items:baseline;padding:7px 0;border-top:1px solid var(--line)}
.findings li:first-child{border-top:0}
.findings a{color:inherit;text-decoration:none}.findings a:hover{text-decoration:underline}
.advice{color:var(--soft);font-size:14px}
.mark{flex:0 0 44px;text-align:center;font:600 12px/20px system-ui,sans-serif;border-radius:10px;color:#fff}
.mark.act{background:var(--none)}.mark.look{background:var(--few);color:#221a06}.mark.good{background:var(--good)}
.figures{display:flex;flex-wrap:wrap;gap:28px}.figures figure{margin:14px 0 0;max-width:100%}
figcaption{color:var(--soft);font-size:13px}
svg{display:block;max-width:100%;height:auto}
svg text{fill:var(--soft);font:11px system-ui,"DejaVu Sans",sans-serif}
svg .one{fill:var(--one)}svg .two{fill:none;stroke:var(--two);stroke-width:2}svg .axis{stroke:var(--line)}
svg .good{fill:var(--good)}svg .few{fill:var(--few)}svg .none{fill:var(--none)}svg .empty{fill:var(--code)}
svg .spare{fill:none;stroke:var(--one);stroke-opacity:.55}
svg .in{fill:var(--text);text-anchor:middle;font-weight:600;font-size:10px}svg .strong{fill:var(--card)}
svg .trace{fill:none;stroke:var(--one);stroke-width:1.5}svg .other{fill:none;stroke:var(--soft);stroke-opacity:.55}
svg .point{fill:var(--one)}svg .limit{stroke:var(--few);stroke-dasharray:5 4}svg .over{fill:var(--none)}
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(118px,1fr));gap:12px}
.wide{grid-template-columns:repeat(auto-fill,minmax(300px,1fr))}.wide img,.wide .gone{aspect-ratio:3!important}
.card{margin:0}.card img,.gone{width:100%;aspect-ratio:1;object-fit:cover;border-radius:8px;display:block}
.gone{background:var(--code);color:var(--soft);display:grid;place-items:center;font-size:12px}
.card b{display:block;font-weight:500;color:var(--text);overflow-wrap:anywhere;margin-top:3px}
.card span{display:block;line-height:1.35}
details{margin-top:12px}summary{cursor:pointer;color:var(--soft)}.long{overflow-wrap:anywhere;font-size:14px}
@media print{section{break-inside:avoid}body{background:#fff}}
""".replace("\n", "")
