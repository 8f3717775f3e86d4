"""Rows of text into columns of numbers: fast where a block is plain, careful where it is not.

A block's lines are first sorted by looking at bytes alone (blank, comment, header, wrong number of
fields, quoted). What is plain goes to the C parser of pandas in one call. Only if that refuses a
value, or if something is quoted, are the fields looked at one by one. Both ways accept the same
numbers, and give the nearest double of each.
"""

import csv
import io
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from pipelines.formats.endings import NEIGHBOURS, is_cut_number, is_cut_word
from pipelines.formats.refusals import Reason, Refusal, Refusals
from pipelines.formats.text import LineBlock, decode, encoding_of

NULL_WORDS = ("", "*", "nan", "na", "n/a", "null", "none", "-", "--")
COMMENTS = "#/%!"
# Up to pandas 3.0 the parser's default was wrong in the last digit of some numbers.
_EXACT: dict[str, Any] = {} if pd.__version__ >= "3.1" else {"float_precision": "round_trip"}
_NULLS_AS_WRITTEN = sorted({f(word) for word in NULL_WORDS for f in (str, str.upper, str.title)} | {"NaN"})
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_BLANKS = re.compile(r"[ \t]+")
_INFINITE = re.compile(r"[+-]?inf(?:inity)?", re.IGNORECASE)
_SPACE, _QUOTE, _RETURN, _FEED = 32, ord('"'), 13, 10
_CONTROL = np.zeros(256, dtype=bool)  # bytes below the space that no text has, but for a carriage return
_CONTROL[:_SPACE] = True
_CONTROL[[9, _FEED, _RETURN]] = False


@dataclass(frozen=True, slots=True)
class Layout:
    """How the rows of a text table are cut into fields.

    Attributes
    ----------
    names : tuple of str
        Columns in the order of the file.
    delimiter : str or None
        One character, or None for runs of blanks.
    decimal : str
        Decimal mark.
    comments : str
        A line that begins with one of these characters is a comment.
    headers : re.Pattern or None
        Lines that are neither rows nor comments but begin a line of the survey (Geosoft XYZ).
    """

    names: tuple[str, ...]
    delimiter: str | None
    decimal: str = "."
    comments: str = COMMENTS
    headers: re.Pattern[str] | None = None

    def split(self, line: str) -> list[str]:
        """Cut one row into its fields; raises `csv.Error` at an unfinished quotation."""
        text = line if self.delimiter else _BLANKS.sub(" ", line.strip(" \t"))
        if not text:
            return []
        cells = next(csv.reader([text], delimiter=self.delimiter or " ", skipinitialspace=True, strict=True))
        return [cell.strip() for cell in cells]


@dataclass(frozen=True, slots=True)
class Text:
    """A column of text: a code per row into the distinct values of this block."""

    codes: np.ndarray
    values: tuple[str, ...]


@dataclass(slots=True)
class Rows:
    """What a block of lines held.

    Attributes
    ----------
    numbers, texts : dict
        The wanted columns; NaN where a number was null.
    line_numbers : ndarray
        Line of the file of each kept row, int64.
    headers : list of (int, str)
        Header lines, each with its line number.
    skipped : int
        Blank, comment and header lines.
    unfinished : bool
        Whether the last row is the file's last and has no line end, so that its last value may be cut.
    """

    numbers: dict[str, np.ndarray]
    texts: dict[str, Text]
    line_numbers: np.ndarray
    headers: list[tuple[int, str]] = field(default_factory=list)
    skipped: int = 0
    unfinished: bool = False


