"""Rows that were kept out: counted all, the first of them remembered with their place."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

EXCERPT = 80


class Reason(StrEnum):
    """Why a row was refused."""

    FIELDS = "wrong number of fields"
    CUT = "cut short at the end of the file"
    QUOTES = "unfinished quotation"
    BINARY = "binary data in the row"
    NOT_A_NUMBER = "not a number"
    NOT_FINITE = "not a finite number"
    NO_POSITION = "no position"
    LATITUDE = "latitude outside -90 to 90"
    LONGITUDE = "longitude outside -180 to 360"
    MIXED = "looks like degrees among metres: two CRSs in one file?"
    METRES = "looks like metres among degrees: two CRSs in one file?"
    OUTSIDE = "position that the projection cannot reach"
    NOT_A_TIME = "not a date or time"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refused row: its line in the file (the record, in a binary file), field, reason and text."""

    line: int
    reason: Reason
    field: str | None = None
    text: str = ""

    def __str__(self) -> str:
        where = f"line {self.line}" + (f", field '{self.field}'" if self.field else "")
        return f"{where}: {self.reason}" + (f": {self.text}" if self.text else "")


@dataclass(slots=True)
class Refusals:
    """A tally of refused rows that remembers the first *limit* of them.

    A row is counted once, under the first reason found.
    """

    limit: int = 100
    counts: Counter[str] = field(default_factory=Counter)
    examples: list[Refusal] = field(default_factory=list)

    @property
    def total(self) -> int:
        """How many rows were refused."""
        return self.counts.total()

    def add(self, refusal: Refusal) -> None:
        """Count one refused row."""
        self.counts[refusal.reason.value] += 1
        if len(self.examples) < self.limit:
            text = refusal.text.strip()
            short = text if len(text) <= EXCERPT else text[: EXCERPT - 1] + "…"
            self.examples.append(Refusal(refusal.line, refusal.reason, refusal.field, short))

    def add_rows(self, lines: Iterable[int], reason: Reason, name: str, values: Iterable[object]) -> None:
        """Count rows refused for one reason in one field, given their line numbers and values."""
        for line, value in zip(lines, values, strict=True):
            self.add(Refusal(int(line), reason, name, str(value)))

    def to_dict(self) -> dict[str, Any]:
        """Return counts by reason and the remembered examples, ready for JSON."""
        examples = [{**asdict(e), "reason": e.reason.value} for e in self.examples]
        return {"total": self.total, "by_reason": dict(self.counts.most_common()), "examples": examples}
