"""Page: pieces of one self-contained HTML file, for readers who will not install anything."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

_STYLE: Final = """
:root { color-scheme: light; }
body { font: 16px/1.5 system-ui, "Segoe UI", "Helvetica Neue", Arial, sans-serif; color: #1c1c1c; background: #fff;
  max-width: 64rem; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.3rem; margin: 2.4rem 0 .6rem; border-top: 1px solid #ddd;
  padding-top: 1.2rem; } h3 { font-size: 1.05rem; margin: 1.6rem 0 .3rem; }
p.note, figcaption, .small { color: #555; font-size: .9rem; } .lead { font-size: 1.1rem; }
figure { margin: 1rem 0 1.6rem; } img { max-width: 100%; height: auto; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .86rem; width: 100%; }
th, td { padding: .3rem .55rem; border-bottom: 1px solid #e4e4e4; text-align: right; white-space: nowrap; }
th { color: #444; font-weight: 600; border-bottom: 2px solid #bbb; white-space: normal; vertical-align: bottom; }
td:first-child, th:first-child { text-align: left; }
tr.policy td { background: #eef5fb; font-weight: 600; }
dt { font-weight: 600; margin-top: .5rem; } dd { margin: 0 0 0 1.2rem; color: #333; }
pre { background: #f6f6f6; padding: .8rem; overflow-x: auto; font-size: .8rem; }
.good { color: #11703f; } .bad { color: #a32313; }
"""


def page(title: str, body: Sequence[str]) -> bytes:
    """Return a whole page; *body* is HTML."""
    head = f"<meta charset='utf-8'><meta name='viewport' content='width=device-width'><title>{escape(title)}</title>"
    content = "\n".join(body)
    whole = f"<html lang='en'><head>{head}<style>{_STYLE}</style></head><body>\n{content}\n</body></html>"
    return f"<!doctype html>\n{whole}\n".encode()


def table(header: Sequence[str], rows: Sequence[Sequence[str]], marked: Sequence[bool]) -> str:
    """Return a table; cells are text, *marked* rows stand out. A column without any text is left out."""
    told = [c for c in range(len(header)) if c == 0 or any(row[c] for row in rows)]
    header, rows = [header[c] for c in told], [[row[c] for c in told] for row in rows]
    top = "".join(f"<th>{escape(cell)}</th>" for cell in header)
    lines = [
        f"<tr class='policy'>{cells}</tr>" if mark else f"<tr>{cells}</tr>"
        for row, mark in zip(rows, marked, strict=True)
        for cells in ["".join(f"<td>{escape(cell)}</td>" for cell in row)]
    ]
    return f"<div class='scroll'><table><thead><tr>{top}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"


def picture(svg: Path, title: str, caption: str) -> str:
    """Return an SVG file as part of the page."""
    data = base64.b64encode(svg.read_bytes()).decode()
    source = f"data:image/svg+xml;base64,{data}"
    return (
        f"<figure><h3>{escape(title)}</h3><img alt='{escape(title)}' src='{source}'>"
        f"<figcaption>{escape(caption)}</figcaption></figure>"
    )


def paragraph(text: str, kind: str = "") -> str:
    """Return a paragraph of text."""
    mark = f" class='{kind}'" if kind else ""
    return f"<p{mark}>{escape(text)}</p>"


def heading(text: str, level: int = 2) -> str:
    """Return a heading."""
    return f"<h{level}>{escape(text)}</h{level}>"


def glossary(entries: Sequence[tuple[str, str]]) -> str:
    """Return a list of words and their meanings."""
    return "<dl>" + "".join(f"<dt>{escape(word)}</dt><dd>{escape(text)}</dd>" for word, text in entries) + "</dl>"


def preformatted(text: str) -> str:
    """Return text as it stands."""
    return f"<pre>{escape(text)}</pre>"
