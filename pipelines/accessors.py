"""xarray accessors over the registry: ``survey.tmi.mag.reduce_to_pole(-52, 6)``.

``.mag`` on a grid offers every pipeline of the family ``mag`` whose first input is a DataArray;
on a dataset, those whose first input is a Dataset. Nothing is written twice: names, signatures,
docstrings and checks are the registry's own.
"""

import inspect
import typing
from collections.abc import Callable
from typing import Any

import xarray as xr

from pipelines import registry


class Accessor:
    """Pipelines of one family as methods of the data they take first."""

    family: str

    def __init__(self, data: xr.DataArray | xr.Dataset) -> None:
        self._data = data

    def __dir__(self) -> list[str]:
        return sorted(self._offered())

    def __getattr__(self, step: str) -> Callable[..., Any]:
        if step.startswith("_"):
            raise AttributeError(step)
        offered = self._offered()
        if step not in offered:
            kind = type(self._data).__name__
            raise AttributeError(
                f"a {kind} has no .{self.family}.{step}; it has: {', '.join(sorted(offered))}"
            )
        return _bound(offered[step], self._data)

    def __repr__(self) -> str:
        lines = [f"{step}: {found.summary}" for step, found in sorted(self._offered().items())]
        return "\n".join([f"Pipelines of the family '{self.family}':", *lines])

    def _offered(self) -> dict[str, registry.Pipeline[..., Any]]:
        prefix = self.family + "."
        return {
            name.removeprefix(prefix): found
            for name, found in registry.all_pipelines().items()
            if name.startswith(prefix) and _first_input(found) is type(self._data)
        }


def _first_input(found: registry.Pipeline[..., Any]) -> Any:
    return typing.get_type_hints(found.function)[found.inputs[0]]


def _bound(found: registry.Pipeline[..., Any], data: xr.DataArray | xr.Dataset) -> Callable[..., Any]:
    def method(*args: Any, **kwargs: Any) -> Any:
        return found(data, *args, **kwargs)

    signature = inspect.signature(found.function)
    method.__name__ = found.name.rpartition(".")[2]
    method.__doc__ = inspect.getdoc(found.function)
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=list(signature.parameters.values())[1:]
    )
    return method


def _register(family: str) -> None:
    accessor = type(f"{family.title()}Accessor", (Accessor,), {"family": family})
    xr.register_dataarray_accessor(family)(accessor)
    xr.register_dataset_accessor(family)(accessor)


_register("mag")
