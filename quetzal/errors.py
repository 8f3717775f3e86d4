"""What the service says when it must refuse: a machine code, a sentence, and what to do.

The family is small on purpose. A door (CLI, API, notebook) needs three things to answer well: a
code that a program can branch on, a sentence for a person, and the next step. The library below
raises `pipelines.errors.PipelineError`; `translate` turns one of those into this family.
"""

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipelines.errors import PipelineError, Remedy

# Options of the command line that are not called as the parameters they set.
_OPTIONS = {
    "columns": "column",
    "units": "unit",
    "nulls": "null",
    "tie_lines": "tie-line",
    "survey_date": "date",
}


class QuetzalError(Exception):
    """Base of everything the service refuses or fails at in words.

    Parameters
    ----------
    message : str
        What is wrong: one sentence for a person.
    remedy : str
        What to do about it: one sentence, an order.
    code : str, optional
        Machine code in ``snake_case``; the class's own by default.
    """

    code = "error"

    def __init__(self, message: str, remedy: str = "", *, code: str | None = None) -> None:
        self.message, self.remedy = message, remedy
        if code is not None:
            self.code = code
        super().__init__(f"{message} {remedy}".strip())

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.remedy, self.code)

    def to_dict(self) -> dict[str, str]:
        """Return code, message and remedy, ready for JSON."""
        return {"code": self.code, "message": self.message, "remedy": self.remedy}


class InputError(QuetzalError):
    """What was handed in (a file, a parameter, a dataset) breaks a rule."""

    code = "invalid_input"


class NotFoundError(QuetzalError):
    """What was asked for does not exist."""

    code = "not_found"


class ConflictError(QuetzalError):
    """What was asked for clashes with what exists: finished data are never replaced."""

    code = "already_exists"


class StorageError(QuetzalError):
    """The store cannot be read or written: no permission, no space, damaged data."""

    code = "storage_unusable"


def translate(error: "PipelineError") -> InputError:
    """Turn a refusal of the library into one of the service: its words, its remedies as options."""
    # Imported here: importing the library brings the numerical packages, which the door may not need.
    from pipelines.errors import FormatError, ParameterError

    advice = ", or ".join(_as_option(remedy) for remedy in error.remedies)
    remedy = f"Give {advice}." if advice else ""
    if isinstance(error, FormatError):
        return InputError(error.statement, remedy, code="unreadable_file")
    if isinstance(error, ParameterError):
        return InputError(error.statement, remedy, code="invalid_parameter")
    return InputError(error.statement, remedy)


def _as_option(remedy: "Remedy") -> str:
    """Spell a remedy as it is typed on the command line."""
    option = "--" + _OPTIONS.get(remedy.parameter, remedy.parameter.replace("_", "-"))
    example = remedy.example
    pairs = example.items() if isinstance(example, Mapping) else ()
    values = [f"{name}={value}" for name, value in pairs] or [str(example)]
    return " ".join(f"{option} {shlex.quote(value)}" for value in values)


def _rebuild(kind: type[QuetzalError], message: str, remedy: str, code: str) -> QuetzalError:
    return kind(message, remedy, code=code)
