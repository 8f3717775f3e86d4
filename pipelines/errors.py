"""What the library raises when it is handed something it must refuse.

Each error carries the field, the value and the rule, so that a door (CLI, API, notebook) can show
them in its own way without taking a sentence apart.
"""

from pathlib import Path
from typing import Any


class PipelineError(ValueError):
    """Base of every refusal made by the library."""


class ParameterError(PipelineError):
    """A parameter breaks a rule.

    Parameters
    ----------
    field : str
        Name of the parameter.
    value : Any
        What was given.
    rule : str
        What is asked instead, as the end of a sentence: ``"must be a positive number of metres"``.
    """

    def __init__(self, field: str, value: Any, rule: str) -> None:
        self.field, self.value, self.rule = field, value, rule
        super().__init__(f"{field} = {_short(value)} {rule}")

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.field, self.value, self.rule)


class DataError(ParameterError):
    """The data handed in (a grid, a survey, a channel) break a rule.

    Same fields as `ParameterError`; *field* names the dataset, dimension or variable.
    """


class FormatError(PipelineError):
    """A file cannot be read, or a place in it cannot.

    Parameters
    ----------
    file : Path or str
        The file.
    problem : str
        What is wrong and what to do about it.
    line : int, optional
        Line number, counted from one.
    field : str, optional
        Column or header field.
    """

    def __init__(
        self, file: Path | str, problem: str, *, line: int | None = None, field: str | None = None
    ) -> None:
        self.file, self.problem, self.line, self.field = str(file), problem, line, field
        place = self.file
        if line is not None:
            place += f", line {line}"
        if field is not None:
            place += f", field '{field}'"
        super().__init__(f"{place}: {problem}")

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_format_error, (self.file, self.problem, self.line, self.field)


def _rebuild_format_error(file: str, problem: str, line: int | None, field: str | None) -> FormatError:
    return FormatError(file, problem, line=line, field=field)


def _short(value: Any, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
