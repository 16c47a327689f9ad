"""Compute the chunks of a store in several processes of this machine or on a running Dask scheduler."""

from __future__ import annotations

import importlib.util
import logging
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from monai_unet.prediction.chunk import Job, predict_chunk

if TYPE_CHECKING:
    from distributed import Client

logger = logging.getLogger(__name__)

PATIENCE = 60.0  # seconds without a worker
_LOOK = 2.0  # seconds between two looks at the workers


def check_dask() -> None:
    """ImportError without Dask, which says how to get it."""
    if importlib.util.find_spec("distributed") is None:
        raise ImportError(
            "several processes and schedulers need Dask: pip install 'monai-unet[large]', or leave out --workers and "
            "--scheduler"
        )


@contextmanager
def cluster(workers: int, scheduler: str | None, device: str) -> Iterator[Workers]:
    """The workers of a running scheduler, by its address, or processes of this machine that end with the block."""
    from distributed import Client, LocalCluster

    if scheduler is not None:
        with Client(scheduler, timeout=10) as client:
            yield Workers(client)
        return
    with (
        tempfile.TemporaryDirectory() as scratch,
        LocalCluster(
            n_workers=workers,
            threads_per_worker=threads_of_a_process(device, workers),
            protocol="tcp://",
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,  # the tile is chosen to fit; Dask must not kill what it does not understand
            local_directory=scratch,
            silence_logs="CRITICAL",  # an error in a tile is raised here, and said once
            preload="monai_unet.prediction.worker_signals",
        ) as local,
        Client(local) as client,
    ):
        yield Workers(client)


def threads_of_a_process(device: str, workers: int) -> int:
    """One computes while the others read and write, of which a GPU can use more."""
    return 2 if device == "cpu" else max(2, min(8, (os.cpu_count() or 1) // workers))


class Workers:
    """The workers of a Dask scheduler, as `monai_unet.prediction.compute.Pool`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.ahead = 4 * max(1, sum(client.nthreads().values()))

    def submit(self, job: Job, index: tuple[int, ...]) -> Any:
        """The future of a chunk."""
        return self._client.submit(predict_chunk, job, index, pure=False)

    def next_done(self, running: set[Any]) -> set[Any]:
        """The futures that are done, one at least.

        Raises:
            OSError: when there has been no worker for a minute, or workers died of one tile again and again.
        """
        from distributed import KilledWorker

        done = _next_done(running, self._client)
        try:
            self._client.gather(list(done))
        except KilledWorker as error:
            raise OSError(
                "a worker was killed at every try, most likely as memory ran out: give less --memory, or fewer "
                "--workers; what was predicted is kept"
            ) from error
        return done


def _next_done(running: set[Any], client: Client) -> set[Any]:
    """The tiles that are done, one at least."""
    from distributed import wait

    alone_since: float | None = None
    address = client.scheduler_info(n_workers=0)["address"]
    while True:
        try:
            return wait(running, timeout=_LOOK, return_when="FIRST_COMPLETED").done
        except TimeoutError:  # a tile may take long; without a worker it takes for ever
            if client.nthreads():
                alone_since = None
            elif alone_since is None:
                alone_since = time.monotonic()
                logger.warning(f"waiting for a worker of {address}: there is none")
            elif time.monotonic() - alone_since > PATIENCE:
                raise OSError(
                    f"{address} has had no worker for {PATIENCE:g} s: start one, `dask worker "
                    "ADDRESS`, and the same command goes on; what was predicted is kept"
                ) from None
