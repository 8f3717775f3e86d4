"""Checks of single numbers and words, for what is made without the door of the registry."""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np

from pipelines.errors import ParameterError


def require_positive(field: str, value: Any, unit: str = "", most: float = math.inf) -> None:
    """Refuse what is not a positive, finite number up to *most*."""
    if not (_is_number(value) and math.isfinite(value) and 0 < value <= most):
        rule = "must be a positive number" + (f" of {unit}" if unit else "")
        raise ParameterError(field, value, rule + (f" up to {most:g}" if most < math.inf else ""))


def require_degrees(field: str, value: Any, low: float, high: float) -> None:
    """Refuse what is not a number from *low* to *high*, both included; NaN is none."""
    if not (_is_number(value) and low <= value <= high):
        raise ParameterError(field, value, f"must be a number of degrees from {low:g} to {high:g}")


def require_whole(field: str, value: Any, low: int, high: int) -> None:
    """Refuse what is not a whole number from *low* to *high*, both included."""
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not (whole and low <= value <= high):
        raise ParameterError(field, value, f"must be a whole number from {low} to {high}")


def require_one_of(field: str, value: Any, words: Sequence[str]) -> None:
    """Refuse any other word."""
    if value not in words:
        raise ParameterError(field, value, f"must be one of: {', '.join(words)}")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)
