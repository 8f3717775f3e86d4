"""Whether the last value of a file without a final line end was cut: judged by the values above it.

A cut takes characters from the right, so of a number it first takes digits of the exponent, then decimals,
then digits before the decimal mark. Only the rightmost of these that the number has can be short; what
stands left of it is whole. If it is shorter than in every other of the n values above, it is taken for cut.
Where a column has a fixed number of decimals, no whole value is so; where trailing zeros are left out, one in
n + 1 is by chance, and its row is refused, and told of, rather than a wrong value stored.
"""

import re
from collections.abc import Sequence

NEIGHBOURS = 2000  # rows above that are looked at
# What may be the beginning of a number and is read as null by itself.
_BEGINNINGS = ("", "-")
_PARTS = re.compile(r"[+-]?([0-9]*)\.?([0-9]*)(?:[eE][+-]?([0-9]+))?")


def is_cut_number(cell: str, others: Sequence[str], decimal: str = ".") -> bool:
    """Whether a number may have lost characters at its right, to judge by the *others* of its column."""
    if cell in _BEGINNINGS:
        return len(others) > 0 and cell not in others
    digits = _digits(cell, decimal)
    above = [found for other in others if other not in _BEGINNINGS and (found := _digits(other, decimal))]
    if digits is None or not above:
        return False
    whole, decimals, exponent = digits
    if exponent:
        return exponent < min((e for _, _, e in above if e), default=0)
    plain = [(w, d) for w, d, e in above if not e]
    if not plain or decimals < min(d for _, d in plain):
        return True
    return decimals == 0 and whole < min(w for w, _ in plain)


def is_cut_word(cell: str, others: Sequence[str]) -> bool:
    """Whether a word (the name of a line, a date) may have lost characters at its right.

    It is taken for cut if it is shorter than every other of its column, or the beginning of the one above.
    """
    if not others:
        return False
    return len(cell) < min(map(len, others)) or (cell != others[-1] and others[-1].startswith(cell))


def _digits(cell: str, decimal: str) -> tuple[int, int, int] | None:
    """Count the digits before and after the decimal mark and in the exponent; None for what has none."""
    parts = _PARTS.fullmatch(cell.replace(decimal, "."))
    return (len(parts[1]), len(parts[2]), len(parts[3] or "")) if parts else None
