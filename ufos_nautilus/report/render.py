"""Sections as HTML; whatever a user wrote is escaped here and nowhere else."""

import json
from collections.abc import Sequence
from html import escape

from ufos_nautilus.report.parts import Chart, Code, KeyFigures, Note, Part, Section, Table


def navigation(sections: Sequence[Section]) -> str:
    """Return links to the sections."""
    links = "".join(f'<a href="#{escape(s.anchor)}">{escape(s.title)}</a>' for s in sections)
    return f'<nav aria-label="Sections">{links}</nav>'


def section(content: Section) -> str:
    """Return one section."""
    anchor = escape(content.anchor)
    lead = f'<p class="lead">{escape(content.lead)}</p>' if content.lead else ""
    parts = "\n".join(_part(part, f"{anchor}-{i}") for i, part in enumerate(content.parts))
    # Short tables of names and values stand side by side where there is room.
    pairs = len(content.parts) > 1 and all(isinstance(p, Table) and len(p.columns) < 4 for p in content.parts)
    heading = f'<h2 id="{anchor}-title">{escape(content.title)}</h2>'
    look = ' class="pairs"' if pairs else ""
    return f'<section id="{anchor}"{look} aria-labelledby="{anchor}-title">\n{heading}\n{lead}\n{parts}\n</section>'


def _part(part: Part, name: str) -> str:
    match part:
        case KeyFigures():
            return _key_figures(part)
        case Chart():
            return _chart(part, name)
        case Table():
            return _table(part)
        case Note():
            return f'<p class="note {part.kind}"{_role(part)}>{escape(part.text)}</p>'
        case Code():
            return _code(part)


def _role(note: Note) -> str:
    return ' role="alert"' if note.kind == "error" else ""


def _key_figures(part: KeyFigures) -> str:
    items = "".join(
        f'<div><dt>{escape(f.label)}</dt><dd class="value {f.tone}">{escape(f.value)}{_unit(f.unit)}</dd>'
        + (f'<dd class="about">{escape(f.note)}</dd>' if f.note else "")
        + "</div>"
        for f in part.figures
    )
    return f'<dl class="figures{" quiet" if part.quiet else ""}">{items}</dl>'


def _unit(unit: str) -> str:
    return f' <span class="unit">{escape(unit)}</span>' if unit else ""


def _chart(part: Chart, name: str) -> str:
    figure = embed({"data": part.data, "layout": part.layout})
    says = f'<p id="{name}-says">{escape(part.summary)}</p>'
    return (
        f"<figure><figcaption><h3>{escape(part.title)}</h3>{says}</figcaption>\n"
        f'<div class="plot" id="{name}" role="img" aria-label="{escape(part.title)}" aria-describedby="{name}-says"'
        f' data-height="{int(part.height)}" style="min-height:{int(part.height)}px"></div>\n'
        f'<script type="application/json" id="{name}-figure">{figure}</script></figure>'
    )


def embed(value: object) -> str:
    r"""Return JSON that no HTML parser can leave: every ``<`` is written as ``\u003c``."""
    return json.dumps(value, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _table(part: Table) -> str:
    right = [' class="n"' if column in part.numeric else "" for column in part.columns]
    head = "".join(f'<th scope="col"{r}>{escape(c)}</th>' for c, r in zip(part.columns, right, strict=True))
    body = "\n".join(
        "<tr>" + "".join(f"<td{r}>{escape(cell)}</td>" for cell, r in zip(row, right, strict=True)) + "</tr>"
        for row in part.rows
    )
    # The box scrolls, not the page; it can be reached and scrolled by keyboard.
    return (
        f'<div class="scroll" role="region" tabindex="0" aria-label="{escape(part.caption)}"><table>'
        f"<caption>{escape(part.caption)}</caption><thead><tr>{head}</tr></thead><tbody>\n{body}\n</tbody></table></div>"
    )


def _code(part: Code) -> str:
    box = f'<pre tabindex="0"><code>{escape(part.text)}</code></pre>'
    return f"<details><summary>{escape(part.summary)}</summary>{box}</details>" if part.summary else box