def parse_block(
    block: LineBlock, layout: Layout, numbers: tuple[str, ...], texts: tuple[str, ...], refusals: Refusals
) -> Rows:
    """Parse the rows of a block; those that cannot be are added to *refusals*.

    Parameters
    ----------
    block : LineBlock
        Whole lines.
    layout : Layout
        How they are cut.
    numbers, texts : tuple of str
        The wanted columns, by name; the others are not looked at.
    refusals : Refusals
        Where rows that cannot be parsed are told.
    """
    sheet = _Sheet.of(block)
    lead = sheet.first_visible()
    blank = lead >= sheet.ends
    first_byte = sheet.data[np.minimum(lead, sheet.data.size - 1)]
    comment = ~blank & np.isin(first_byte, np.frombuffer(layout.comments.encode(), dtype=np.uint8))
    row = ~(blank | comment)
    headers = _take_headers(sheet, layout, row, first_byte)
    skipped = int(blank.sum() + comment.sum()) + len(headers)
    for i in np.flatnonzero(row & sheet.has_controls()).tolist():
        sheet.refuse(i, Reason.BINARY, refusals)
        row[i] = False
    quoted = row & (sheet.count(sheet.data == _QUOTE) > 0)
    fields = sheet.count_fields(layout)
    wanted = len(layout.names)
    for i in np.flatnonzero(row & ~quoted & (fields != wanted)).tolist():
        sheet.refuse(i, Reason.FIELDS, refusals, f"{fields[i]} instead of {wanted} in: ")
        row[i] = False
    if block.unfinished and row[-1:].any():
        row[-1] = not _refuse_cut_cell(sheet, row, layout, numbers, texts, refusals)
    if quoted.any():
        cells, lines = _split_rows(sheet, layout, row, refusals)
        found = _careful(cells, lines, layout, numbers, texts, refusals)
    else:
        found = _fast(sheet, row, layout, numbers, texts, refusals)
    found.headers, found.skipped = headers, skipped
    last = block.first + sheet.begins.size - 1
    found.unfinished = block.unfinished and bool((found.line_numbers[-1:] == last).any())
    return found


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A block with its bytes as an array and the bounds of its lines."""

    block: LineBlock
    data: np.ndarray
    begins: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(cls, block: LineBlock) -> "_Sheet":
        return cls(block, np.frombuffer(block.data, dtype=np.uint8), *block.bounds())

    def text(self, i: int) -> str:
        return decode(self.block.data[self.begins[i] : self.ends[i]]).rstrip("\r")

    def number(self, i: int) -> int:
        return self.block.first + int(i)

    def refuse(self, i: int, reason: Reason, refusals: Refusals, note: str = "") -> None:
        """Refuse a row; the last one of a file without a final line feed was cut, whatever it looks like."""
        cut = self.block.unfinished and i == self.begins.size - 1
        text = note + self.text(i).strip()
        refusals.add(Refusal(self.number(i), Reason.CUT if cut else reason, None, text))

    def count(self, hits: np.ndarray) -> np.ndarray:
        """How many bytes of each line are marked in *hits*."""
        at = np.flatnonzero(hits)
        return np.searchsorted(at, self.ends) - np.searchsorted(at, self.begins)

    def first_visible(self) -> np.ndarray:
        """Position of the first byte of each line that is no blank; the line's end if there is none."""
        visible = np.append(np.flatnonzero(self.data > _SPACE), self.data.size)
        return np.minimum(visible[np.searchsorted(visible, self.begins)], self.ends)

    def has_controls(self) -> np.ndarray:
        """Whether each line holds control characters, or a carriage return that does not end it."""
        odd = _CONTROL[self.data]
        if _RETURN in self.block.data:
            odd[:-1] |= (self.data[:-1] == _RETURN) & (self.data[1:] != _FEED)
        return self.count(odd) > 0

    def count_fields(self, layout: Layout) -> np.ndarray:
        if layout.delimiter is not None:
            return self.count(self.data == ord(layout.delimiter)) + 1
        starts = self.data > _SPACE
        starts[1:] &= ~starts[:-1].copy()
        return self.count(starts)


def _take_headers(
    sheet: _Sheet, layout: Layout, row: np.ndarray, first_byte: np.ndarray
) -> list[tuple[int, str]]:
    """Take header lines out of *row* and return them; only lines that begin with a letter are read."""
    if layout.headers is None:
        return []
    found = []
    lower = first_byte | 32
    for i in np.flatnonzero(row & (lower >= ord("a")) & (lower <= ord("z"))).tolist():
        text = sheet.text(i).strip()
        if layout.headers.match(text):
            found.append((sheet.number(i), text))
            row[i] = False
    return found


def _refuse_cut_cell(
    sheet: _Sheet,
    row: np.ndarray,
    layout: Layout,
    numbers: tuple[str, ...],
    texts: tuple[str, ...],
    refusals: Refusals,
) -> bool:
    """Refuse the file's last row if its last value looks cut, and return whether it does.

    A quotation mark, a carriage return or (in numbers) a blank after the value proves it whole.
    """
    name, end = layout.names[-1], sheet.ends[-1]
    *above, last = (_cells(sheet.text(i), layout) for i in np.flatnonzero(row)[-NEIGHBOURS - 1 :].tolist())
    if name not in (*numbers, *texts) or not last or sheet.data[end - 1] in (_QUOTE, _RETURN):
        return False
    cell, others = last[-1], [cells[-1] for cells in above if len(cells) == len(last)]
    if name in texts:
        cut = is_cut_word(cell, others)
    elif cell and sheet.data[end - 1] <= _SPACE:
        cut = False
    else:
        cut = read_number(cell, layout.decimal)[1] is not None or is_cut_number(cell, others, layout.decimal)
    if cut:
        refusals.add(Refusal(sheet.number(sheet.begins.size - 1), Reason.CUT, name, cell))
    return cut


def _cells(line: str, layout: Layout) -> list[str]:
    try:
        return layout.split(line)
    except csv.Error:
        return []


