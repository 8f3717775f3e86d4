"""An imported survey holds what its file held, in line order, in place, or there is none."""

import errno
import gzip
import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pyproj
import pytest
import zarr

from pipelines.conventions import crs_of
from pipelines.errors import FormatError, ParameterError
from quetzal.catalogue import survey_store
from quetzal.catalogue.manifest import read_manifest, verify
from quetzal.catalogue.sealed import PARTIAL_PREFIX
from quetzal.catalogue.spool import Spool
from quetzal.catalogue.surveys import import_survey, open_survey
from quetzal.errors import ConflictError, InputError, NotFoundError, StorageError

UTM = "EPSG:32754"


def interleaved_lines() -> pd.DataFrame:
    """Three lines eastward and two ties, their rows taken in turns."""
    along = np.arange(0.0, 3000.0, 10.0)
    parts = [
        pd.DataFrame({"line": f"L{i}", "easting": 5e5 + along, "northing": 7.5e6 + 400 * i}) for i in range(3)
    ]
    parts += [
        pd.DataFrame({"line": f"T{i}", "easting": 5e5 + 1000 * i, "northing": 7.5e6 + along[:90]})
        for i in range(2)
    ]
    table = pd.concat(parts, ignore_index=True)
    table["turn"] = table.groupby("line").cumcount()
    table = table.sort_values("turn", kind="stable").drop(columns="turn")
    table["tmi"] = 53_000.0 + np.random.default_rng(1).normal(0, 50, len(table))
    return table.reset_index(drop=True)


@pytest.fixture
def table():
    return interleaved_lines()


@pytest.fixture
def csv(tmp_path, table):
    path = tmp_path / "area 51.csv"
    table.to_csv(path, index=False)
    return path


def nothing_left(root: Path) -> bool:
    return not root.exists() or list(root.iterdir()) == []


def test_points_come_grouped_by_line_in_order_and_exact(tmp_path, csv, table, monkeypatch):
    monkeypatch.setattr(survey_store, "CHUNK", 128)
    report = import_survey(csv, tmp_path / "surveys", crs=UTM)
    survey = open_survey(tmp_path / "surveys" / "area-51")
    order = (
        table["line"].map({name: i for i, name in enumerate(table["line"].unique())}).argsort(kind="stable")
    )
    expected = table.iloc[order]
    for name, column in (("easting", "easting"), ("northing", "northing"), ("total_field", "tmi")):
        np.testing.assert_array_equal(survey[name].values, expected[column].to_numpy())
    lines = survey["line_name"].values[survey["line_index"].values]
    assert lines.tolist() == expected["line"].tolist()
    for i, (start, size) in enumerate(
        zip(survey["line_start"].values, survey["line_size"].values, strict=True)
    ):
        assert (survey["line_index"].values[start : start + size] == i).all()
    assert int(survey["line_size"].sum()) == survey.sizes["point"] == report.rows_kept == len(table)
    assert zarr.open_array(tmp_path / "surveys" / "area-51" / "data.zarr" / "easting").chunks == (128,)
    assert crs_of(survey) == pyproj.CRS(UTM)


def test_lines_across_the_others_are_ties_unless_the_user_says_which_are(tmp_path, csv):
    report = import_survey(csv, tmp_path / "s", name="guessed", crs=UTM)
    survey = open_survey(tmp_path / "s" / "guessed")
    assert dict(zip(survey["line_name"].values, survey["line_type"].values, strict=True)) == {
        "L0": "line", "L1": "line", "L2": "line", "T0": "tie", "T1": "tie",
    }  # fmt: skip
    assert any("taken for ties" in note for note in report.notes)
    assert (report.lines, report.ties) == (3, 2)
    assert report.line_spacing == pytest.approx(400.0)
    assert report.sampling == pytest.approx(10.0)
    given = import_survey(csv, tmp_path / "s", name="given", crs=UTM, tie_lines=["L1"])
    assert given.ties == 1
    with pytest.raises(ParameterError, match="is no line"):
        import_survey(csv, tmp_path / "s", name="wrong", crs=UTM, tie_lines=["L9"])


