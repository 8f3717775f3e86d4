# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # First flight
#
# From flight lines to maps, step by step, with plain functions: no service and no queue. Every function
# takes labelled data and gives labelled data. NumPy in, NumPy out; Dask in, lazy out.

# %%
import os

import holoviews as hv
import numpy as np
import pandas as pd
import xarray as xr
from IPython.display import display

from pipelines.mag import products
from pipelines.mag.choices import from_attributes
from pipelines.mag.filters import apply_filters
from pipelines.mag.igrf import field_at, reference_field
from pipelines.mag.lines import line_spacing
from simulators.scene import scene
from simulators.survey import fly

hv.extension("bokeh", inline=True)  # inline: the figures show without the internet
pd.set_option("display.max_colwidth", None)
_ = xr.set_options(display_expand_attrs=False)
# %% [markdown]
# ## The survey
#
# One of your own if the variable `QUETZAL_SURVEY` names its store (`quetzal import lines.csv` makes
# `surveys/lines/data.zarr`); else a simulated one over known geology, so that the maps can be held
# against the truth.

# %%
STORE = os.environ.get("QUETZAL_SURVEY")

if STORE:
    survey, truth = xr.open_zarr(STORE, chunks=None, consolidated=False, decode_coords="all"), None
else:
    truth = scene(seed=12, extent=(450_000.0, 7_550_000.0, 460_000.0, 7_558_000.0))
    survey = fly(truth)
survey

# %% [markdown]
# The lines, read from the positions alone:

# %%
lines = line_spacing(survey)
print(f"{lines.length / 1000:,.0f} km flown along {lines.azimuth:.0f}°, {lines.spacing:.0f} m apart,")
print(f"a reading every {lines.sampling:.1f} m, ties every {lines.tie_spacing:,.0f} m")

# %% [markdown]
# ## What the magnetometer recorded, and what is left
#
# The raw channel holds the Earth's main field, its daily variation, the aircraft and the noise. The
# reference field is computed at every point's own date and height.

# %%
if "total_field" in survey:
    main = reference_field(survey)
    one = int(survey["line_index"].values[survey.sizes["point"] // 2])
    here = slice(int(survey["line_start"][one]), int(survey["line_start"][one] + survey["line_size"][one]))
    along = survey["easting"].values[here]
    order = np.argsort(along)
    profile = {
        "raw − IGRF": (survey["total_field"] - main).values[here][order],
        "corrected": survey["total_field_anomaly"].values[here][order],
    }
    figure = hv.Overlay(
        [hv.Curve((along[order] / 1000, v), "easting (km)", "nT", label=k) for k, v in profile.items()]
    )
    display(figure.opts(hv.opts.Curve(width=850, height=260), hv.opts.Overlay(legend_position="top_left")))

# %% [markdown]
# ## Grid
#
# An equivalent layer explains the data at their true positions and heights. Its depth and damping are
# chosen by leaving data out; every choice is stated with its reason.

# %%
gridded = survey.mag.grid()
pd.DataFrame(
    [(c.parameter, c.value, c.reason) for c in from_attributes(gridded.attrs)],
    columns=["choice", "value", "why"],
)


# %%
def map_of(grid, cmap="turbo", **options):
    """Draw a grid with its own units, equalised colours and coordinates in kilometres."""
    shown = grid.assign_coords(easting=grid.easting / 1000, northing=grid.northing / 1000)
    image = hv.Image(shown, ["easting", "northing"], label=grid.attrs.get("long_name", grid.name))
    look = {
        "cmap": cmap,
        "cnorm": "eq_hist",
        "data_aspect": 1,
        "frame_width": 320,
        "colorbar": True,
        "tools": ["hover"],
    }
    return image.opts(**{**look, **options})


tmi = gridded["total_field_anomaly"]
map_of(tmi)

# %% [markdown]
# ## Reduce to the pole
#
# The direction of the main field at the survey's centre and date. Declination counts from *grid* north
# here, because the filter works on the grid.

# %%
centre = {axis: float(survey[axis].mean()) for axis in ("easting", "northing")}
date = survey.attrs["survey_date"]
field = field_at(tmi.spatial_ref.attrs["crs_wkt"], **centre, date=date, height=float(survey["upward"].mean()))
print(
    f"inclination {field.inclination:.2f}°, declination {field.declination:.2f}° from true north, "
    f"{field.grid_declination:.2f}° from grid north"
)

# %%
pole = tmi.mag.reduce_to_pole(field.inclination, field.grid_declination)
map_of(tmi) + map_of(pole)

# %% [markdown]
# The history says what was done:

# %%
print(pole.attrs["history"])

# %% [markdown]
# ## Derive
#
# Each filter is one call; several from one forward transform are one call too.

# %%
derived = apply_filters(
    pole,
    [
        products.derivative_upward(),
        products.total_horizontal_derivative(),
        products.tilt_angle(),
        products.upward_continued(500.0),
    ],
)
(
    map_of(derived["derivative_upward"], cmap="RdBu_r")
    + map_of(derived["total_horizontal_derivative"], cmap="inferno")
    + map_of(derived["tilt_angle"], cmap="RdBu_r", cnorm="linear", clim=(-np.pi / 2, np.pi / 2))
    + map_of(derived["upward_continued"])
).cols(2)

# %% [markdown]
# ## Lazy
#
# The same calls on a grid in chunks build a graph and compute nothing until asked.

# %%
lazy = tmi.chunk(northing=64, easting=64).mag.reduce_to_pole(field.inclination, field.grid_declination)
print("chunks:", lazy.chunks)
print("largest difference from the grid in memory:", float(abs(lazy - pole).max()), lazy.attrs["units"])

# %% [markdown]
# ## Spectrum
#
# The slope of the logarithm of the power tells the depth of ensembles of sources (Spector & Grant, 1970).

# %%
spectrum = tmi.mag.radial_spectrum()
for depth, error in zip(spectrum["depth"].values, spectrum["depth_error"].values, strict=True):
    print(f"ensemble at {depth:.0f} ± {error:.0f} m below the sensor")
hv.Curve(spectrum["log_power"]).opts(width=850, height=260, xlabel="wavenumber (rad/m)", ylabel="ln power")

# %% [markdown]
# ## The whole chain at once, and against the truth

# %%
maps = survey.mag.process()
print(list(maps.data_vars))
for choice in from_attributes(maps.attrs):
    print(f"{choice.parameter} = {choice.value}: {choice.reason}")

# %%
if truth is not None:
    grid = maps["total_field_anomaly"]
    easting, northing = np.meshgrid(grid.easting, grid.northing)
    height = next(c.value for c in from_attributes(maps.attrs) if c.parameter == "upward")
    exact = truth.anomaly(easting.ravel(), northing.ravel(), np.full(easting.size, height))
    error = grid - exact.reshape(grid.shape)
    rms = float(np.sqrt((error**2).mean()) / exact.std())
    print(f"error of the grid against the scene's exact field: {100 * rms:.1f} % of its standard deviation")
    error = error.assign_attrs(long_name="Grid minus truth", units="nT")
    display(map_of(error, cmap="RdBu_r", cnorm="linear", clim=(-20, 20)))
