"""A real browser, off the internet: what a page asks of other hosts is left hanging and reported.

The browser is the one that `quetzal.selftest` finds. Where there is none the tests skip, and say how
to get one.
"""

import os
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from quetzal.selftest import HOW_TO_GET_A_BROWSER, find_browser

FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--force-device-scale-factor=1",
)


@dataclass
class Watched:
    """A page, with what it did that it should not have."""

    page: Any
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A running Chromium."""
    sync = pytest.importorskip("playwright.sync_api", reason="NO PLAYWRIGHT: pip install playwright")
    path = find_browser()
    if path is None:
        warnings.warn(HOW_TO_GET_A_BROWSER, stacklevel=1)
        pytest.skip(HOW_TO_GET_A_BROWSER)
    # Chromium refuses to start its sandbox as root, as in a container.
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync.sync_playwright() as playwright:
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
