"""A real browser, off the internet: what a page asks of other hosts is left hanging and reported.

Chromium is taken from ``QUETZAL_CHROMIUM``, the PATH, or Playwright's own download. Where there is
none the tests skip, and say how to get one.
"""

import os
import shutil
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

VARIABLE = "QUETZAL_CHROMIUM"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--force-device-scale-factor=1",
)
HOW = (
    "NO BROWSER: install one (`playwright install chromium`, or `apt-get install chromium`), "
    f"or set {VARIABLE} to the program"
)


@dataclass
class Watched:
    """A page, with what it did that it should not have."""

    page: Any
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def find_browser() -> str | None:
    """Path of a Chromium, or None to let Playwright use its own."""
    given = os.environ.get(VARIABLE)
    return given or next((path for name in NAMES if (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A running Chromium."""
    sync = pytest.importorskip("playwright.sync_api", reason="NO PLAYWRIGHT: pip install playwright")
    path = find_browser()
    # Chromium refuses to start its sandbox as root, as in a container.
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync.sync_playwright() as playwright:
        if path is None and not Path(playwright.chromium.executable_path).exists():
            warnings.warn(HOW, stacklevel=1)
            pytest.skip(HOW)
        browser = playwright.chromium.launch(
            executable_path=path, headless=True, args=[*FLAGS, *(["--no-sandbox"] if as_root else [])]
        )
        yield browser
        browser.close()


@pytest.fixture
def context_options() -> dict[str, Any]:
    """Options of the browser's context; a test module may override them."""
    return {
        "viewport": {"width": 1280, "height": 800},
        "reduced_motion": "reduce",
        "locale": "en-GB",
        "timezone_id": "UTC",
    }


@pytest.fixture
def watched(chromium: Any, context_options: dict[str, Any]) -> Iterator[Watched]:
    """A fresh page; the test fails if it asks another host for anything, logs an error or throws."""
    context = chromium.new_context(**context_options)
    page = context.new_page()
    page.set_default_timeout(20_000)
    seen = Watched(page)
    # Not aborted but left without an answer, as behind a firewall that drops packets: a page that
    # waits for a font or a script from elsewhere then shows it.
    page.route(_leaves_this_machine, lambda route: seen.requests.append(route.request.url))
    page.on("console", lambda message: seen.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    yield seen
    context.close()
    assert not seen.requests, f"requests that leave this machine: {seen.requests}"
    assert not seen.errors, f"errors in the browser's console: {seen.errors}"


def _leaves_this_machine(url: str) -> bool:
    local = ("://127.0.0.1", "://localhost", "://[::1]")
    return url.startswith(("http", "ws")) and not any(host in url for host in local)
