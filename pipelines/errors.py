"""What the library raises when it is handed something it must refuse.

Each error carries the field, the value and the rule, so that a door (CLI, API, notebook) can show
them in its own way without taking a sentence apart. Where a parameter would have helped, the error
names it and gives an example, so that each door can spell it as its users must type it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Remedy:
    """A parameter that would have helped, and an example of what to give it.

    Attributes
    ----------
    parameter : str
        Name of the parameter, as in Python.
    example : Any
        A value that could be given: text, a number, or a mapping of texts; ready for JSON.
    """

    parameter: str
    example: Any

    def __str__(self) -> str:
        """Spell the remedy as a keyword argument: ``crs="EPSG:32615"``."""
        return f"{self.parameter}={json.dumps(self.example, ensure_ascii=False)}"


class PipelineError(ValueError):
    """Base of every refusal made by the library.

    Parameters
    ----------
    statement : str
        What is wrong, in words that hold wherever they are read.
    remedies : sequence of Remedy, optional
        Parameters any of which would help. The message ends with them, spelt for Python; `statement`
        does not, so that another door can spell them its own way.
    """

    def __init__(self, statement: str = "", remedies: Sequence[Remedy] = ()) -> None:
        self.statement, self.remedies = statement, tuple(remedies)
        advice = " or ".join(str(remedy) for remedy in self.remedies)
        super().__init__(f"{statement}; give {advice}" if advice else statement)


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
    remedies : sequence of Remedy, optional
        Parameters any of which would help, see `PipelineError`.
    """

    def __init__(self, field: str, value: Any, rule: str, remedies: Sequence[Remedy] = ()) -> None:
        self.field, self.value, self.rule = field, value, rule
        super().__init__(f"{field} = {_short(value)} {rule}", remedies)

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.field, self.value, self.rule, self.remedies)


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
    remedies : sequence of Remedy, optional
        Parameters any of which would help, see `PipelineError`.
    """

    def __init__(
        self,
        file: Path | str,
        problem: str,
        *,
        line: int | None = None,
        field: str | None = None,
        remedies: Sequence[Remedy] = (),
    ) -> None:
        self.file, self.problem, self.line, self.field = str(file), problem, line, field
        place = self.file
        if line is not None:
            place += f", line {line}"
        if field is not None:
            place += f", field '{field}'"
        super().__init__(f"{place}: {problem}", remedies)

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild_format_error, (self.file, self.problem, self.line, self.field, self.remedies)


def _rebuild_format_error(
    file: str, problem: str, line: int | None, field: str | None, remedies: tuple[Remedy, ...]
) -> FormatError:
    return FormatError(file, problem, line=line, field=field, remedies=remedies)


def _short(value: Any, limit: int = 80) -> str:
    text = repr(value)
    return text if len(text) <= limit else text[: limit - 1] + "…"
