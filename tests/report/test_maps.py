"""Maps: lit from the right side, the right way up, and nothing runs into anything."""

import itertools

import dask.array as da
import numpy as np
import pytest
from matplotlib.text import Text
from PIL import Image

from pipelines.errors import DataError, FormatError, ParameterError
from quetzal.report import maps
from quetzal.report.charts import DepthSegment, draw_spectrum
from quetzal.report.colours import stretch_of
from quetzal.report.flight import flown
from quetzal.report.layout import round_length, tick_labels
from quetzal.report.maps import draw_lines, draw_map, draw_sheet
from quetzal.report.shade import NO_DATA, hillshade, picture, reduce_to_pixels


def test_light_falls_on_slopes_that_face_the_north_west():
    # North-west of the summit of a cone the ground faces the light, south-east it is in shadow.
    y, x = np.mgrid[-20:21, -20:21].astype(float)
    lit = hillshade(-np.hypot(x, y), (1.0, 1.0))
    assert lit[30, 10] > 1  # north (rows ascend northward), west
    assert lit[10, 30] < 1


def test_flat_ground_is_neither_lit_nor_shaded():
    np.testing.assert_array_equal(hillshade(np.full((5, 6), 3.0), (10.0, 10.0)), 1)


def test_light_does_not_depend_on_units_or_cell_size(grid_of):
    values = grid_of(shape=(30, 40)).values
    lit = hillshade(values, (50.0, 50.0))
    # Slopes are relative to their median; float32 keeps seven digits through two square roots.
    np.testing.assert_allclose(hillshade(values * 1e-9, (0.5, 0.5)), lit, atol=1e-4)
    assert not np.allclose(hillshade(values, (50.0, 200.0)), lit, atol=0.05)


def test_no_data_is_light_grey_and_its_neighbours_keep_their_colour(grid_of):
    values = grid_of(shape=(30, 40)).values
    values[10, 10] = np.nan
    pixels = picture(values, (50.0, 50.0), stretch_of(values), "survey", relief=0.7)
    np.testing.assert_allclose(pixels[10, 10], NO_DATA, atol=1e-6)
    assert np.isfinite(pixels).all()
    assert np.abs(pixels[10, 11] - NO_DATA).max() > 0.1


def test_a_large_grid_is_averaged_to_the_pixels_drawn_chunk_by_chunk(grid_of):
    values = np.arange(24.0).reshape(4, 6)
    values[0, 0] = np.nan
    grid = grid_of(shape=(4, 6)).copy(data=da.from_array(values, chunks=(3, 4)))
    small = reduce_to_pixels(grid, 3)
    expected = np.nanmean(values.reshape(2, 2, 3, 2).swapaxes(1, 2), axis=(2, 3))
    np.testing.assert_allclose(small, expected)
    np.testing.assert_array_equal(small.easting, grid.easting.values.reshape(3, 2).mean(1))


