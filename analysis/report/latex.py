"""Tables in LaTeX that compile with ``booktabs`` alone: rows of text go in, everything in them is escaped."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_CHARACTERS = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    # In the default encoding of TeX's fonts these three are other characters.
    "<": "$<$",
    ">": "$>$",
    "|": "$|$",
    '"': "''",
    # At the beginning of a row these would belong to the end of the row before.
    "[": "{[}",
    "]": "{]}",
    "*": "{*}",
    "`": "{`}",
    "\N{MIDDLE DOT}": r"\textperiodcentered{}",
    "\N{NO-BREAK SPACE}": "~",
    "\N{NARROW NO-BREAK SPACE}": r"\,",
    "\N{EN DASH}": "--",
    "\N{EM DASH}": "---",
    "\N{MINUS SIGN}": "$-$",
    "\N{PLUS-MINUS SIGN}": r"$\pm$",
    "\N{MULTIPLICATION SIGN}": r"$\times$",
    "\N{MICRO SIGN}": r"$\mu$",
    "\N{GREEK SMALL LETTER MU}": r"$\mu$",
    "\N{GREEK SMALL LETTER DELTA}": r"$\delta$",
    "\N{INFINITY}": r"$\infty$",
    "\N{LESS-THAN OR EQUAL TO}": r"$\le$",
    "\N{GREATER-THAN OR EQUAL TO}": r"$\ge$",
    "\N{HORIZONTAL ELLIPSIS}": r"\ldots{}",
    "\N{RIGHT SINGLE QUOTATION MARK}": "'",
    "\N{LEFT DOUBLE QUOTATION MARK}": "``",
    "\N{RIGHT DOUBLE QUOTATION MARK}": "''",
    "\N{DAGGER}": r"\dag{}",
    "\N{RIGHTWARDS ARROW}": r"$\rightarrow$",
}
_ASCII_END = 128


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        name: of the heading; ``unit``: below it, empty for none.
        align: ``l``, ``r``, or ``p{4cm}`` for sentences, which are set ragged; with ``plus_minus`` a column of
            half-widths right of the one before, which stands under that one's heading.
    """

    name: str
    unit: str = ""
    align: str = "r"
    plus_minus: bool = False


def escape(text: str) -> str:
    """Return text that LaTeX sets as it is; characters that its usual fonts lack are described, never dropped."""
    plain = " ".join(text.replace("--", "-\0-").replace("--", "-\0-").split())
    return "".join(_escaped(character) for character in plain)


def _escaped(character: str) -> str:
    if character == "\0":
        return "{}"
    if character in _CHARACTERS:
        return _CHARACTERS[character]
    if ord(character) < _ASCII_END:
        return character if character.isprintable() else f"{{[}}U+{ord(character):04X}{{]}}"
    near = [part for part in unicodedata.normalize("NFKD", character) if not unicodedata.combining(part)]
    if near and all(ord(part) < _ASCII_END and part.isprintable() for part in near):
        return "".join(_CHARACTERS.get(part, part) for part in near)
    return f"{{[}}U+{ord(character):04X}{{]}}"


def tabular(columns: Sequence[Column], rows: Sequence[Sequence[str]], remarks: Sequence[str]) -> str:
    r"""Return a ``tabular`` to be ``\input`` into a ``table*``, with the remarks as comments above it.

    It is set in ``\footnotesize`` with narrow gaps, so that it goes into the width of a page of two columns (506 pt).

    Args:
        columns: from left to right.
        rows: texts, one per column each.
        remarks: what a caption has to say, a line each.

    Raises:
        ValueError: a row has another number of texts than there are columns.
    """
    for row in rows:
        if len(row) != len(columns):
            raise ValueError(f"a row has {len(row)} texts for {len(columns)} columns")
    lines = [
        *(f"% {' '.join(remark.split())}" for remark in remarks),
        r"% needs \usepackage{booktabs}; as wide as a page of two columns: \begin{table*}",
        r"\begingroup\footnotesize\setlength{\tabcolsep}{2.5pt}%",
        rf"\begin{{tabular}}{{{_preamble(columns)}}}",
        r"\toprule",
        _line(_headings(columns, [column.name for column in columns])),
    ]
    if any(column.unit for column in columns):
        lines.append(_line(_headings(columns, [column.unit and f"[{column.unit}]" for column in columns])))
    lines += [
        r"\midrule",
        *(_line([_set(column, text) for column, text in zip(columns, row, strict=True)]) for row in rows),
        *(r"\bottomrule", r"\end{tabular}\endgroup"),
    ]
    return "\n".join(lines) + "\n"


def _set(column: Column, text: str) -> str:
    return (r"\raggedright " if column.align.startswith("p") else "") + escape(text)


def _preamble(columns: Sequence[Column]) -> str:
    return "".join(r"@{\,$\pm$\,}l" if column.plus_minus else column.align for column in columns)


def _headings(columns: Sequence[Column], texts: Sequence[str]) -> list[str]:
    """Return the heading of every column, numbers' centred; one over both halves of a value and its half-width."""
    found = []
    for place, (column, text) in enumerate(zip(columns, texts, strict=True)):
        if column.plus_minus:
            continue
        paired = place + 1 < len(columns) and columns[place + 1].plus_minus
        if paired:
            found.append(rf"\multicolumn{{2}}{{c}}{{{escape(text)}}}")
        elif column.align == "r":
            found.append(rf"\multicolumn{{1}}{{r}}{{{escape(text)}}}")
        else:
            found.append(escape(text))
    return found


def _line(cells: Sequence[str]) -> str:
    # Within a ragged cell a double backslash would end a line of the cell.
    return " & ".join(cells) + r" \tabularnewline"