def _fast(
    sheet: _Sheet,
    row: np.ndarray,
    layout: Layout,
    numbers: tuple[str, ...],
    texts: tuple[str, ...],
    refusals: Refusals,
) -> Rows:
    """Hand plain rows to the C parser in one call."""
    lines = sheet.block.first + np.flatnonzero(row)
    if lines.size == 0:
        return _careful({name: [] for name in (*numbers, *texts)}, lines, layout, numbers, texts, refusals)
    lengths = sheet.ends - sheet.begins + 1
    plain = sheet.block.data if row.all() else sheet.data[np.repeat(row, lengths)].tobytes()
    at = {name: layout.names.index(name) for name in (*numbers, *texts)}
    options: dict[str, Any] = {
        "header": None,
        "names": list(range(len(layout.names))),
        "usecols": sorted(set(at.values())),
        "index_col": False,
        "quoting": csv.QUOTE_NONE,
        "keep_default_na": False,
        "encoding": encoding_of(plain),
        **({"sep": layout.delimiter, "skipinitialspace": True} if layout.delimiter else {"sep": r"\s+"}),
    }
    try:
        types = {at[n]: "float64" for n in numbers} | {at[t]: "category" for t in texts}
        nulls = {at[n]: _NULLS_AS_WRITTEN for n in numbers}
        frame = _read_csv(plain, dtype=types, na_values=nulls, decimal=layout.decimal, **options, **_EXACT)
        parsed = {n: frame[at[n]].to_numpy(dtype=float) for n in numbers}
        if len(frame) != lines.size or any(_may_be_words(column) for column in parsed.values()):
            raise ValueError("to be looked at field by field")
    except ValueError:
        frame = _read_csv(plain, dtype=str, na_filter=False, **options)
        if len(frame) != lines.size:
            raise RuntimeError(f"{lines.size} rows became {len(frame)}") from None
        cells = {name: [str(cell).strip() for cell in frame[i]] for name, i in at.items()}
        return _careful(cells, lines, layout, numbers, texts, refusals)
    bad = np.zeros(lines.size, dtype=bool)
    for name, column in parsed.items():
        infinite = np.isinf(column) & ~bad
        refusals.add_rows(lines[infinite], Reason.NOT_FINITE, name, column[infinite])
        bad |= infinite
    return Rows(
        {n: column[~bad] for n, column in parsed.items()},
        {t: _text_of(frame[at[t]], ~bad) for t in texts},
        lines[~bad],
    )


def _read_csv(data: bytes, **options: Any) -> pd.DataFrame:
    frame: pd.DataFrame = pd.read_csv(io.BytesIO(data), **options)
    return frame


def _split_rows(
    sheet: _Sheet, layout: Layout, row: np.ndarray, refusals: Refusals
) -> tuple[dict[str, list[str]], np.ndarray]:
    """Cut rows with quotations into fields, by the rules of CSV, within each line."""
    rows, lines, wanted = [], [], len(layout.names)
    for i in np.flatnonzero(row).tolist():
        try:
            cells = layout.split(sheet.text(i))
        except csv.Error:
            sheet.refuse(i, Reason.QUOTES, refusals)
            continue
        if len(cells) != wanted:
            sheet.refuse(i, Reason.FIELDS, refusals, f"{len(cells)} instead of {wanted} in: ")
            continue
        rows.append(cells)
        lines.append(sheet.number(i))
    columns = zip(*rows, strict=True) if rows else ([] for _ in layout.names)
    return {n: list(c) for n, c in zip(layout.names, columns, strict=True)}, np.array(lines, dtype=np.int64)


def _careful(
    cells: dict[str, list[str]],
    lines: np.ndarray,
    layout: Layout,
    numbers: tuple[str, ...],
    texts: tuple[str, ...],
    refusals: Refusals,
) -> Rows:
    """Convert columns of text value by value, refusing the rows that hold something else."""
    bad = np.zeros(lines.size, dtype=bool)
    parsed = {}
    for name in numbers:
        parsed[name] = np.full(lines.size, np.nan)
        for i, cell in enumerate(cells[name]):
            parsed[name][i], reason = read_number(cell, layout.decimal)
            if reason and not bad[i]:
                refusals.add(Refusal(int(lines[i]), reason, name, cell))
                bad[i] = True
    return Rows(
        {n: column[~bad] for n, column in parsed.items()},
        {t: _text_of(pd.Series(cells[t], dtype="category"), ~bad) for t in texts},
        lines[~bad],
    )


def read_number(cell: str, decimal: str = ".") -> tuple[float, Reason | None]:
    """Read one cell: its value (NaN where null) and, if it is no number, the reason to refuse it."""
    text = cell
    if decimal != ".":  # then a point would separate thousands, or be another file's decimal mark
        text = "?" if "." in cell else cell.replace(decimal, ".")
    if _NUMBER.fullmatch(text):
        value = float(text)
        return value, Reason.NOT_FINITE if np.isinf(value) else None
    if cell.lower() in NULL_WORDS:
        return np.nan, None
    return np.nan, Reason.NOT_FINITE if _INFINITE.fullmatch(cell) else Reason.NOT_A_NUMBER


def _may_be_words(column: np.ndarray) -> bool:
    """Whether a column may have been TRUE and FALSE, which pandas takes for 1 and 0."""
    known = column[~np.isnan(column)]
    return known.size > 0 and bool(np.all((known == 0) | (known == 1)))


def _text_of(column: pd.Series, keep: np.ndarray) -> Text:
    codes = np.asarray(column.cat.codes, dtype=np.int64)[keep]
    return Text(codes, tuple(str(value).strip() for value in column.cat.categories))
