"""Which survey the demo takes, and how soon it gives the internet up."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from quetzal import demo, samples
from quetzal.errors import InputError, NotFoundError
from quetzal.samples import Sample


class Silent:
    """A terminal that keeps what it was told."""

    def __init__(self):
        self.said = []

    def say(self, sentence):
        self.said.append(sentence)


@pytest.fixture
def choose(tmp_path, monkeypatch):
    """`demo.choose` without a simulation: a simulated survey is a file of that name."""
    monkeypatch.setattr(
        samples, "simulated", lambda folder, why: Sample(folder / "s.csv", "simulated", why, {})
    )

    def call(survey=None, crs=None, date=None, offline=False):
        terminal = Silent()
        sample = demo.choose(survey, crs, date, offline=offline, scratch=tmp_path, terminal=terminal)
        return sample, terminal.said

    return call


def test_the_users_own_file_comes_first(choose, tmp_path):
    file = tmp_path / "north.block.csv"
    file.write_text("x")
    sample, _ = choose(survey=file, crs="EPSG:32754", date="2020-01-01")
    assert (sample.file, sample.name) == (file, "north")
    assert sample.options == {"crs": "EPSG:32754", "survey_date": "2020-01-01"}


def test_the_real_survey_comes_next(choose, monkeypatch, tmp_path):
    monkeypatch.setattr(samples, "fetch_osborne", lambda say: (tmp_path / "osborne.csv.xz", ""))
    sample, _ = choose()
    assert sample.name == "osborne"
    assert sample.options["survey_date"] == "1990-07-01"


@pytest.mark.parametrize("offline", [True, False])
def test_a_simulated_survey_comes_last_and_the_reason_is_said(choose, monkeypatch, offline):
    monkeypatch.setattr(samples, "fetch_osborne", lambda say: (None, "nobody answered"))
    sample, said = choose(offline=offline)
    assert sample.name == "simulated"
    assert ("you asked not to use the internet" in said[-1]) == offline
    assert ("nobody answered" in said[-1]) != offline


def test_a_missing_file_and_facts_without_a_file_are_refused(choose, tmp_path):
    with pytest.raises(NotFoundError, match="no file"):
        choose(survey=tmp_path / "none.csv")
    with pytest.raises(InputError, match="Name its file too"):
        choose(date="2020-01-01")


def test_a_server_that_never_answers_is_given_up_after_the_stated_time(monkeypatch):
    """A firewall that drops packets: the connection stands, and nothing ever comes."""
    monkeypatch.setattr(samples, "PATIENCE", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        assert not samples._answers(f"http://127.0.0.1:{mute.getsockname()[1]}/survey.csv")


def test_a_name_look_up_that_hangs_is_given_up_too(monkeypatch):
    monkeypatch.setattr(samples, "PATIENCE", 0.2)
    release = threading.Event()

    def hang(*_, **__):
        release.wait()
        raise OSError("name or service not known")

    monkeypatch.setattr(samples.urllib.request, "urlopen", hang)
    try:
        assert not samples._answers("http://survey.invalid/")
    finally:
        release.set()


def test_a_refused_connection_is_no_answer():
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    assert not samples._answers(f"http://127.0.0.1:{port}/")


def test_a_server_that_answers_is_noticed():
    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self):
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request, daemon=True)
        thread.start()
        assert samples._answers(f"http://127.0.0.1:{server.server_port}/")
        thread.join()


def test_a_copy_fetched_before_is_used_without_the_network(monkeypatch, tmp_path):
    import pooch

    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path)
    monkeypatch.setattr(samples, "_answers", lambda url: pytest.fail("the network was asked"))
    copy = tmp_path / "osborne-magnetic.csv.xz"
    copy.write_bytes(b"flight lines")
    monkeypatch.setattr(samples, "OSBORNE_HASH", "md5:" + pooch.file_hash(str(copy), alg="md5"))
    assert samples.fetch_osborne(lambda _: None) == (copy, "")


def test_another_file_under_that_address_is_refused_and_said(monkeypatch, tmp_path):
    import pooch

    monkeypatch.setattr(pooch, "os_cache", lambda name: tmp_path)
    (tmp_path / "osborne-magnetic.csv.xz").write_bytes(b"something else")

    def retrieve(*_, **__):
        raise ValueError("hash mismatch")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    found, why = samples.fetch_osborne(lambda _: None)
    assert found is None
    assert "checksum differs" in why