def test_the_map_is_the_right_way_up(tmp_path, grid_of):
    # One bright corner in the north-east: the picture's upper right, since row 0 of a PNG is on top.
    grid = grid_of(shape=(40, 40))
    grid[:] = 0.0
    grid[25:, 25:] = 100.0
    path = draw_map(
        grid, tmp_path / "map.png", title="Corner", colour_map="gray", hillshade=False, stretch="linear"
    )
    pixels = np.asarray(Image.open(path).convert("L"), dtype=float)
    rows, columns = pixels.shape
    assert pixels[rows // 4, columns // 2 + columns // 6] > 250
    assert pixels[rows // 2 + rows // 8, columns // 4] < 5


@pytest.mark.parametrize(
    ("shape", "spacing"),
    [
        ((60, 80), 50.0),
        ((20, 300), 50.0),
        ((300, 20), 50.0),
        ((30, 30), 0.5),
        ((200, 300), 1000.0),
        ((2, 2), 50.0),
    ],
    ids=["usual", "wide", "tall", "plot of 15 m", "state", "four cells"],
)
def test_no_label_runs_into_another(shape, spacing, grid_of):
    grid = grid_of("reduced_to_pole", shape, spacing, pipeline="mag.process", pipeline_version="1+0.1.0")
    title = "A survey with a name so long that it has to be broken over two lines, reduced to the pole"
    sheet = maps._compose_map(grid, title, None, True, "auto", None, (), None, 60)
    _assert_apart(sheet.figure)


def test_no_label_of_the_flight_lines_runs_into_another(survey):
    _assert_apart(maps._compose_lines(survey, "Flight lines").figure)
    low = survey.where(survey.northing < 7_500_500, drop=True)
    low = survey.isel(line=slice(0, 2), point=slice(0, 400)).assign(
        line_type=("line", np.array(["line", "tie"]))
    )
    _assert_apart(maps._compose_lines(low, "Flight lines").figure)


def test_every_kind_of_picture_is_a_png_of_a_sensible_size(tmp_path, survey, result):
    segment = DepthSegment(0.01, 0.05, 150.0)
    drawn = [
        draw_map(
            result.total_field_anomaly, tmp_path / "map.png", title=r"Costs $5 and \\frac$", lines=survey,
            markers=[(401_000.0, 7_501_000.0, "Target $A")], dpi=60,
        ),
        draw_lines(survey, tmp_path / "lines.png", title="Lines", dpi=60),
        draw_sheet(result, tmp_path / "sheet.png", title="Sheet", dpi=60),
        draw_spectrum(result, tmp_path / "s.png", title="S", segments=[segment], dpi=60),
    ]  # fmt: skip
    for path in drawn:
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert min(image.size) > 200
            # Something was drawn: not one colour.
            pixels = np.asarray(image.convert("RGB").resize((50, 50))).reshape(-1, 3)
            assert len(np.unique(pixels, axis=0)) > 20
    assert sorted(p.name for p in tmp_path.iterdir()) == ["lines.png", "map.png", "s.png", "sheet.png"]


def test_a_constant_grid_can_be_drawn(tmp_path, grid_of):
    grid = grid_of(shape=(10, 12))
    grid[:] = 47_000.0
    assert draw_map(grid, tmp_path / "map.png", title="Constant", dpi=50).exists()


def test_a_line_is_not_drawn_where_it_was_not_flown():
    x = np.concatenate([np.arange(0.0, 1000.0, 10.0), np.arange(9000.0, 9500.0, 10.0)])
    parts = flown(x, np.zeros_like(x))
    assert [(part[0, 0], part[-1, 0]) for part in parts] == [(0.0, 990.0), (9000.0, 9490.0)]
    assert flown(np.array([5.0]), np.array([6.0]))[0].shape[1] == 2


def test_a_dataset_of_one_line_can_be_drawn(tmp_path, survey):
    one = survey.isel(line=slice(0, 1), point=slice(0, 200))
    assert draw_lines(one, tmp_path / "lines.png", title="One line", dpi=50).exists()


def test_what_cannot_be_drawn_is_refused_with_words(tmp_path, survey, grid_of):
    grid = grid_of(shape=(10, 12))
    with pytest.raises(ParameterError, match="must hold data"):
        draw_map(grid.where(False), tmp_path / "map.png", title="Nothing")
    with pytest.raises(DataError, match="must ascend"):
        draw_map(grid[::-1], tmp_path / "map.png", title="Upside down")
    with pytest.raises(DataError, match="must hold points"):
        draw_lines(survey.isel(point=slice(0, 0)), tmp_path / "map.png", title="Nothing")
    with pytest.raises(DataError, match="at least one of"):
        draw_sheet({}, tmp_path / "map.png", title="Nothing")
    with pytest.raises(FormatError, match="does not exist; create it"):
        draw_map(grid, tmp_path / "absent" / "map.png", title="Nowhere", dpi=40)
    assert not list(tmp_path.iterdir())


def test_scale_bars_are_round_and_labels_tell_values_apart():
    assert [round_length(v) for v in (9.9, 3200.0, 0.26, 5000.0)] == [5.0, 3000.0, 0.2, 5000.0]
    assert tick_labels(np.array([-0.0, 0.5, 1.0])) == ["0.0", "0.5", "1.0"]
    assert tick_labels(np.array([-12000.0, 5.0])) == ["\N{MINUS SIGN}12\N{THIN SPACE}000", "5"]
    labels = tick_labels(np.array([1e-9, 2e-9]))
    assert len(set(labels)) == 2


def _assert_apart(figure) -> None:
    """No two visible texts overlap, and none leaves the paper."""
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    texts = [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]
    shown = []
    for text in texts:
        # Ticks outside of their axis are kept by matplotlib but not drawn.
        box = text.get_window_extent(renderer)
        if box.width > 0 and _is_drawn(text):
            shown.append((text.get_text(), box))
    paper = figure.bbox
    for label, box in shown:
        assert box.x0 >= paper.x0, f"{label!r} leaves the paper on the left"
        assert box.x1 <= paper.x1, f"{label!r} leaves the paper on the right"
        assert box.y0 >= paper.y0, f"{label!r} leaves the paper below"
        assert box.y1 <= paper.y1, f"{label!r} leaves the paper above"
    for (one, a), (other, b) in itertools.combinations(shown, 2):
        assert not a.overlaps(b), f"{one!r} runs into {other!r}"


def _is_drawn(text: Text) -> bool:
    axes = text.axes
    if axes is None or not axes.axison:
        return True
    drawn = [axes.title, axes._left_title, axes._right_title, axes.xaxis.label, axes.yaxis.label, *axes.texts]
    for axis in (axes.xaxis, axes.yaxis):
        for tick in axis._update_ticks():
            drawn += [label for label in (tick.label1, tick.label2) if label.get_visible()]
    return any(text is each for each in drawn)
