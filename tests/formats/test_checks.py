"""Points that lie in places far from each other are told; a survey in one place, or in blocks, is not."""

import numpy as np
import pytest

from pipelines.formats.checks import find_suspicions
from pipelines.formats.survey import label_survey


def survey(*corners, lines=10, size=100):
    """Fly ten lines of 10 km, 500 m apart, from each south-west corner."""
    along, across = np.meshgrid(np.linspace(0.0, 10_000.0, size), 500.0 * np.arange(lines))
    easting = np.concatenate([east + along.ravel() for east, _ in corners])
    northing = np.concatenate([north + across.ravel() for _, north in corners])
    count = lines * len(corners)
    points = {"easting": easting, "northing": northing, "line_index": np.repeat(np.arange(count), size)}
    names = [str(i) for i in range(count)]
    start = size * np.arange(count)
    return label_survey(
        points,
        {"line_name": names, "line_type": ["line"] * count, "line_start": start, "line_size": [size] * count},
        crs="EPSG:32754",
    )


def told(data):
    return [s for s in find_suspicions(data) if "places" in s.problem]


@pytest.mark.parametrize(
    ("corners", "gap"),
    [
        # 10 km are the lines' own length, 4.5 km the width of ten lines.
        ([(300e3, 7500e3), (800e3, 7500e3)], "490 km apart in easting"),
        ([(500e3, 9990e3), (500e3, 10e3)], "9,976 km apart in northing"),
    ],
    ids=["zones", "hemispheres"],
)
def test_zones_that_change_between_lines_are_told(corners, gap):
    (suspicion,) = told(survey(*corners))
    assert f"points lie in 2 places {gap}" in suspicion.problem
    assert "two zones or CRSs" in suspicion.problem
    assert (suspicion.count, suspicion.first_point) == (1000, 1000)


def test_three_zones_are_told_as_three_places():
    (suspicion,) = told(survey((300e3, 7500e3), (600e3, 7500e3), (900e3, 7500e3)))
    assert "points lie in 3 places 290 km apart in easting" in suspicion.problem


def test_one_place_and_neighbouring_blocks_and_a_long_survey_with_a_gap_are_not_told():
    assert not told(survey((300e3, 7500e3)))
    assert not told(survey((300e3, 7500e3), (340e3, 7500e3)))
    wide = [(east, 7500e3) for east in range(100_000, 300_000, 10_000)]
    assert not told(survey(*wide, (400e3, 7500e3)))  # 90 km empty beside 200 km flown
