"""Progress of a running graph: finished work over all work, one stage a task family."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from distributed import Client
from distributed.diagnostics.progressbar import MultiProgressBar


@dataclass(frozen=True, slots=True)
class Stage:
    """Tasks of one name: how many there are and how many are done."""

    name: str
    total: int
    done: int


OnProgress = Callable[[list[Stage]], None]


class _Listener(MultiProgressBar):
    """Dask's own progress stream, handed on as values instead of drawn."""

    def __init__(self, futures: Iterable[Any], report: OnProgress, scheduler: str) -> None:
        super().__init__(list(futures), scheduler=scheduler, interval="200ms", complete=True)
        self._report = report

    def _draw_bar(
        self,
        remaining: Mapping[Any, int],
        all: Mapping[Any, int],
        status: str,
        **_: Any,
    ) -> None:
        self._report([Stage(str(name), total, total - remaining[name]) for name, total in all.items()])

    def _draw_stop(self, **_: Any) -> None:
        """Say nothing: whoever waits on the futures sees the outcome."""


def watch(client: Client, futures: Iterable[Any], report: OnProgress) -> None:
    """Call *report* with the stages of *futures* until they are all finished or failed."""
    address = client.scheduler_info(n_workers=0)["address"]
    client.sync(_Listener(futures, report, address).listen)
