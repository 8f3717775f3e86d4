"""The one-page report: a self-contained HTML file to send to a colleague.

Pictures are embedded, nothing is fetched and no script runs (a content security policy says so to
the browser). Everything that comes from data is escaped.
"""

import base64
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from importlib.resources import files
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from pipelines.errors import FormatError
from pipelines.formats.exporting import written_aside
from quetzal.report.charts import DepthSegment

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
WEBP_QUALITY = 90
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True, slots=True)
class Fact:
    """One row of a table: a label and what it is, both as text."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class Choice:
    """A parameter that was chosen, and why."""

    parameter: str
    value: str
    reason: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG with the words that go with it.

    Attributes
    ----------
    file : Path
        The PNG; read when the page is written.
    title, caption : str
        Below the picture.
    alt : str
        What it shows, for a reader who does not see it.
    """

    file: Path
    title: str
    caption: str
    alt: str


@dataclass(frozen=True, slots=True)
class Product:
    """A grid of the result in figures; the missing share is 0 to 1."""

    name: str
    units: str
    minimum: float
    mean: float
    maximum: float
    missing: float


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the page says, as plain values; empty parts are left out of the page.

    Attributes
    ----------
    title, summary : str
        Heading and one or two sentences below it.
    survey : tuple of Fact
        What was measured, where, when, by whom, under which licence.
    choices : tuple of Choice
        What was chosen for the processing and why.
    pictures : tuple of Picture
        Maps; the first is shown over the whole width.
    spectrum : Picture, optional
        Radially averaged spectrum.
    depths : tuple of DepthSegment
        Depths read from it.
    products : tuple of Product
        The grids in figures.
    quality : tuple of Fact
        Misfits, cross-validation, gaps, timing.
    lineage : tuple of Fact
        Pipeline, version, inputs.
    parameters : str
        Parameters as JSON.
    history : tuple of str
        CF history, one entry each.
    files : tuple of Fact
        Name of a file and what it is.
    made : datetime
        When the report was made, UTC.
    """

    title: str
    summary: str = ""
    survey: tuple[Fact, ...] = ()
    choices: tuple[Choice, ...] = ()
    pictures: tuple[Picture, ...] = ()
    spectrum: Picture | None = None
    depths: tuple[DepthSegment, ...] = ()
    products: tuple[Product, ...] = ()
    quality: tuple[Fact, ...] = ()
    lineage: tuple[Fact, ...] = ()
    parameters: str = ""
    history: tuple[str, ...] = ()
    files: tuple[Fact, ...] = ()
    made: datetime = field(default_factory=lambda: datetime.now(UTC))


def write_page(path: Path | str, report: Report) -> Path:
    """Write *report* as one HTML file and return its path.

    Raises
    ------
    FormatError
        If a picture is missing or no PNG, or the page cannot be written.
    """
    final = Path(path)
    html = render(report)
    with written_aside(final) as aside:
        aside.write_text(html, encoding="utf-8")
    return final


def render(report: Report) -> str:
    """Return the page as HTML."""
    sections = [
        f'<div class="lead">{_figure(report.pictures[0])}</div>' if report.pictures else "",
        _section("survey", "The survey", _facts(report.survey, "Facts of the survey")),
        _section("choices", "What was done, and why", _choices(report.choices)),
        _section("maps", "Maps", _gallery(report.pictures[1:])),
        _section("depths", "Depth to the sources", _depths(report)),
        _section("products", "The grids in figures", _products(report.products)),
        _section("quality", "Quality", _facts(report.quality, "Figures of quality")),
        _section("lineage", "Lineage", _lineage(report)),
        _section("files", "Files", _facts(report.files, "Files that go with this report")),
    ]
    style = files("quetzal.report").joinpath("page.css").read_text(encoding="utf-8")
    summary = f'\n<p class="summary">{escape(report.summary)}</p>' if report.summary else ""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(report.title)}</title>",
            f"<style>\n{style}</style>",
            "</head>",
            "<body>",
            f"<header>\n<h1>{escape(report.title)}</h1>{summary}\n</header>",
            "<main>",
            *[section for section in sections if section],
            "</main>",
            f"<footer>\n<p>Made by Quetzal on {report.made:%Y-%m-%d at %H:%M} UTC.</p>\n</footer>",
            "</body>",
            "</html>\n",
        ]
    )


def _section(name: str, heading: str, body: str) -> str:
    if not body:
        return ""
    return f'<section id="{name}">\n<h2>{heading}</h2>\n{body}\n</section>'


def _table(caption: str, head: Iterable[str], rows: Iterable[Iterable[str]], kind: str = "") -> str:
    """Render a table whose first cell of a row is its heading; cells are HTML already."""
    titles = "".join(f'<th scope="col">{cell}</th>' for cell in head)
    body = []
    for first, *rest in rows:
        body.append(f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>')
    start = f"<thead><tr>{titles}</tr></thead>\n" if titles else ""
    lines = "\n".join(body)
    return (
        f'<div class="scroll"><table class="{kind}">\n<caption>{caption}</caption>\n'
        f"{start}<tbody>\n{lines}\n</tbody>\n</table></div>"
    )


def _facts(facts: tuple[Fact, ...], caption: str) -> str:
    rows = [(escape(fact.label), escape(fact.value)) for fact in facts]
    return _table(caption, (), rows, "facts") if rows else ""


def _choices(choices: tuple[Choice, ...]) -> str:
    rows = [(escape(c.parameter), escape(c.value), escape(c.reason)) for c in choices]
    return _table("Choices and their reasons", ("Choice", "Value", "Why"), rows, "choices") if rows else ""


def _gallery(pictures: tuple[Picture, ...]) -> str:
    figures = "\n".join(_figure(picture) for picture in pictures)
    return f'<div class="gallery">\n{figures}\n</div>' if figures else ""


def _figure(picture: Picture) -> str:
    kind, data, (width, height) = _embeddable(picture.file)
    source = f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"
    caption = f"<strong>{escape(picture.title)}</strong> {escape(picture.caption)}"
    return (
        f'<figure><img src="{source}" width="{width}" height="{height}" alt="{escape(picture.alt)}">'
        f"<figcaption>{caption}</figcaption></figure>"
    )


def _embeddable(file: Path) -> tuple[str, bytes, tuple[int, int]]:
    """Return kind, bytes and size: a shaded map as WebP is an eighth of its PNG, and fits an e-mail."""
    try:
        data = file.read_bytes()
        if not data.startswith(PNG_SIGNATURE):
            raise FormatError(file, "is not a PNG picture")
        with Image.open(io.BytesIO(data)) as image:
            packed = io.BytesIO()
            image.convert("RGB").save(packed, format="WEBP", quality=WEBP_QUALITY, method=4)
            size = image.size
    except UnidentifiedImageError as error:
        raise FormatError(file, "is a damaged PNG picture; draw it again") from error
    except OSError as error:
        problem = error.strerror or str(error)
        raise FormatError(file, f"the picture cannot be read ({problem}); draw it first") from error
    if packed.tell() < len(data):
        return "webp", packed.getvalue(), size
    return "png", data, size


def _depths(report: Report) -> str:
    picture = _figure(report.spectrum) if report.spectrum else ""
    rows = []
    for segment in report.depths:
        error = f" ± {segment.uncertainty:.0f}" if segment.uncertainty is not None else ""
        band = f"{1000 * segment.start:.3g} to {1000 * segment.stop:.3g}"
        rows.append((band, f"{segment.depth:.0f}{error}"))
    caption = (
        "Depths below the observation surface, from half the slope of ln power (Spector and Grant, 1970)"
    )
    table = _table(caption, ("Wavenumber (rad/km)", "Depth (m)"), rows, "numbers") if rows else ""
    return f'<div class="spectrum">{picture}{table}</div>' if picture or table else ""


def _products(products: tuple[Product, ...]) -> str:
    rows = [
        (
            escape(p.name),
            escape(p.units),
            *(_number(v) for v in (p.minimum, p.mean, p.maximum)),
            f"{100 * p.missing:.1f} %",
        )
        for p in products
    ]
    head = ("Grid", "Units", "Minimum", "Mean", "Maximum", "No data")
    return _table("Range of each grid over the whole area", head, rows, "numbers") if rows else ""


def _lineage(report: Report) -> str:
    parts = [_facts(report.lineage, "Where the result comes from")]
    if report.parameters:
        parts.append(f'<h3>Parameters</h3>\n<pre tabindex="0">{escape(report.parameters)}</pre>')
    if report.history:
        entries = "\n".join(f"<li>{escape(entry)}</li>" for entry in report.history)
        parts.append(f'<h3>History</h3>\n<ol class="history">\n{entries}\n</ol>')
    return "\n".join(part for part in parts if part)


def _number(value: float) -> str:
    return f"{value:.4g}".replace("-", "\N{MINUS SIGN}")


def facts_of(values: Mapping[str, object]) -> tuple[Fact, ...]:
    """Turn a mapping into facts; None is left out."""
    return tuple(Fact(label, str(value)) for label, value in values.items() if value not in (None, ""))
