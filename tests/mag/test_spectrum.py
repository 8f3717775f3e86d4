"""The radially averaged spectrum against noise of known power and sources of known depth."""

import dask.array as da
import numpy as np
import pytest
import scipy.fft
import xarray as xr

from pipelines.conventions import Geometry, make_grid
from pipelines.errors import DataError, ParameterError
from pipelines.mag.spectrum import fit_segments, radial_spectrum


def noise_grid(shape=(300, 400), spacing=(50.0, 40.0), response=None, seed=3):
    """Gaussian white noise, filtered on a larger torus by a response to the wavenumber."""
    rng = np.random.default_rng(seed)
    large = (2 * shape[0], 2 * shape[1])
    values = rng.standard_normal(large)
    if response is not None:
        k = (
            2
            * np.pi
            * np.hypot(
                scipy.fft.fftfreq(large[0], spacing[0])[:, None], scipy.fft.rfftfreq(large[1], spacing[1])
            )
        )
        values = scipy.fft.irfft2(scipy.fft.rfft2(values) * response(k), s=large)
    values = values[: shape[0], : shape[1]] + 300 + 0.1 * np.arange(shape[0])[:, None]
    return make_grid(
        values, Geometry((0.0, 0.0), spacing, shape), name="total_field_anomaly", attrs={"units": "nT"}
    )


@pytest.mark.parametrize("spacing", [(50.0, 50.0), (50.0, 20.0)])
def test_white_noise_has_the_same_density_at_every_wavenumber(spacing):
    spectrum = radial_spectrum(noise_grid(spacing=spacing))
    cell = spacing[0] * spacing[1]
    # Unit variance over the grid's band is a density of one cell's area; a ring of n waves, half of
    # them independent, is right to √(2/n), and the taper correlates a few neighbours.
    error = abs(spectrum.power / cell - 1) / np.sqrt(2 / spectrum["count"])
    assert error.max() < 6
    assert float(
        (spectrum.power * spectrum["count"]).sum() / spectrum["count"].sum() / cell
    ) == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(spectrum.log_power, np.log(spectrum.power))


def test_rings_reach_the_lower_nyquist_and_count_every_wave_once():
    spectrum = radial_spectrum(noise_grid((64, 80), (50.0, 50.0)))
    step = 2 * np.pi / (64 * 50.0)
    assert spectrum.wavenumber[0] == pytest.approx(step, rel=0.2)
    assert spectrum.wavenumber[-1] == pytest.approx(np.pi / 50.0, rel=0.02)
    # Rings fill a disk of Nyquist's radius (and half a ring) but for the mean.
    area = np.pi * (np.pi / 50.0 + step / 2) ** 2
    per_wave = (2 * np.pi / (64 * 50.0)) * (2 * np.pi / (80 * 50.0))
    assert spectrum["count"].sum() == pytest.approx(area / per_wave, rel=0.03)


@pytest.mark.parametrize("depth", [60.0, 150.0])
def test_one_ensemble_of_sources_gives_its_depth(depth):
    grid = noise_grid((512, 512), (50.0, 50.0), lambda k: np.exp(-depth * k))
    found = radial_spectrum(grid, segments=1, taper=0.25)
    # The taper blurs k by some 4 rings of 2.5e-4 rad/m and bends e^{-2hk} by (2h · 1e-3)² / 2 < 5 %,
    # the same along the line: the slope keeps. Rings scatter by √(2/count), many of them.
    assert float(found.depth[0]) == pytest.approx(depth, rel=0.03)
    assert float(found.depth_error[0]) < 0.01 * depth


def test_two_ensembles_give_two_depths_and_the_wavenumber_between():
    grid = noise_grid((512, 512), (50.0, 50.0), lambda k: np.exp(-900 * k) + 0.002 * np.exp(-40 * k))
    found = radial_spectrum(grid)
    deep, shallow = found.depth.values
    assert deep == pytest.approx(900, rel=0.2)
    assert shallow == pytest.approx(40, rel=0.2)
    # The two are equal where e^{-860 k} = 0.002.
    assert float(found.wavenumber_start[1]) == pytest.approx(np.log(500) / 860, rel=0.3)


def test_straight_segments_are_cut_where_they_meet():
    k = np.linspace(0.001, 0.06, 60)
    power = np.exp(np.where(k < 0.02, -2 * 500 * k, -2 * 500 * 0.02 - 2 * 80 * (k - 0.02)))
    deep, shallow = fit_segments(k, power, 2)
    assert deep["depth"] == pytest.approx(500, rel=1e-9)
    assert shallow["depth"] == pytest.approx(80, rel=1e-6)
    assert deep["wavenumber_stop"] == pytest.approx(0.02, abs=0.0011)
    assert len(fit_segments(k[:9], power[:9], 3)) == 1
    assert fit_segments(k[:4], power[:4], 1) == []


def test_holes_change_little_and_laziness_nothing():
    grid = noise_grid((256, 256), (50.0, 50.0), lambda k: np.exp(-200 * k))
    spectrum = radial_spectrum(grid)
    lazy = radial_spectrum(grid.chunk(100))
    assert isinstance(lazy.power.data, da.Array)
    xr.testing.assert_allclose(lazy.compute(), spectrum, rtol=1e-12)
    holed = grid.copy(deep=True)
    holed.values[100:130, 40:80] = np.nan
    # The hole is 2 % of the area, so a single wave may change by 2 √0.02 = 27 % in amplitude; the
    # 300 waves of the first ten rings together by some 27 % · 2 / √300 = 3 % in power.
    first = slice(0, 10)
    total = [float((s.power * s["count"])[first].sum()) for s in (radial_spectrum(holed), spectrum)]
    assert total[0] == pytest.approx(total[1], rel=0.1)


def test_what_has_no_spectrum_is_refused():
    plane = make_grid(
        np.add.outer(np.arange(20.0), np.arange(30.0)) + 5e4,
        Geometry((0.0, 0.0), (50.0, 50.0), (20, 30)),
        name="total_field_anomaly",
    )
    with pytest.raises(DataError, match="vary"):
        radial_spectrum(plane)
    with pytest.raises(DataError, match="at least 8 cells"):
        radial_spectrum(plane[:4])
    with pytest.raises(DataError, match="all NaN"):
        radial_spectrum(plane * np.nan)
    with pytest.raises(DataError, match="real numbers"):
        radial_spectrum(plane > 5e4)
    with pytest.raises(DataError, match="not decoded"):
        radial_spectrum(plane.assign_attrs(missing_value=-99999))
    with pytest.raises(DataError, match="grid = 'Dataset' must be an xarray DataArray"):
        radial_spectrum(plane.to_dataset())
    with pytest.raises(ParameterError, match="segments"):
        radial_spectrum(plane, segments=0)
