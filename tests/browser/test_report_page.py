"""The report as a colleague sees it: in a browser, on a phone, at night, on paper."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from quetzal.report.charts import DepthSegment
from quetzal.report.page import Choice, Fact, Picture, Product, Report, write_page

pytestmark = pytest.mark.browser

HOSTILE = "<script>document.title = 'taken'</script><img src=x onerror=\"document.title='taken'\">"


@pytest.fixture
def report_url(tmp_path: Path) -> str:
    file = tmp_path / "map.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (300, 400, 3), dtype=np.uint8)).save(file)
    picture = Picture(file, "A map.", HOSTILE, HOSTILE)
    report = Report(
        title=f"Osborne {HOSTILE}",
        summary="A survey.",
        survey=(Fact("Points", "732 493"), Fact("Source", "a" * 300)),
        choices=(Choice("cell_size", "50", "a quarter of the line spacing"),),
        pictures=(picture,) * 4,
        spectrum=picture,
        depths=(DepthSegment(0.001, 0.01, 412.3, 9.0),),
        products=(Product("Tilt angle", "rad", -1.5, 0.0, 1.5, 0.125),),
        parameters='{"spacing": 50, "' + "long" * 100 + '": 1}',
        history=("2026-02-03 mag.process " + HOSTILE,),
        made=datetime(2026, 2, 3, tzinfo=UTC),
    )
    return write_page(tmp_path / "report.html", report).as_uri()


def test_every_picture_is_shown_and_hostile_text_does_not_run(watched, report_url):
    page = watched.page
    page.goto(report_url)
    assert page.get_by_role("heading", level=1).inner_text() == f"Osborne {HOSTILE}"
    sizes = page.eval_on_selector_all("img", "images => images.map(i => [i.complete, i.naturalWidth])")
    assert sizes == [[True, 400]] * 5
    assert page.title() == f"Osborne {HOSTILE}"


@pytest.mark.parametrize("width", [360, 820, 1280, 2200], ids=["phone", "tablet", "laptop", "wide"])
def test_nothing_sticks_out_sideways_on_any_screen(watched, report_url, width):
    page = watched.page
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(report_url)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_by_day_and_by_night(watched, report_url, scheme):
    page = watched.page
    page.emulate_media(color_scheme=scheme)
    page.goto(report_url)
    for selector in ("h1", "h2", "td", "tbody th", "thead th", "figcaption", ".summary", "pre", "footer p"):
        # WCAG 2.1, success criterion 1.4.3: 4.5 to 1 for text of ordinary size.
        assert _contrast(page, selector) >= 4.5, selector


def test_it_prints_in_dark_ink_on_white_paper(watched, report_url):
    page = watched.page
    page.emulate_media(media="print", color_scheme="dark")
    page.goto(report_url)
    assert _colour(page, "body", "backgroundColor") == (255, 255, 255)
    assert _contrast(page, "td") >= 7
    assert page.pdf(format="A4").startswith(b"%PDF")


def _colour(page, selector: str, name: str) -> tuple[int, ...]:
    text = page.eval_on_selector(selector, f"e => getComputedStyle(e).{name}")
    return tuple(int(float(part)) for part in text[text.index("(") + 1 : -1].split(",")[:3])


def _contrast(page, selector: str) -> float:
    """Contrast of an element's text to the page or the block it stands on (WCAG 2.1)."""
    ground = "pre" if selector == "pre" else "body"
    lights = sorted(
        _luminance(c) for c in (_colour(page, selector, "color"), _colour(page, ground, "backgroundColor"))
    )
    return (lights[1] + 0.05) / (lights[0] + 0.05)


def _luminance(colour: tuple[int, ...]) -> float:
    srgb = np.array(colour) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])
