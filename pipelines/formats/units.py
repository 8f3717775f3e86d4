"""Units as files write them, and what takes them to the house's own (metres, nanotesla, degrees)."""

import re

from pipelines.errors import ParameterError

# What one unit is in metres, nanotesla or degrees. The US survey foot is 1200/3937 m exactly.
METRES = {
    **dict.fromkeys(("m", "metre", "metres", "meter", "meters"), 1.0),
    **dict.fromkeys(("ft", "feet", "foot", "ift"), 0.3048),
    **dict.fromkeys(("us-ft", "usft", "ftus", "us_ft", "us survey foot", "survey feet"), 1200 / 3937),
    **dict.fromkeys(("km", "kilometre", "kilometres", "kilometer", "kilometers"), 1000.0),
}
NANOTESLA = {
    **dict.fromkeys(("nt", "nanotesla", "gamma", "gammas"), 1.0),
    **dict.fromkeys(("pt", "picotesla"), 1e-3),
    **dict.fromkeys(("ut", "µt", "μt", "microtesla"), 1e3),
    **dict.fromkeys(("t", "tesla"), 1e9),
}
DEGREES = dict.fromkeys(("deg", "degree", "degrees", "°", "dd", "degrees_east", "degrees_north"), 1.0)
_KNOWN = {**METRES, **NANOTESLA, **DEGREES}
_BRACKETS = re.compile(r"[\[(]\s*([^\[\]()]+?)\s*[\])]\s*$")
_ENDINGS = {"nt", "ft", "m", "km", "deg", "pt", "gamma", "feet", "usft", "metres", "meters"}


def is_unit(text: str) -> bool:
    """Whether *text* is a unit known here, in brackets or not."""
    return text.strip("()[] ").lower() in _KNOWN


def factor_to(table: dict[str, float], unit: str, field: str) -> float:
    """Return what turns values in *unit* into the table's base unit.

    Raises
    ------
    ParameterError
        If the unit is unknown or measures something else.
    """
    try:
        return table[unit.strip("()[] ").lower()]
    except KeyError:
        known = ", ".join(sorted(table))
        raise ParameterError(f"unit of {field}", unit, f"is not known here; use one of {known}") from None


def split_unit(name: str) -> tuple[str, str | None]:
    """Split a unit off a column's name: ``Alt (ft)`` and ``alt_ft`` give ``Alt`` or ``alt``, and ``ft``."""
    bracketed = _BRACKETS.search(name)
    if bracketed:
        return name[: bracketed.start()].strip(), bracketed[1].strip()
    stem, mark, ending = name.rpartition("_")
    if mark and stem and ending.lower() in _ENDINGS:
        return stem, ending
    return name, None
