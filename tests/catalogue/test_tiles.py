"""A window of a survey is exactly the points inside it, and reads little else."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import ParameterError
from quetzal.catalogue import survey_store, tiles
from quetzal.catalogue.surveys import import_survey, open_survey
from quetzal.catalogue.tiles import plan_window, read_window

LINES, ALONG = 40, 250


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("tiles")
    line = np.repeat(np.arange(LINES), ALONG)
    table = pd.DataFrame(
        {
            "line": line,
            "easting": 5e5 + np.tile(np.arange(ALONG) * 40.0, LINES),
            "northing": 7.5e6 + line * 250.0,
            "tmi": 53_000.0 + np.arange(LINES * ALONG),
        }
    )
    table.to_csv(root / "square.csv", index=False)
    patch = pytest.MonkeyPatch()
    with patch.context() as change:
        change.setattr(survey_store, "CHUNK", 500)
        change.setattr(tiles, "POINTS_A_TILE", 100)
        import_survey(root / "square.csv", root / "s", crs="EPSG:32754")
    return root / "s" / "square"


def inside(survey, west, south, east, north):
    x, y = survey["easting"].values, survey["northing"].values
    return (x >= west) & (x <= east) & (y >= south) & (y <= north)


@settings(max_examples=40, deadline=None)
@given(
    corner=st.tuples(st.floats(-3000, 12000), st.floats(-3000, 12000)),
    size=st.tuples(st.floats(0, 12000), st.floats(0, 12000)),
)
def test_a_window_is_what_looking_at_every_point_finds(folder, corner, size):
    west, south = 5e5 + corner[0], 7.5e6 + corner[1]
    bounds = (west, south, west + size[0], south + size[1])
    survey, found = open_survey(folder), read_window(folder, *bounds)
    chosen = inside(survey, *bounds)
    np.testing.assert_array_equal(found["total_field"].values, survey["total_field"].values[chosen])
    names = survey["line_name"].values[survey["line_index"].values[chosen]]
    assert found["line_name"].values[found["line_index"].values].tolist() == names.tolist()
    assert found.sizes["line"] == len(set(names))
    assert int(found["line_size"].sum()) == found.sizes["point"]


def test_a_small_window_reads_few_points_and_chunks(folder):
    bounds = (5.02e5, 7.503e6, 5.03e5, 7.504e6)
    plan = plan_window(folder, *bounds)
    held = int(inside(open_survey(folder), *bounds).sum())
    side = tiles._read_index(folder / "data.zarr").side
    # The window's tiles reach at most one side beyond it all round, over a regular field of points.
    most = (1000 + 2 * side + 40) / 40 * ((1000 + 2 * side + 250) / 250)
    assert held <= plan.points <= most < LINES * ALONG / 2
    # Lines 12 to 16 are in it; the tiles around reach `side` further, and two lines make a chunk.
    lines = (1000 + 2 * side) / 250 + 1
    assert plan.chunks.size <= lines / 2 + 1 < LINES / 2
    everything = plan_window(folder, 4e5, 7e6, 6e5, 8e6)
    assert (everything.points, everything.starts.size) == (LINES * ALONG, 1)  # touching runs are joined


def test_a_window_can_be_read_for_some_channels_alone(folder):
    found = read_window(folder, 5e5, 7.5e6, 5.01e5, 7.501e6, variables=[])
    assert "total_field" not in found
    assert "easting" in found.coords
    with pytest.raises(ParameterError, match="not in the survey"):
        read_window(folder, 5e5, 7.5e6, 5.01e5, 7.501e6, variables=["gravity"])


@pytest.mark.parametrize("bounds", [(1, 0, 0, 1), (0, 1, 1, 0), (0, 0, np.nan, 1), (0, 0, np.inf, 1)])
def test_a_window_that_is_none_is_refused(folder, bounds):
    with pytest.raises(ParameterError, match="window"):
        read_window(folder, *bounds)
