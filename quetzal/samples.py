"""The survey that the demo flies over: the user's own, the real Osborne survey, or a simulated one."""

import threading
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

from pipelines.conventions import crs_of

# The curated excerpt of a survey flown in 1990 (Geological Survey of Queensland / MIM), levelled
# and free of the reference field. The file carries no date, and reduction to the pole needs the
# direction of the field in that year.
OSBORNE_URL = "https://github.com/fatiando-data/osborne-magnetic/releases/download/v1/osborne-magnetic.csv.xz"
OSBORNE_HASH = "md5:b26777bdde2f1ecb97dda655c8b1cf71"
OSBORNE_DATE = "1990-07-01"
OSBORNE_CRS = "EPSG:32754"
OSBORNE_COLUMNS = {
    "line": "flight_line",
    "longitude": "longitude",
    "latitude": "latitude",
    "upward": "height_orthometric_m",
    "total_field_anomaly": "total_field_anomaly_nt",
}
OSBORNE_CITATION = (
    "Geophysical Acquisition & Processing Section 2019, MIM Data from Mt Isa Inlier, QLD (P1029), "
    "Geoscience Australia, http://pid.geoscience.gov.au/dataset/ga/142419, CC-BY 4.0; "
    "curated excerpt doi:10.5281/zenodo.5882209"
)
PATIENCE = 3.0  # seconds without an answer before the internet is given up


@dataclass(frozen=True, slots=True)
class Sample:
    """A survey file with what its import needs to be told.

    Attributes
    ----------
    file : Path
        The file to import.
    name : str
        Name in the catalogue.
    why : str
        One sentence: which survey this is and why it was chosen.
    options : dict
        Keyword arguments for the import.
    """

    file: Path
    name: str
    why: str
    options: dict[str, object]


def osborne(file: Path, why: str) -> Sample:
    """Describe the real Osborne survey in *file*."""
    options: dict[str, object] = {
        "columns": OSBORNE_COLUMNS,
        "target_crs": OSBORNE_CRS,
        "survey_date": OSBORNE_DATE,
        "title": "Osborne, Queensland: aeromagnetic survey of 1990",
        "citation": OSBORNE_CITATION,
    }
    return Sample(file, "osborne", why, options)


def fetch_osborne(say: Callable[[str], None]) -> tuple[Path | None, str]:
    """Download the Osborne survey, giving up after `PATIENCE` seconds without an answer.

    A copy fetched before is used without asking the network.

    Returns
    -------
    tuple of Path or None and str
        The file, or None and why there is none.
    """
    import pooch

    folder = Path(pooch.os_cache("quetzal"))
    name = OSBORNE_URL.rpartition("/")[2]
    if not (folder / name).exists():
        if not _answers(OSBORNE_URL):
            return None, f"the internet did not answer in {PATIENCE:g} s"
        say(f"Fetching the Osborne survey (5 MB) from {OSBORNE_URL}")
    try:
        downloader = pooch.HTTPDownloader(timeout=PATIENCE)
        found = pooch.retrieve(OSBORNE_URL, OSBORNE_HASH, fname=name, path=folder, downloader=downloader)
    except OSError as error:
        return None, f"the download was cut off ({error})"
    except ValueError:  # pooch's word for a checksum that does not match
        return None, "what was downloaded is not the survey (its checksum differs)"
    return Path(found), ""


def simulated(folder: Path, why: str) -> Sample:
    """Simulate a survey and write it as a CSV file in *folder*."""
    from simulators.files import write_csv
    from simulators.scene import scene
    from simulators.survey import fly

    survey = fly(scene())
    file = folder / "simulated-survey.csv"
    write_csv(survey, file)
    crs = crs_of(survey)
    options: dict[str, object] = {"title": str(survey.attrs["title"])}
    if crs is not None:
        options["crs"] = crs.to_string()
    return Sample(file, "simulated", why, options)


def _answers(url: str) -> bool:
    """Whether *url* answers within `PATIENCE` seconds, name look-up included.

    A look-up behind a firewall that drops packets ignores every timeout of the socket, so the
    question is asked in a thread that is left behind.
    """
    answered, finished = threading.Event(), threading.Event()

    def ask() -> None:
        try:
            request = urllib.request.Request(url, method="HEAD")
            with urllib.request.urlopen(request, timeout=PATIENCE):
                answered.set()
        except (OSError, HTTPException, ValueError):
            pass
        finally:
            finished.set()

    threading.Thread(target=ask, daemon=True).start()
    finished.wait(PATIENCE)
    return answered.is_set()
