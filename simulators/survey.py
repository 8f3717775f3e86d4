"""Fly an aeromagnetic survey over a scene: the raw channel as recorded, the corrected one, the truth.

What the magnetometer records at sample *i* of a line is

.. math::

    raw_i = F_{i - lag} + T_{i - lag} + diurnal_i + heading_i + levelling_i + noise_i + spike_i

with the reference field *F* (IGRF at each point's own time and height) and the scene's anomaly *T*
taken where the sensor was, *lag* samples behind the recorded position. The corrected channel is
:math:`T_i + noise_i`: what a perfect reduction would leave.
"""

import datetime
import json
from dataclasses import asdict
from typing import Any

import numpy as np
import xarray as xr

from pipelines.conventions import ATTRIBUTES, NANOTESLA, assign_crs
from pipelines.errors import ParameterError
from pipelines.mag.igrf import igrf
from simulators.base_station import geographic
from simulators.flightpath import DRAPE_MARGIN, Leg, drape, follow, plan
from simulators.instruments import (
    DAY,
    Errors,
    diurnal,
    heading_error,
    levelling_error,
    spikes,
    white_noise,
)
from simulators.randomness import generator
from simulators.scene import DATE, Scene

TAKE_OFF = 7.5  # hours, local solar time
ENDURANCE = 4.5 * 3600.0  # seconds in the air, after which the next line waits for the next day
TURN = 100.0  # seconds between lines
FERRY = 900.0  # seconds from the airfield
LONGEST_RUN_IN = DRAPE_MARGIN / 2  # metres flown before a line; overshoot and wander take the rest

LABELS: dict[str, dict[str, str]] = {
    "total_field": {"long_name": "Total field as recorded, uncorrected", "units": NANOTESLA},
    "total_field_anomaly": {"long_name": "Total-field anomaly, corrected", "units": NANOTESLA},
    "total_field_anomaly_true": {
        "long_name": "Total-field anomaly of the scene, without any error",
        "units": NANOTESLA,
    },
    "time": {"standard_name": "time", "long_name": "Time (UTC)"},
    "heading": {"long_name": "Direction flown, clockwise from grid north", "units": "degree"},
    "ground": {"long_name": "Elevation of the ground", "units": "m"},
    "flight": {"long_name": "Flight, one a day, counted from one", "units": "1"},
    "heading_error": {"long_name": "Heading error in total_field", "units": NANOTESLA},
    "levelling_error": {"long_name": "Levelling error in total_field", "units": NANOTESLA},
    "noise": {"long_name": "Noise in total_field and total_field_anomaly", "units": NANOTESLA},
    "spike": {"long_name": "Spikes in total_field", "units": NANOTESLA},
}


def fly(
    scene: Scene,
    *,
    line_spacing: float = 200.0,
    tie_spacing: float = 2000.0,
    line_azimuth: float = 90.0,
    clearance: float = 80.0,
    climb: float = 0.05,
    speed: float = 70.0,
    sample_interval: float = 0.1,
    date: datetime.date | str = DATE,
    seed: int | None = None,
    errors: Errors | None = None,
    with_errors: bool = False,
) -> xr.Dataset:
    """Fly a survey over *scene*.

    Parameters
    ----------
    scene : Scene
        What is flown over; its extent is covered, its coordinate reference system is the survey's.
    line_spacing, tie_spacing : float
        Metres between lines and between the ties across them.
    line_azimuth : float
        Direction of the lines, degrees clockwise from grid north.
    clearance : float
        Height above ground that the drape asks for, metres.
    climb : float
        Steepest climb, metres per metre.
    speed : float
        Ground speed, m/s.
    sample_interval : float
        Seconds between readings.
    date : date or str
        Day of the first flight (UTC), ISO if a string.
    seed : int, optional
        Seed of everything that happens in the air; the scene's own by default.
    errors : Errors, optional
        Sizes of the errors; the defaults are those of a modern survey.
    with_errors : bool
        Whether each error is returned as a channel too.

    Returns
    -------
    Dataset
        A survey in line-major order, samples in the order flown. On ``point``: ``easting``,
        ``northing``, ``upward`` (m), ``time`` (UTC), ``line_index``, ``heading`` (degrees),
        ``ground`` (m), ``flight`` and, in nT, ``total_field`` (raw), ``diurnal``,
        ``reference_field``, ``total_field_anomaly`` (corrected) and ``total_field_anomaly_true``.
        On ``line``: ``line_name``, ``line_type``, ``line_start``, ``line_size``.

    Raises
    ------
    ParameterError
        If a distance, a time or a speed is not positive, the azimuth is not a number, the sensor
        lags more than 500 m behind, or the date is not a date.
    """
    day = _parse(date)
    errors = errors or Errors()
    positive = {
        "line_spacing": line_spacing,
        "tie_spacing": tie_spacing,
        "clearance": clearance,
        "climb": climb,
        "speed": speed,
        "sample_interval": sample_interval,
    }
    for name, value in positive.items():
        if not (np.isfinite(value) and value > 0):
            raise ParameterError(name, value, "must be a positive number")
    for name, value in asdict(errors).items():
        if not (np.isfinite(value) and value >= 0):
            raise ParameterError(name, value, "must be zero or a positive number")
    if not np.isfinite(line_azimuth):
        raise ParameterError("line_azimuth", line_azimuth, "must be a number of degrees")
    if errors.lag * speed > LONGEST_RUN_IN:
        longest = LONGEST_RUN_IN / speed
        raise ParameterError("lag", errors.lag, f"must be at most {longest:g} s, {LONGEST_RUN_IN:g} m flown")
    seed = scene.seed if seed is None else seed

    legs = plan(
        scene.extent,
        line_spacing=line_spacing,
        tie_spacing=tie_spacing,
        azimuth=line_azimuth,
        rng=generator(seed, "line ends"),
    )
    lag = round(errors.lag / sample_interval)
    track = follow(
        legs,
        drape(scene.terrain, clearance=clearance, gradient=climb, azimuth=line_azimuth),
        speed=speed,
        interval=sample_interval,
        run_in=lag,
        wander=errors.wander,
        rng=generator(seed, "wander"),
    )
    longitude, latitude = geographic(scene.crs, track.easting, track.northing)
    take_off = ((TAKE_OFF - float(np.mean(longitude)) / 15.0) % 24.0) * 3600.0
    start, flight = _schedule(legs, speed, take_off)
    seconds = start[track.leg] + track.elapsed
    time = np.datetime64(day, "ns") + np.round(seconds * 1e9).astype("timedelta64[ns]")

    true = scene.anomaly(track.easting, track.northing, track.upward)
    reference = igrf(time, longitude, latitude, track.upward).intensity
    now = track.recorded
    leg, count = track.leg[now], now.size
    variation = diurnal(seed, seconds[now], float(np.mean(longitude)))
    parts = {
        "heading_error": heading_error(seed, errors.heading, track.heading[now]),
        "levelling_error": levelling_error(seed, errors.levelling, leg),
        "noise": white_noise(seed, errors.noise, count),
        "spike": spikes(seed, errors.spikes, count),
    }
    # The sensor was where the recorded position will be found `lag` samples earlier on the same leg.
    raw = (reference + true)[now - lag] + variation + sum(parts.values())
    channels = {
        "total_field": raw,
        "diurnal": variation,
        "reference_field": reference[now],
        "total_field_anomaly": true[now] + parts["noise"],
        "total_field_anomaly_true": true[now],
        "heading": track.heading[now],
        "ground": scene.terrain.elevation(track.easting[now], track.northing[now]),
        "flight": flight[leg].astype(np.int32),
        **(parts if with_errors else {}),
    }
    positions = {
        "easting": track.easting[now],
        "northing": track.northing[now],
        "upward": track.upward[now],
        "time": time[now],
    }
    simulation = {
        "seed": seed,
        "scene_seed": scene.seed,
        **positive,
        "line_azimuth": line_azimuth,
        "date": day.isoformat(),
        "lag_samples": lag,
        "errors": asdict(errors),
    }
    return _labelled(legs, leg, positions, channels, simulation, scene.crs)


