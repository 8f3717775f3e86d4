"""A Dask client for the length of one command: a local cluster by default."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import dask
from distributed import Client, LocalCluster

from quetzal.errors import QuetzalError
from quetzal.settings import Settings

# One thread a task: Dask's threads are the parallelism, and a BLAS pool under each of them would
# oversubscribe the cores.
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "NUMBA_NUM_THREADS": "1",
}
CONNECT_TIMEOUT = "10s"


@contextmanager
def dask_client(settings: Settings) -> Iterator[Client]:
    """Yield a client of the scheduler in *settings*, or of a local cluster that ends with the block.

    Raises
    ------
    QuetzalError
        If a scheduler is named and does not answer.
    """
    if settings.scheduler:
        try:
            client = Client(settings.scheduler, timeout=CONNECT_TIMEOUT, set_as_default=False)
        except (OSError, ValueError) as error:
            raise QuetzalError(
                f"No Dask scheduler answers at {settings.scheduler}.",
                "Start it with `dask scheduler`, or leave the option out to use a local cluster.",
                code="scheduler_unreachable",
            ) from error
        with client:
            yield client
        return
    with (
        _quiet(),
        # A task's error is raised again here, and said in words; the workers need not print it too.
        dask.config.set({"logging.distributed": "critical"}),
        LocalCluster(
            n_workers=settings.workers,
            threads_per_worker=settings.threads_per_worker(),
            memory_limit=settings.memory_limit,
            host="127.0.0.1",
            dashboard_address=f"127.0.0.1:{settings.dashboard_port}",
            silence_logs=logging.CRITICAL,
            env=ONE_THREAD,
        ) as cluster,
        Client(cluster, set_as_default=False) as client,
    ):
        yield client


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out what needs no attention.

    A taken dashboard port is replaced by a free one, whose address is shown. A graph may carry a survey's
    block means, some ten MB a million points: they travel once.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "(?s).*Port .* is already in use", UserWarning)
        warnings.filterwarnings("ignore", "(?s).*Sending large graph", UserWarning)
        yield
