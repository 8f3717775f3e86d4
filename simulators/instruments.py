"""What a magnetometer in an aircraft adds to the field: diurnal, heading, lag, noise and spikes."""

from dataclasses import dataclass

import numpy as np

from simulators.randomness import generator

DAY = 86_400.0
BASE_NOISE = 0.02  # nT, of the base station's magnetometer


@dataclass(frozen=True, slots=True)
class Errors:
    """How large each error is; zero switches it off.

    Attributes
    ----------
    noise : float
        Standard deviation of the magnetometer's white noise, nT; it stays in the corrected channel.
    lag : float
        Seconds by which the sensor trails the position recorded with its reading; whole samples of it.
    heading : float
        Amplitude of the heading error, nT.
    levelling : float
        Standard deviation of what diurnal and heading corrections leave on each line, nT.
    spikes : float
        Probability that a sample is a spike.
    wander : float
        Standard deviation of the pilot's drift off the line, metres; half of it in height.
    """

    noise: float = 0.05
    lag: float = 0.4
    heading: float = 3.0
    levelling: float = 1.5
    spikes: float = 1e-4
    wander: float = 4.0


def diurnal(seed: int, seconds: np.ndarray, longitude: float) -> np.ndarray:
    """Return the diurnal variation in nT about the base station's datum.

    The quiet-day curve dips around local noon, differently each day; bays of half an hour, a
    continuum of periods between ten minutes and eight hours, and pulsations of seconds to minutes
    ride on it.

    Parameters
    ----------
    seed : int
        Seed of the survey.
    seconds : ndarray
        Seconds since midnight UTC of the survey's first day.
    longitude : float
        Degrees east, for local time.
    """
    rng = generator(seed, "diurnal")
    local = seconds / DAY + longitude / 360.0
    days = int(np.ceil(local.max())) + 2 if local.size else 1
    total = np.zeros(np.shape(seconds))
    for day in range(-1, days):
        # One stream a day: a longer survey does not change the days before.
        daily = generator(seed, f"diurnal of day {day}")
        depth, noon = 22.0 * daily.lognormal(0.0, 0.25), 11.5 + daily.normal(0.0, 0.6)
        total -= depth * np.exp(-((((local - day) * 24.0 - noon) / 2.8) ** 2))
        for _ in range(daily.poisson(4)):
            centre, width = daily.uniform(0.0, 24.0), daily.uniform(0.15, 0.5)
            total += daily.normal(0.0, 6.0) * np.exp(-((((local - day) * 24.0 - centre) / width) ** 2))
    slow = 10 ** rng.uniform(np.log10(600.0), np.log10(8 * 3600.0), 24)
    fast = 10 ** rng.uniform(np.log10(20.0), np.log10(600.0), 16)
    for period in np.concatenate([slow, fast]):
        amplitude = 1.2 * (period / 3600.0) ** 0.8 * rng.rayleigh()
        total += amplitude * np.sin(2 * np.pi * (seconds / period + rng.uniform()))
    return total


def heading_error(seed: int, amplitude: float, heading: np.ndarray) -> np.ndarray:
    """Return the aircraft's heading error in nT: it changes sign with the direction flown."""
    worst = generator(seed, "heading error").uniform(-40.0, 40.0)
    # The worst heading lies within 40 degrees of east, so that eastward and westward lines differ most.
    return amplitude * np.cos(np.radians(heading - worst - 90.0))


def levelling_error(seed: int, deviation: float, leg: np.ndarray) -> np.ndarray:
    """Return a slow drift for each line in nT: an offset and half as much slope from end to end."""
    rng = generator(seed, "levelling error")
    legs = int(leg[-1]) + 1 if leg.size else 0
    offset, slope = deviation * rng.standard_normal(legs), 0.5 * deviation * rng.standard_normal(legs)
    size = np.bincount(leg, minlength=legs)
    place = (np.arange(leg.size) - (np.cumsum(size) - size)[leg]) / np.maximum(size - 1, 1)[leg]
    return offset[leg] + slope[leg] * (place - 0.5)


def white_noise(seed: int, deviation: float, count: int, component: str = "noise") -> np.ndarray:
    """Return *count* samples of white noise in nT."""
    return deviation * generator(seed, component).standard_normal(count)


def spikes(seed: int, probability: float, count: int) -> np.ndarray:
    """Return rare single-sample jumps of 20 to 400 nT of either sign, zero elsewhere."""
    rng = generator(seed, "spikes")
    hit = rng.random(count) < probability
    out = np.zeros(count)
    out[hit] = rng.choice([-1.0, 1.0], hit.sum()) * 20.0 * 20.0 ** rng.random(hit.sum())
    return out
