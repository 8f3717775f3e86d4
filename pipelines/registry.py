"""The registry of pipelines: one decorator turns a plain function into a pipeline.

A pipeline is called as the plain function it is::

    pole = reduce_to_pole(grid, -52.0, 6.0)

and, by the same door, by name with a parameters model::

    registered = get("mag.reduce_to_pole")
    pole = registered.run({"grid": grid}, registered.parameters(inclination=-52, declination=6))

Either way the parameters pass the same pydantic model, made from the function's own signature,
and the output gets the same lineage attributes. Packages outside this one add pipelines through
the entry-point group ``quetzal.pipelines``.
"""

import functools
import importlib
import inspect
import json
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points, version
from typing import Any, Generic, ParamSpec, TypeVar

import numpy as np
import xarray as xr
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    create_model,
    field_validator,
)

from pipelines.conventions import extend_history
from pipelines.errors import DataError, ParameterError

DISTRIBUTION = "quetzalcore"
ENTRY_POINTS = "quetzal.pipelines"
BUILT_IN = (
    "pipelines.mag.filters",
    "pipelines.mag.gridding",
    "pipelines.mag.igrf",
    "pipelines.mag.spectrum",
    "pipelines.mag.process",
)

Labelled = xr.DataArray | xr.Dataset
P = ParamSpec("P")
R = TypeVar("R", xr.DataArray, xr.Dataset)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a run is expected to take, for admission and for the choice of a worker."""

    cpu_seconds: float
    memory_bytes: float


CostModel = Callable[[Mapping[str, Labelled], Any], Cost]


class Parameters(BaseModel):
    """Base of every parameters model: unknown names are refused, values are checked."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_flags_for_numbers(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse true and false where numbers are asked for: pydantic would read them as 1 and 0."""
        field = cls.model_fields[str(info.field_name)]
        parts = value if isinstance(value, list | tuple) else [value]
        if any(isinstance(part, bool | np.bool_) for part in parts) and not _takes_flags(field.annotation):
            raise ValueError("must not be true or false")
        return value


@dataclass(eq=False)
class Pipeline(Generic[P, R]):
    """A registered pipeline; calling it is calling the function with checked parameters.

    Attributes
    ----------
    name : str
        ``family.step``, for instance ``mag.reduce_to_pole``.
    version : str
        Declared version: raise it when the numbers it gives change.
    function : callable
        The plain function.
    inputs : tuple of str
        Names of the dataset arguments, first in the signature.
    parameters : type of Parameters
        Model of every other argument.
    cost : callable
        ``cost(datasets, parameters) -> Cost``.
    """

    name: str
    version: str
    function: Callable[P, R]
    inputs: tuple[str, ...]
    parameters: type[Parameters]
    cost: CostModel

    @property
    def code_version(self) -> str:
        """The pipeline's own version and the package's: what a fingerprint holds."""
        return f"{self.version}+{version(DISTRIBUTION)}"

    @property
    def summary(self) -> str:
        """First line of the docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def validate(self, **values: Any) -> Parameters:
        """Check *values* and return the parameters model, or raise `ParameterError`."""
        try:
            return self.parameters(**values)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or self.name
            said = first["msg"].removeprefix("Value error, ")
            rule = said[0].lower() + said[1:]
            if first["type"] == "extra_forbidden":
                known = ", ".join(self.parameters.model_fields) or "none"
                rule = f"is not a parameter of {self.name}; it takes: {known}"
            elif first["type"] == "missing":
                rule = f"is missing; {self.name} needs it"
            raise ParameterError(field, first.get("input"), rule) from error

    def run(self, datasets: Mapping[str, Labelled], parameters: Parameters) -> R:
        """Call the function on inputs of the declared kinds and label its output with lineage.

        Raises
        ------
        DataError
            If an input is missing, or a Dataset is given for a DataArray or the other way about.
        """
        self._check(datasets)
        values = {field: getattr(parameters, field) for field in type(parameters).model_fields}
        # The signature is (*inputs, **parameters) by construction, which types cannot say.
        output = self.function(*(datasets[i] for i in self.inputs), **values)  # type: ignore[arg-type]
        return self._label(output, datasets, parameters)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Call as the plain function: arguments are bound, checked, then passed on."""
        bound = inspect.signature(self.function).bind(*args, **kwargs)
        datasets = {name: bound.arguments.pop(name) for name in self.inputs if name in bound.arguments}
        return self.run(datasets, self.validate(**bound.arguments))

    def _check(self, datasets: Mapping[str, Labelled]) -> None:
        hints = typing.get_type_hints(self.function)
        for name in self.inputs:
            if name not in datasets:
                raise DataError(name, None, f"is missing; {self.name} needs it")
            kind: Any = hints.get(name)
            rule = _RULES.get(kind)
            if rule and not isinstance(datasets[name], kind):
                raise DataError(name, type(datasets[name]).__name__, rule)

    def _label(self, output: R, datasets: Mapping[str, Labelled], parameters: Parameters) -> R:
        arguments = parameters.model_dump(mode="json")
        entry = f"{self.name}({', '.join(f'{k}={v!r}' for k, v in arguments.items())}) {self.code_version}"
        previous = next((str(d.attrs["history"]) for d in datasets.values() if "history" in d.attrs), "")
        history = extend_history(previous, entry)
        if isinstance(output, xr.Dataset):  # a variable taken out of it still knows where it is from
            given = {name for data in datasets.values() if isinstance(data, xr.Dataset) for name in data}
            output = output.copy()
            for name in set(output.data_vars) - given:
                output[name].attrs["history"] = history
        return output.assign_attrs(
            history=history,
            pipeline=self.name,
            pipeline_version=self.code_version,
            pipeline_parameters=json.dumps(arguments, sort_keys=True),
        )