def _labelled(
    legs: list[Leg],
    leg: np.ndarray,
    positions: dict[str, np.ndarray],
    channels: dict[str, np.ndarray],
    simulation: dict[str, Any],
    crs: str,
) -> xr.Dataset:
    """Put points, lines and provenance together as a survey of the house."""
    size = np.bincount(leg, minlength=len(legs)).astype(np.int64)
    lines = {
        "line_index": xr.Variable("point", leg.astype(np.int32), {"long_name": "Index of the line"}),
        "line_name": ("line", np.array([x.name for x in legs])),
        "line_type": ("line", np.array([x.kind for x in legs])),
        "line_start": ("line", np.cumsum(size) - size),
        "line_size": ("line", size),
    }
    seed, day = simulation["seed"], simulation["date"]
    attributes = {
        "Conventions": "CF-1.11",
        "title": f"Simulated aeromagnetic survey, seed {seed}",
        "source": f"simulated, seed {seed}",
        "survey_date": day,
        "history": f"{day} flown by simulators.survey over scene {simulation['scene_seed']}",
        "comment": "Invented geology with known bodies; no such survey was ever flown.",
        "simulation": json.dumps(simulation, sort_keys=True),
    }
    survey = xr.Dataset(
        {name: _on_points(name, values) for name, values in channels.items()} | lines,
        coords={name: _on_points(name, values) for name, values in positions.items()},
        attrs=attributes,
    )
    return assign_crs(survey, crs)


def _schedule(legs: list[Leg], speed: float, take_off: float) -> tuple[np.ndarray, np.ndarray]:
    """Return for each leg its start in seconds since midnight of the first day, and its flight from one."""
    starts: list[float] = []
    flights: list[int] = []
    flight, clock = 1, take_off + FERRY
    for leg in legs:
        duration = leg.length / speed
        landing = take_off + (flight - 1) * DAY + ENDURANCE
        first_of_flight = not flights or flights[-1] != flight
        if clock + duration > landing and not first_of_flight:
            flight += 1
            clock = take_off + (flight - 1) * DAY + FERRY
        starts.append(clock)
        flights.append(flight)
        clock += duration + TURN
    return np.array(starts), np.array(flights)


def _on_points(name: str, values: np.ndarray) -> xr.Variable:
    return xr.Variable("point", values, dict(LABELS.get(name) or ATTRIBUTES[name]))


def _parse(date: datetime.date | str) -> datetime.date:
    if isinstance(date, datetime.datetime):
        return date.date()
    if isinstance(date, datetime.date):
        return date
    try:
        return datetime.date.fromisoformat(date)
    except (TypeError, ValueError) as error:
        raise ParameterError("date", date, f"must be an ISO date such as {DATE}") from error
