"""Quetzal: from raw flight lines to maps, on Dask, xarray and Zarr.

This package is the product around two libraries that stand beside it: `pipelines` (the science)
and `simulators` (surveys, devices and markets that never were). Importing it imports nothing
heavy; the command line and the doors import what they need when they are asked.
"""

__all__ = ["__version__"]


def __getattr__(name: str) -> str:
    # Reading the version takes importlib.metadata, which costs more than all the rest of this module.
    if name != "__version__":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    from importlib.metadata import PackageNotFoundError, version

    try:
        found = version("quetzalcore")
    except PackageNotFoundError:  # a checkout on the path that nobody installed
        found = "0+uninstalled"
    globals()["__version__"] = found
    return found
