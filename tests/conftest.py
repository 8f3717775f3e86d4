"""Fixtures that every test may ask for."""

import os
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DATA_VARIABLE = "QUETZAL_TEST_DATA"


@pytest.fixture(scope="session")
def survey_data() -> Path:
    """Folder of the real surveys and series, see ``QUETZAL_TEST_DATA``."""
    folder = Path(os.environ.get(DATA_VARIABLE, ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        reason = (
            f"REAL DATA MISSING: {folder} does not exist; set {DATA_VARIABLE} to the folder of test surveys"
        )
        warnings.warn(reason, stacklevel=1)
        pytest.skip(reason)
    return folder


@pytest.fixture
def own_registry(monkeypatch):
    """Let a test register pipelines that no other test sees; the built-in ones are there."""
    from pipelines import registry

    monkeypatch.setattr(registry, "_pipelines", registry.all_pipelines())