def test_geographic_positions_are_projected_to_the_zone_of_their_median(tmp_path):
    longitude, latitude = np.linspace(140.9, 141.2, 200), np.full(200, -22.0)
    path = tmp_path / "geographic.csv"
    pd.DataFrame({"lon": longitude, "lat": latitude, "tmi": 53000.0}).to_csv(path, index=False)
    report = import_survey(path, tmp_path / "s")
    assert report.crs == "WGS 84 / UTM zone 54S"
    assert any("EPSG:32754" in note for note in report.notes)
    survey = open_survey(tmp_path / "s" / "geographic")
    # Snyder (1987), USGS PP 1395, eq. 8-9 along a parallel is what PROJ does; going back is independent
    # of going there but for PROJ's series, good to a nanometre: 1e-12 degrees are 1e-7 m.
    back = pyproj.Transformer.from_crs(UTM, "EPSG:4326", always_xy=True)
    found = back.transform(survey["easting"].values, survey["northing"].values)
    np.testing.assert_allclose(found, (longitude, latitude), atol=1e-11, rtol=0)


def test_equal_files_make_surveys_of_equal_id(tmp_path, csv):
    for name in ("a", "b"):
        import_survey(csv, tmp_path / "s", name=name, title="the same", crs=UTM)
    ids = {read_manifest(tmp_path / "s" / name)["id"] for name in ("a", "b")}
    assert len(ids) == 1
    assert open_survey(tmp_path / "s" / "a").attrs["survey_id"] in ids


def test_nulls_stay_nulls_and_chunks_of_nothing_but_nulls_are_written(tmp_path, table, monkeypatch):
    monkeypatch.setattr(survey_store, "CHUNK", 100)
    table["diurnal"] = "*"
    table.loc[::7, "tmi"] = -9999.99
    path = tmp_path / "nulls.csv"
    table.sort_values("line", kind="stable").to_csv(path, index=False)
    report = import_survey(path, tmp_path / "s", crs=UTM)
    survey = open_survey(tmp_path / "s" / "nulls")
    assert (
        int(survey["total_field"].isnull().sum()) == report.nulls["total_field: -9999.99"] == len(table[::7])
    )
    assert bool(survey["diurnal"].isnull().all())
    array = zarr.open_array(tmp_path / "s" / "nulls" / "data.zarr" / "diurnal", mode="r")
    assert array.nchunks_initialized == array.nchunks
    assert any("nothing but nulls" in str(s) for s in report.suspicious)


def test_times_come_back_as_they_were_and_date_the_survey(tmp_path, table):
    table["datetime"] = pd.date_range("2021-01-20T17:00:00.123", periods=len(table), freq="100ms")
    path = tmp_path / "timed.csv"
    table.assign(datetime=table["datetime"].dt.strftime("%Y-%m-%dT%H:%M:%S.%f")).to_csv(path, index=False)
    report = import_survey(path, tmp_path / "s", crs=UTM)
    survey = open_survey(tmp_path / "s" / "timed")
    assert set(survey["time"].values) == set(table["datetime"].to_numpy("datetime64[ns]"))
    assert report.survey_date == survey.attrs["survey_date"] == "2021-01-20"


def test_the_report_shows_what_happened_as_text_and_as_json(tmp_path, csv):
    lines = csv.read_text().splitlines()
    lines[5] = "L0,oops,7500000,53000"
    csv.write_text("\n".join(lines) + "\n")
    report = import_survey(csv, tmp_path / "s", crs=UTM, survey_date="1990-06-15")
    text = "\n".join(report.render())
    for words in ("1,079 points of 1,080 rows", "line 6, field 'easting': not a number: oops", "UTM zone 54S",
                  "total_field = 'tmi' (guessed", "spacing 400.0 m"):  # fmt: skip
        assert words in text
    manifest = read_manifest(tmp_path / "s" / "area-51")
    assert manifest["report"]["refusals"]["by_reason"] == {"not a number": 1}
    assert manifest["survey_date"] == "1990-06-15"
    assert manifest["source"]["file"] == "area 51.csv"
    assert manifest["arrays"]["easting"]["shape"] == [1079]
    assert verify(tmp_path / "s" / "area-51").ok


