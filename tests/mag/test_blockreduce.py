import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.errors import DataError, ParameterError
from pipelines.mag.blockreduce import block_reduce


def by_loop(x, y, z, d, size, statistic):
    """Reduce with a dictionary of lists: slow and plain."""
    found = {}
    for point in zip(x, y, z, d, strict=True):
        if not np.isnan(point[3]):
            found.setdefault((np.floor(point[1] / size), np.floor(point[0] / size)), []).append(point)
    rows = []
    for key in sorted(found):
        block = np.array(found[key])
        value = np.median(block[:, 3]) if statistic == "median" else block[:, 3].mean()
        rows.append([*block[:, :3].mean(axis=0), value, len(block)])
    return np.array(rows).reshape(-1, 5)


coordinate = st.floats(-500, 500)
points = st.lists(
    st.tuples(coordinate, coordinate, coordinate, st.one_of(st.just(np.nan), st.floats(-1e4, 1e4))),
    max_size=60,
)


@pytest.mark.parametrize("statistic", ["mean", "median"])
@given(points=points, size=st.sampled_from([0.7, 3.0, 50.0, 2_000.0]))
@settings(max_examples=60, deadline=None)
def test_any_points_reduce_as_a_plain_loop_reduces_them(statistic, points, size):
    x, y, z, d = np.array(points, dtype=float).reshape(-1, 4).T
    expected = by_loop(x, y, z, d, size, statistic)
    found = block_reduce(x, y, d, upward=z, size=size, statistic=statistic)
    stacked = np.column_stack([found.easting, found.northing, found.upward, found.value, found.count])
    # Sums of 60 numbers up to 1e4 in another order: 60 * 1e4 * 2**-53 = 7e-11.
    np.testing.assert_allclose(stacked, expected, rtol=0, atol=1e-9)


def test_far_apart_points_need_no_table_of_all_the_blocks_between_them():
    x = np.array([0.5, 1e7, 0.6])  # 1e14 blocks of a metre
    found = block_reduce(x, x, np.array([1.0, 2.0, 3.0]), size=1.0)
    np.testing.assert_array_equal(found.value, [2.0, 2.0])
    np.testing.assert_array_equal(found.count, [2, 1])


def test_a_block_of_many_values_takes_the_middle_one_whatever_the_spikes():
    d = np.random.default_rng(0).permutation(np.r_[np.full(60, 5.0), np.full(40, 1e6)])
    found = block_reduce(np.zeros(100), np.zeros(100), d, size=10.0, statistic="median")
    assert found.value == 5.0


def test_utm_coordinates_lose_no_digits():
    rng = np.random.default_rng(2)
    x, y = rng.uniform(0, 20, 500), rng.uniform(0, 20, 500)
    near = block_reduce(x, y, x, size=20.0)
    far = block_reduce(x + 5e5, y + 7.5e6, x, size=20.0)
    # Adding 7.5e6 itself rounds every position to 9e-10 m; averaging adds no more than as much again.
    np.testing.assert_allclose(far.northing - 7.5e6, near.northing, rtol=0, atol=2e-9)


@pytest.mark.parametrize("values", [np.array([]), np.array([np.nan, np.nan])])
def test_nothing_valid_gives_nothing(values):
    position = np.zeros(values.size)
    for statistic in ("mean", "median"):
        assert len(block_reduce(position, position, values, size=1.0, statistic=statistic)) == 0


def test_what_cannot_be_reduced_is_refused():
    one = np.ones(1)
    with pytest.raises(ParameterError, match="size"):
        block_reduce(one, one, one, size=0.0)
    with pytest.raises(DataError, match="finite"):
        block_reduce(np.array([np.nan]), one, one, size=1.0)
    with pytest.raises(DataError, match="one position"):
        block_reduce(np.ones(2), one, one, size=1.0)


@pytest.mark.peer
def test_verde_finds_the_same_block_means():
    verde = pytest.importorskip("verde")
    rng = np.random.default_rng(3)
    x, y, d = rng.uniform(0, 1_000, (3, 5_000))
    (vx, vy), vd = verde.BlockReduce(np.mean, 50.0, region=(0, 1_000, 0, 1_000)).filter((x, y), d)
    found = block_reduce(x, y, d, size=50.0)
    theirs = np.lexsort((np.floor(vx / 50), np.floor(vy / 50)))
    # Means of a dozen numbers below 1000 in two orders of summation: 1e-12 at most.
    np.testing.assert_allclose(found.value, vd[theirs], rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.easting, vx[theirs], rtol=0, atol=1e-10)
