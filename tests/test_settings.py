"""Options: flags over environment over file."""

import pytest
from pydantic import ValidationError

from quetzal.settings import Settings, available_cores


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        monkeypatch.delenv(f"QUETZAL_{name.upper()}", raising=False)
    return tmp_path


def test_flags_win_over_the_environment_and_the_environment_over_the_file(folder, monkeypatch):
    assert Settings().workers == 1
    (folder / "quetzal.toml").write_text("workers = 2\nmemory_limit = '2GiB'\n")
    assert Settings().workers == 2
    monkeypatch.setenv("QUETZAL_WORKERS", "3")
    assert Settings().workers == 3
    assert Settings(workers=4).workers == 4
    assert Settings().memory_limit == "2GiB"


def test_cores_are_shared_out_among_the_workers():
    assert Settings(workers=1).threads_per_worker() == available_cores()
    assert Settings(workers=1000).threads_per_worker() == 1
    assert Settings(workers=2, threads=5).threads_per_worker() == 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"workers": 0},
        {"threads": 0},
        {"dashboard_port": 70000},
        {"workers": "many"},
        {"memory_limit": "lots"},
        {"scheduler": "somewhere"},
    ],
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValidationError):
        Settings(**wrong)


def test_every_option_is_described():
    assert all(field.description for field in Settings.model_fields.values())


@pytest.mark.parametrize("limit", ["auto", "0.5", "4GiB", "500 MB", "0"])
def test_memory_is_given_in_dasks_words(limit):
    assert Settings(memory_limit=limit).memory_limit == limit


def test_a_misspelt_option_in_the_file_is_refused(folder):
    (folder / "quetzal.toml").write_text("worker = 3\n")
    with pytest.raises(ValidationError, match="worker"):
        Settings()