_RULES: dict[Any, str] = {
    xr.DataArray: "must be an xarray DataArray, one variable of a dataset",
    xr.Dataset: "must be an xarray Dataset, not one of its variables",
}


def _takes_flags(annotation: Any) -> bool:
    """Whether bool is among the types of an annotation, at any depth."""
    if annotation in (bool, Any) or isinstance(annotation, bool):  # the last within a Literal
        return True
    return any(_takes_flags(part) for part in typing.get_args(annotation))


_pipelines: dict[str, Pipeline[..., Any]] = {}


def pipeline(
    name: str, *, version: str, cost: CostModel, inputs: tuple[str, ...] | None = None
) -> Callable[[Callable[P, R]], Pipeline[P, R]]:
    """Register the decorated function as a pipeline.

    Parameters
    ----------
    name : str
        ``family.step``.
    version : str
        Declared version of the pipeline's numbers.
    cost : callable
        Cost model, see `Pipeline`.
    inputs : tuple of str, optional
        Dataset arguments; by default every leading argument annotated as DataArray or Dataset.

    Notes
    -----
    Constraints are written once, as ``Annotated[float, Field(gt=0)]`` in the signature.
    """

    def register(function: Callable[P, R]) -> Pipeline[P, R]:
        hints = typing.get_type_hints(function, include_extras=True)
        names = list(inspect.signature(function).parameters)
        given = inputs or tuple(n for n in names if hints.get(n) in (xr.DataArray, xr.Dataset))
        fields: dict[str, Any] = {}
        for parameter_name, parameter in inspect.signature(function).parameters.items():
            if parameter_name in given:
                continue
            default = ... if parameter.default is inspect.Parameter.empty else parameter.default
            fields[parameter_name] = (hints[parameter_name], Field(default))
        title = "".join(part.title() for part in name.replace(".", "_").split("_")) + "Parameters"
        model = create_model(title, __base__=Parameters, **fields)
        registered = Pipeline(name, version, function, given, model, cost)
        functools.update_wrapper(registered, function)
        _pipelines[name] = registered
        return registered

    return register


def all_pipelines() -> dict[str, Pipeline[..., Any]]:
    """Every pipeline by name: the built-in ones and those found by entry point."""
    for module in BUILT_IN:
        importlib.import_module(module)
    for entry in entry_points(group=ENTRY_POINTS):
        entry.load()
    return dict(sorted(_pipelines.items()))


def get(name: str) -> Pipeline[..., Any]:
    """Return the pipeline called *name*, or raise `ParameterError` naming those that exist."""
    known = all_pipelines()
    if name not in known:
        raise ParameterError("pipeline", name, f"is not registered; known are: {', '.join(known)}")
    return known[name]
