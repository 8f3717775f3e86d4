"""Choices that a pipeline makes for its user, each with its value and its reason.

A default that suits the survey is worth nothing if nobody can see it. Every choice travels in the
result's attribute ``choices``, and the report prints it.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

ATTRIBUTE = "choices"


@dataclass(frozen=True, slots=True)
class Choice:
    """What was chosen and why.

    Attributes
    ----------
    parameter : str
        What was to be chosen, in the words of the parameters model.
    value : float, int or str
        What it is.
    reason : str
        Why, as a clause a person can read: ``a quarter of the line spacing of 200 m``.
    """

    parameter: str
    value: float | int | str
    reason: str


def to_attribute(choices: Iterable[Choice]) -> str:
    """Write choices as the JSON of the attribute ``choices``."""
    return json.dumps([asdict(choice) for choice in choices], ensure_ascii=False)


def from_attributes(attrs: dict[str, Any]) -> list[Choice]:
    """Read the choices that *attrs* hold; none if there is no such attribute."""
    return [Choice(**entry) for entry in json.loads(attrs.get(ATTRIBUTE, "[]"))]


def significant(value: float, digits: int = 3) -> float:
    """Round to so many significant digits: a choice of 0.4 m must not be stated as 0."""
    return float(f"{value:.{digits}g}")