def test_suspicious_data_are_imported_and_told(tmp_path, table):
    table["altitude"] = 300.0
    table.loc[50, "tmi"] += 5000.0
    table = pd.concat([table, table.iloc[[10]]])
    path = tmp_path / "odd.csv"
    table.to_csv(path, index=False)
    told = [str(suspicion) for suspicion in import_survey(path, tmp_path / "s", crs=UTM).suspicious]
    # Each of the 2 ties has a point where it crosses each of the 3 lines; with the repeated row that is 7.
    assert any("position: 7 points lie exactly where another one lies" in line for line in told)
    assert any("upward: is 300 everywhere" in line for line in told)
    assert any(line.startswith("total_field:") and "fourth difference" in line for line in told)


@pytest.mark.parametrize(
    ("refused", "rows", "options", "fails"),
    [
        (1, 20, {}, False),
        (2, 20, {}, True),
        (2, 20, {"max_refused": 0.5}, False),
        (1, 20, {"max_refused": 0.0}, True),
        (2, 400, {}, False),
        (20, 20, {"max_refused": 1.0}, True),
    ],
)
def test_too_many_refused_rows_refuse_the_file_with_the_first_of_them(
    tmp_path, refused, rows, options, fails
):
    path = tmp_path / "bad.csv"
    good = [f"L1,{500000 + 10 * i},7500000,53000" for i in range(rows - refused)]
    path.write_text("\n".join(["line,easting,northing,tmi", *good, *["L1,x,7500000,1"] * refused]) + "\n")
    columns = {"easting": "easting"}
    if not fails:
        report = import_survey(path, tmp_path / "s", crs=UTM, columns=columns, **options)
        assert report.refusals.total == refused
        return
    with pytest.raises((FormatError, ParameterError), match=r"line \d+.*easting|degrees|holds words"):
        import_survey(path, tmp_path / "s", crs=UTM, columns=columns, **options)
    assert nothing_left(tmp_path / "s")


@pytest.mark.parametrize("text", ["", "line,easting,northing,tmi\n", "\x00\x01\x02" * 5000])
def test_nonsense_leaves_nothing_behind(tmp_path, text):
    path = tmp_path / "nonsense.csv"
    path.write_text(text)
    with pytest.raises(FormatError):
        import_survey(path, tmp_path / "s", crs=UTM)
    assert nothing_left(tmp_path / "s")


def test_a_file_cut_in_the_middle_of_a_row_is_imported_without_it_and_told(tmp_path, csv):
    whole = csv.read_bytes()
    csv.write_bytes(whole[: whole.rindex(b",") - 3])
    report = import_survey(csv, tmp_path / "s", crs=UTM)
    (refusal,) = report.refusals.examples
    assert (refusal.reason.value, refusal.line) == ("cut short at the end of the file", 1081)


@pytest.mark.fault
def test_a_packed_file_cut_in_the_middle_leaves_nothing(tmp_path, csv):
    packed = tmp_path / "cut.csv.gz"
    packed.write_bytes(gzip.compress(csv.read_bytes())[:-200])
    with pytest.raises(FormatError, match="ends in the middle"):
        import_survey(packed, tmp_path / "s", crs=UTM)
    assert nothing_left(tmp_path / "s")


def test_what_is_no_survey_is_not_opened(tmp_path, csv):
    with pytest.raises(NotFoundError, match="no dataset"):
        open_survey(tmp_path / "nothing")
    import_survey(csv, tmp_path / "s", crs=UTM)
    (tmp_path / "s" / "area-51" / "manifest.json").rename(tmp_path / "manifest.json")
    with pytest.raises(NotFoundError, match="not a finished dataset"):
        open_survey(tmp_path / "s" / "area-51")
    text = (tmp_path / "manifest.json").read_text().replace('"kind": "survey"', '"kind": "result"', 1)
    (tmp_path / "s" / "area-51" / "manifest.json").write_text(text)
    with pytest.raises(InputError, match="holds a result"):
        open_survey(tmp_path / "s" / "area-51")


def test_a_survey_is_never_overwritten(tmp_path, csv):
    import_survey(csv, tmp_path / "s", crs=UTM)
    with pytest.raises(ConflictError):
        import_survey(csv, tmp_path / "s", crs=UTM)


