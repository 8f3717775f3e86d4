"""The magnetometer on the ground that records the diurnal variation while the aircraft flies."""

import json
from typing import Any

import numpy as np
import xarray as xr
from pyproj import Transformer

from pipelines.conventions import NANOTESLA, parse_crs
from pipelines.errors import DataError
from simulators.instruments import BASE_NOISE, diurnal, white_noise

MARGIN = 600.0  # seconds for which the station records before and after the flying


def base_station(survey: xr.Dataset, *, interval: float = 1.0) -> xr.Dataset:
    """Return what the base station recorded while *survey* was flown.

    Parameters
    ----------
    survey : Dataset
        Made by `fly`.
    interval : float
        Seconds between readings.

    Returns
    -------
    Dataset
        On ``time``: ``total_field`` (nT), the station's datum plus the diurnal variation plus its own
        noise, from ten minutes before each day's first sample to ten after its last. The attribute
        ``datum`` (nT) is the reading at zero variation: reading minus datum is what to subtract.

    Raises
    ------
    DataError
        If the survey was not made by `fly`.
    """
    if "simulation" not in survey.attrs:
        raise DataError("attribute 'simulation'", None, "is missing; hand in a survey made by fly()")
    seed = int(json.loads(survey.attrs["simulation"])["seed"])
    midnight = np.datetime64(survey.attrs["survey_date"], "ns")
    seconds = (survey["time"].values - midnight) / np.timedelta64(1, "s")
    flights = survey["flight"].values
    windows = [
        np.arange(
            np.floor(seconds[flights == f].min() - MARGIN),
            seconds[flights == f].max() + MARGIN,
            interval,
        )
        for f in np.unique(flights)
    ]
    when = np.concatenate(windows)
    longitude, _ = geographic(survey["spatial_ref"].attrs["crs_wkt"], survey["easting"], survey["northing"])
    datum = float(np.round(survey["reference_field"].values.mean()))
    noise = white_noise(seed, BASE_NOISE, when.size, "base station")
    reading = datum + diurnal(seed, when, float(np.mean(longitude))) + noise
    return xr.Dataset(
        {
            "total_field": (
                "time",
                reading,
                {"long_name": "Total field at the base station", "units": NANOTESLA},
            )
        },
        coords={"time": midnight + np.round(when * 1e9).astype("timedelta64[ns]")},
        attrs={
            "title": f"Base station of {survey.attrs['title']}",
            "source": survey.attrs["source"],
            "datum": datum,
        },
    )


def geographic(crs: Any, easting: Any, northing: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return WGS 84 longitude and latitude, degrees, of projected positions."""
    transformer = Transformer.from_crs(parse_crs(crs), "EPSG:4326", always_xy=True)
    longitude, latitude = transformer.transform(np.asarray(easting), np.asarray(northing))
    return longitude, latitude
