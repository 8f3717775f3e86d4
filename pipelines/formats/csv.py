"""Delimited text with or without a header: how it is cut is read from its first lines.

Delimiter, decimal mark, comments, header, a row of units below it, and headers of flight lines
(`geosoft_xyz`) are all told from the first lines. The rows are then parsed block by block
(`table`), so a file is never held in memory.
"""

import csv
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pipelines.errors import FormatError
from pipelines.formats import geosoft_xyz
from pipelines.formats.refusals import Refusals
from pipelines.formats.table import COMMENTS, NULL_WORDS, Layout, Rows, parse_block
from pipelines.formats.text import BLOCK_BYTES, LineBlock, line_blocks
from pipelines.formats.units import is_unit

DELIMITERS = (",", ";", "\t", "|", None)
SNIFFED_ROWS = 50
SAMPLE_ROWS = 2000
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_COMMA_NUMBER = re.compile(r"[+-]?\d+,\d+(?:[eE][+-]?\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class TextSource:
    """A text file of points, ready to be parsed.

    Attributes
    ----------
    path : Path
        The file.
    kind : str
        "CSV" or "Geosoft XYZ", for people.
    layout : Layout
        How rows are cut; ``layout.names`` are the columns.
    first_row : int
        Line of the file where rows begin; the lines above are header and comments.
    sample : dict
        The first cells of each column, as text.
    units : dict
        Units given in a row below the header, by column.
    comments : tuple of str
        Comment lines above the rows.
    notes : tuple of str
        What was assumed, in sentences.
    """

    path: Path
    kind: str
    layout: Layout
    first_row: int
    sample: dict[str, list[str]]
    units: dict[str, str]
    comments: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Columns in the order of the file."""
        return self.layout.names

    @property
    def has_line_headers(self) -> bool:
        """Whether lines of the survey begin with a header rather than being named in a column."""
        return self.layout.headers is not None

    @property
    def hints(self) -> dict[str, str]:
        """What the file itself says of its columns' meaning: nothing, in text."""
        return {}

    @property
    def crs(self) -> str | None:
        """CRS stated by the file: none, in text."""
        return None

    def rows(
        self,
        numbers: tuple[str, ...],
        texts: tuple[str, ...],
        refusals: Refusals,
        *,
        size: int = BLOCK_BYTES,
    ) -> Iterator[Rows]:
        """Parse the file, a block of about *size* bytes at a time."""
        for block in line_blocks(self.path, size):
            above = self.first_row - block.first
            skipped = 0
            if above > 0:
                lines = block.data.split(b"\n", above)
                skipped = min(above, len(lines) - 1)
                block = LineBlock(
                    lines[above] if len(lines) > above else b"", self.first_row, block.unfinished
                )
            rows = parse_block(block, self.layout, numbers, texts, refusals)
            rows.skipped += skipped
            yield rows


def sniff(path: Path) -> TextSource:
    """Read from the first lines of a text file how its rows are cut.

    Raises
    ------
    FormatError
        If the file is empty, has no rows, or is no table.
    """
    first = next(line_blocks(path), None)
    if first is None or not first.data.strip():
        raise FormatError(path, "is empty; give a file with rows of points")
    lines = list(enumerate(first.lines(), start=1))
    comments = [(n, text) for n, text in lines if text.strip()[:1] in COMMENTS and text.strip()]
    content = [(n, text) for n, text in lines if text.strip() and text.strip()[0] not in COMMENTS]
    by_headers = any(geosoft_xyz.HEADER.match(text.strip()) for _, text in content[:2])
    rows = [(n, t) for n, t in content if not (by_headers and geosoft_xyz.HEADER.match(t.strip()))]
    if not rows:
        raise FormatError(path, "has comments or headers but no rows; nothing to import")
    above = [text for n, text in comments if n < rows[0][0]]
    layout = _sniff_layout(path, [text for _, text in rows[: SNIFFED_ROWS + 2]])
    names, units, used = _names(layout, [text for _, text in rows[:2]], above)
    if used >= len(rows):
        raise FormatError(path, "has a header but no rows; nothing to import", line=rows[0][0])
    named = any(names)
    names, notes = _distinct(names)
    if not named:
        notes.insert(0, f"The file names no columns; they are called {names[0]} to {names[-1]}.")
    layout = replace(layout, names=names, headers=geosoft_xyz.HEADER if by_headers else None)
    return TextSource(
        path=path,
        kind="Geosoft XYZ" if by_headers or ".xyz" in path.name.lower() else "CSV",
        layout=layout,
        first_row=rows[used - 1][0] + 1 if used else content[0][0],
        sample=_sample(layout, [text for _, text in rows[used : used + SAMPLE_ROWS]]),
        units={name: unit for name, unit in zip(names, units, strict=False) if unit},
        comments=tuple(text for _, text in comments[:50]),
        notes=tuple(notes),
    )


def _sniff_layout(path: Path, lines: list[str]) -> Layout:
    """Choose the delimiter under which most rows have the same number of fields and most are numbers."""
    best: tuple[tuple[float, float, int], Layout] | None = None
    for delimiter in DELIMITERS:
        split = [cells for line in lines if (cells := _split(line, delimiter))]
        counts = Counter(map(len, split))
        columns, agreeing = counts.most_common(1)[0] if counts else (0, 0)
        if columns < 2:
            continue
        body = [cell for cells in split[1:] or split for cell in cells]
        points = sum(bool(_NUMBER.fullmatch(cell)) or cell.lower() in NULL_WORDS for cell in body)
        commas = sum(bool(_COMMA_NUMBER.fullmatch(cell)) for cell in body) if delimiter != "," else 0
        pointed = any("." in cell and _NUMBER.fullmatch(cell) for cell in body)
        decimal = "," if commas and not pointed else "."
        numeric = (points + (commas if decimal == "," else 0)) / max(len(body), 1)
        score = (round(agreeing / len(split), 1), numeric, columns)
        if best is None or score > best[0]:
            best = score, Layout(names=("",) * columns, delimiter=delimiter, decimal=decimal)
    if best is None:
        raise FormatError(
            path,
            "has no columns that commas, semicolons, tabs, bars or blanks would separate; "
            "this is not a table of points",
            line=1,
        )
    return best[1]


def _split(line: str, delimiter: str | None) -> list[str]:
    try:
        return Layout((), delimiter).split(line)
    except csv.Error:
        return []


def _names(
    layout: Layout, first: list[str], above: list[str]
) -> tuple[tuple[str, ...], tuple[str, ...], int]:
    """Return the columns' names and units, and how many of the *first* lines are not rows."""
    columns = len(layout.names)
    head = _split(first[0], layout.delimiter)
    if head and not any(_is_number(cell, layout) for cell in head):
        second = _split(first[1], layout.delimiter) if len(first) > 1 else []
        # Many programs end every row with a delimiter but not the header, or the reverse.
        names = tuple(head) if len(head) >= columns else (*head, *[""] * (columns - len(head)))
        filled = [cell for cell in second if cell]
        units_below = not any(_is_number(cell, layout) for cell in filled)
        if units_below and len(second) == len(names) and any(is_unit(cell) for cell in filled):
            return names, tuple(cell.strip("()[] ") for cell in second), 2
        return names, (), 1
    found = geosoft_xyz.names_from_comments(above, columns, layout.delimiter)
    return found or ("",) * columns, (), 0


def _is_number(cell: str, layout: Layout) -> bool:
    text = cell.replace(",", ".") if layout.decimal == "," else cell
    return bool(_NUMBER.fullmatch(text)) or cell == "*"


def _distinct(names: tuple[str, ...]) -> tuple[tuple[str, ...], list[str]]:
    """Give nameless columns a name and repeated names a number; say what was renamed."""
    taken: set[str] = set()
    distinct, notes = [], []
    for i, given in enumerate(names, start=1):
        name, again = given.strip() or f"column_{i}", 2
        base = name
        while name in taken:
            name, again = f"{base}_{again}", again + 1
        if name != base:
            notes.append(f"Column {i} repeats the name '{base}'; it is called '{name}'.")
        taken.add(name)
        distinct.append(name)
    return tuple(distinct), notes


def _sample(layout: Layout, lines: list[str]) -> dict[str, list[str]]:
    split = [cells for line in lines if len(cells := _split(line, layout.delimiter)) == len(layout.names)]
    return {name: [cells[i] for cells in split] for i, name in enumerate(layout.names)}