@pytest.mark.parametrize("name", ["../up", "", ".hidden", "a/b", "a b"])
def test_a_name_that_is_no_folder_name_is_refused(tmp_path, csv, name):
    with pytest.raises(ParameterError, match="name"):
        import_survey(csv, tmp_path / "s", name=name, crs=UTM)


@pytest.mark.fault
@pytest.mark.parametrize("after", [0, 3])
def test_a_disk_that_fills_while_reading_or_writing_is_said_and_leaves_nothing(
    tmp_path, csv, monkeypatch, after
):
    calls = []

    def fill(self, *args, **kwargs):
        calls.append(None)
        if len(calls) > after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(self, *args, **kwargs)

    target, name = (Spool, "append") if after == 0 else (zarr.storage.LocalStore, "set")
    original = getattr(target, name)
    if after == 0:
        monkeypatch.setattr(target, name, fill)
    else:

        async def fill_later(self, *args, **kwargs):
            calls.append(None)
            if len(calls) > after:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            return await original(self, *args, **kwargs)

        monkeypatch.setattr(target, name, fill_later)
    with pytest.raises(StorageError) as caught:
        import_survey(csv, tmp_path / "s", crs=UTM)
    assert caught.value.code == "storage_full"
    assert nothing_left(tmp_path / "s")


@pytest.mark.fault
def test_a_disk_that_is_really_full_is_said_and_leaves_nothing(tmp_path, csv):
    place = tmp_path / "small"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    mounted = (
        sys.platform == "linux" and subprocess.run(command, capture_output=True, check=False).returncode == 0
    )
    if not mounted:
        reason = "NO SMALL DISK: mounting a tmpfs needs root on Linux; the full disk was only simulated"
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    try:
        with pytest.raises(StorageError, match="is full"):
            import_survey(csv, place / "s", crs=UTM)
        assert nothing_left(place / "s")
    finally:
        subprocess.run(["umount", str(place)], check=True)


SLOW_IMPORT = """
import sys
from quetzal.catalogue.surveys import import_survey
def wait(stage, done, total):
    print(stage, flush=True)
    sys.stdin.readline()
import_survey(sys.argv[1], sys.argv[2], crs="EPSG:32754", progress=wait)
"""


@pytest.mark.fault
@pytest.mark.parametrize("steps", [1, 2], ids=["while reading", "while writing"])
def test_an_import_killed_in_the_middle_leaves_no_survey_and_the_next_one_succeeds(tmp_path, csv, steps):
    root = tmp_path / "s"
    command = [sys.executable, "-c", SLOW_IMPORT, str(csv), str(root)]
    where = Path(__file__).resolve().parents[2]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=where, text=True
    ) as running:
        for step in range(steps):
            assert running.stdout.readline().strip() == ("reading", "writing")[step]
            if step < steps - 1:
                running.stdin.write("\n")
                running.stdin.flush()
        running.send_signal(signal.SIGKILL)
    assert len(list(root.glob(PARTIAL_PREFIX + "*"))) == 1
    with pytest.raises(NotFoundError):
        open_survey(root / "area-51")
    import_survey(csv, root, crs=UTM)
    assert [p.name for p in root.iterdir()] == ["area-51"]
    assert verify(root / "area-51").ok


def test_the_real_osborne_survey_is_imported_whole(tmp_path, survey_data):
    source = survey_data / "osborne-magnetic" / "dev_osborne_only.csv.xz"
    report = import_survey(source, tmp_path, name="osborne", survey_date="1990-06-15")
    survey = open_survey(tmp_path / "osborne")
    raw = pd.read_csv(source)
    assert survey.sizes["point"] == report.rows_kept == len(raw) == 732_493
    assert float(survey["total_field_anomaly"].sum()) == raw["total_field_anomaly_nt"].sum()
    assert survey.sizes["line"] == raw["flight_line"].nunique()
    assert report.crs == "WGS 84 / UTM zone 54S"
    ties = survey.isel(line=survey["line_type"].values == "tie")
    # Ties run north to south in this survey: farther in northing than in easting.
    for start, size in zip(ties["line_start"].values, ties["line_size"].values, strict=True):
        ends = survey.isel(point=[start, start + size - 1])
        assert abs(np.diff(ends["northing"].values)[0]) > abs(np.diff(ends["easting"].values)[0])
