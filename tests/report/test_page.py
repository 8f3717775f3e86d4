"""The page is valid, self-contained, escaped, and says what the data say of themselves."""

import dataclasses
import itertools
import json
from datetime import UTC, datetime
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from pipelines.errors import FormatError
from quetzal.report.build import build_report, draw_pictures, grid_names
from quetzal.report.charts import DepthSegment
from quetzal.report.page import Choice, Fact, Picture, Product, Report, render, write_page

HOSTILE = "<script>alert('x')</script> \" & 'quoted'"
VOID = {"meta", "img", "br", "hr", "link"}


class Reader(HTMLParser):
    """Keeps what a test asks of a page, and fails on a tag that is not closed in turn."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert not self.open, f"tags left open: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture
def picture(tmp_path) -> Picture:
    file = tmp_path / "map.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)).save(file)
    return Picture(file, "A map.", "What it shows.", "Map of noise")


@pytest.fixture
def full(picture) -> Report:
    return Report(
        title="Osborne",
        summary="A survey.",
        survey=(Fact("Points", "732 493"),),
        choices=(Choice("cell_size", "50", "a quarter of the line spacing"),),
        pictures=(picture, dataclasses.replace(picture, title="Another.")),
        spectrum=picture,
        depths=(DepthSegment(0.001, 0.01, 412.3, 9.0),),
        products=(Product("Tilt angle", "rad", -1.5, 0.0, 1.5, 0.125),),
        quality=(Fact("Misfit", "0.8 nT"),),
        lineage=(Fact("Pipeline", "mag.process"),),
        parameters='{"spacing": 50}',
        history=("2026-02-03 mag.process",),
        files=(Fact("grids.nc", "CF netCDF"),),
        made=datetime(2026, 2, 3, 12, 0, tzinfo=UTC),
    )


def test_the_page_holds_every_part_and_closes_every_tag(full):
    page = Reader(render(full))
    for words in (
        "732 493",
        "a quarter of the line spacing",
        "412 ± 9",
        "12.5 %",
        "0.8 nT",
        "grids.nc",
        "mag.process",
    ):
        assert words in page.text
    assert "2026-02-03 at 12:00 UTC" in page.text


def test_headings_descend_one_by_one_and_there_is_one_title(full):
    levels = [int(tag[1]) for tag, _ in Reader(render(full)).tags if tag in {"h1", "h2", "h3", "h4"}]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_every_picture_has_words_and_every_table_a_caption_and_scopes(full):
    page = Reader(render(full))
    assert len(page.all("img")) == 3
    assert all(image["alt"] and image["width"] and image["height"] for image in page.all("img"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert all(cell.get("scope") in {"row", "col"} for cell in page.all("th"))
    assert page.all("html")[0]["lang"] == "en"


def test_nothing_is_fetched_and_nothing_runs(full):
    html = render(full)
    page = Reader(html)
    assert not page.all("script")
    assert not page.all("link")
    assert all(str(image["src"]).startswith("data:image/") for image in page.all("img"))
    assert "url(" not in html
    assert "@import" not in html
    assert "default-src 'none'" in html


def test_identifiers_are_unique(full):
    found = [attrs["id"] for _, attrs in Reader(render(full)).tags if "id" in attrs]
    assert len(found) == len(set(found))


def test_hostile_text_stays_text_wherever_it_comes_from(picture):
    hostile = Fact(HOSTILE, HOSTILE)
    report = Report(
        title=HOSTILE,
        summary=HOSTILE,
        survey=(hostile,),
        choices=(Choice(HOSTILE, HOSTILE, HOSTILE),),
        pictures=(Picture(picture.file, HOSTILE, HOSTILE, HOSTILE),),
        products=(Product(HOSTILE, HOSTILE, 0.0, 0.0, 0.0, 0.0),),
        quality=(hostile,),
        lineage=(hostile,),
        parameters=HOSTILE,
        history=(HOSTILE,),
        files=(hostile,),
    )
    page = Reader(render(report))
    assert not page.all("script")
    assert page.all("img")[0]["alt"] == HOSTILE
    assert page.text.count(HOSTILE) >= 15


def test_empty_parts_are_left_out():
    page = Reader(render(Report(title="Nothing yet")))
    assert not page.all("h2")
    assert not page.all("table")


def test_a_missing_or_false_picture_is_named(tmp_path, picture):
    absent = dataclasses.replace(picture, file=tmp_path / "absent.png")
    with pytest.raises(FormatError, match=r"absent\.png.*draw it first"):
        render(Report(title="x", pictures=(absent,)))
    for content in (b"GIF89a", b"\x89PNG\r\n\x1a\ncut"):
        (tmp_path / "false.png").write_bytes(content)
        with pytest.raises(FormatError, match=r"false\.png.*PNG picture"):
            render(Report(title="x", pictures=(dataclasses.replace(picture, file=tmp_path / "false.png"),)))


@pytest.mark.fault
def test_a_page_that_fails_leaves_nothing(tmp_path, picture):
    with pytest.raises(FormatError, match="does not exist"):
        write_page(tmp_path / "absent" / "report.html", Report(title="x"))
    bad = Report(title="x", pictures=(dataclasses.replace(picture, file=tmp_path / "absent.png"),))
    with pytest.raises(FormatError):
        write_page(tmp_path / "report.html", bad)
    assert [p.name for p in tmp_path.iterdir()] == ["map.png"]


def test_a_report_is_assembled_from_attributes_alone(survey, result):
    report = build_report(
        survey, result, title="Osborne", inputs={"survey": "sha256:1234"}, quality={"Time": "9 s"}
    )
    facts = {fact.label: fact.value for fact in report.survey}
    assert facts["Points"] == "3150"
    assert facts["Lines"] == "16, 1 of them tie lines"
    assert facts["Line spacing"].startswith("200 m, lines run 90°")
    assert facts["Sampling along lines"] == "20 m"
    assert facts["Height of the sensor"].startswith("80 to 80 m")
    assert facts["Coordinates"] == "WGS 84 / UTM zone 54S (EPSG:32754)"
    assert facts["Date of the survey"] == "1990-07-01"
    assert facts["Licence"] == "CC-BY 4.0"
    assert report.choices == (Choice("Cell size", "50 m", "A quarter of 200 m"),)
    assert report.quality == (Fact("Misfit of the gridding", "0.82 nT"), Fact("Time", "9 s"))
    assert report.depths == (DepthSegment(0.002, 0.05, 150.0, 4.0),)
    assert Fact("Input: survey", "sha256:1234") in report.lineage
    assert json.loads(report.parameters) == {"spacing": 50.0}


def test_the_figures_of_each_grid_are_those_of_numpy_whatever_the_chunks(result):
    report = build_report(None, result.chunk(northing=17, easting=23), title="x")
    values = result.total_field_anomaly.values
    product = next(p for p in report.products if p.name == "Total field anomaly")
    assert (product.minimum, product.maximum) == (np.nanmin(values), np.nanmax(values))
    assert product.mean == pytest.approx(np.nanmean(values), rel=1e-12)
    assert product.missing == pytest.approx(35 / 4800)


def test_what_the_data_do_not_say_is_not_told(result):
    bare = xr.Dataset({"grid": result.total_field_anomaly.drop_attrs()})
    report = build_report(None, bare, title="x")
    assert (report.survey, report.choices, report.depths, report.lineage, report.history) == (
        (),
        (),
        (),
        (),
        (),
    )
    assert Reader(render(report)).all("h2")


@pytest.mark.parametrize("broken", ["not JSON", "3", '{"a": 1}', '[1, "two", null]', None, 7])
def test_attributes_of_another_form_are_passed_over(result, broken):
    marked = result.assign_attrs(choices=broken, quality=broken, pipeline_parameters=broken)
    report = build_report(None, marked, title="x")
    assert (report.choices, report.quality) == ((), ())
    render(report)


def test_pictures_are_drawn_for_what_is_there_and_the_page_shows_them(tmp_path, survey, result):
    pictures = draw_pictures(result, tmp_path, title="Osborne", survey=survey)
    names = [p.file.stem for p in pictures]
    assert names == ["sheet", "total_field_anomaly", "tilt_angle", "lines", "spectrum"]
    report = build_report(survey, result, title="Osborne", pictures=pictures)
    assert report.spectrum is pictures[-1]
    path = write_page(tmp_path / "report.html", report)
    assert len(Reader(path.read_text(encoding="utf-8")).all("img")) == 5
    # A report goes by e-mail: pictures are packed smaller than their PNG.
    assert path.stat().st_size < sum(p.file.stat().st_size for p in pictures)


def test_main_products_come_first_and_what_only_serves_them_is_no_map(result):
    grid = result.tilt_angle
    more = result.assign(band_passed=grid, analytic_signal=grid, line_distance=grid)
    assert grid_names(more) == ["total_field_anomaly", "analytic_signal", "tilt_angle", "band_passed"]
