"""Compute the chunks of a store on this machine's processes or on a running Dask scheduler."""

from __future__ import annotations

import importlib.util
import logging
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
from tqdm import tqdm

from monai_unet.io.zarr_store import PredictionStore
from monai_unet.prediction.chunk import Job, predict_chunk

if TYPE_CHECKING:
    from distributed import Client, Future

logger = logging.getLogger(__name__)

PATIENCE = 60.0  # seconds without a worker
_LOOK = 2.0  # seconds between two looks at the workers


def check_dask() -> None:
    """ImportError without Dask, which says how to get it."""
    if importlib.util.find_spec("distributed") is None:
        raise ImportError("out-of-core prediction needs Dask: pip install 'monai-unet[large]'")


@contextmanager
def cluster_client(workers: int, scheduler: str | None, device: str = "cpu") -> Iterator[Client]:
    """A running scheduler by its address, or a cluster of this machine that ends with the block."""
    from distributed import Client, LocalCluster

    if scheduler is not None:
        with Client(scheduler, timeout=10) as client:
            yield client
        return
    if workers < 1:
        raise ValueError(f"workers {workers}: 1 or more")
    with (
        tempfile.TemporaryDirectory() as scratch,
        LocalCluster(
            n_workers=workers,
            # one computes while the others read and write, of which a GPU can use more
            threads_per_worker=2 if device == "cpu" else max(2, min(8, (os.cpu_count() or 1) // workers)),
            processes=workers > 1,
            protocol="tcp://",  # else a single worker's status page would listen beyond the loopback
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",
            memory_limit=0,  # the tile is chosen to fit; Dask must not kill what it does not understand
            local_directory=scratch,
            silence_logs="CRITICAL",  # an error in a tile is raised here, and said once
            **({"preload": "monai_unet.prediction.worker_signals"} if workers > 1 else {}),
        ) as cluster,
        Client(cluster) as client,
    ):
        yield client


def compute(job: Job, store: PredictionStore, client: Client, progress: bool) -> None:
    """Every chunk that is missing, a few ahead at a time, so that a million tiles need no million futures.

    Raises:
        OSError: when there has been no worker for a minute, or workers died of one tile again and again.
    """
    from distributed import KilledWorker

    missing = store.missing_chunks()
    total = int(np.prod(store.grid))
    ahead = 4 * max(1, sum(client.nthreads().values()))
    waiting = iter(missing)

    def submit(indices: Iterable[tuple[int, ...]]) -> set[Future]:
        return {client.submit(predict_chunk, job, index, pure=False) for index in indices}

    running = submit(islice(waiting, ahead))
    with tqdm(total=total, initial=total - len(missing), unit="tile", desc="predicting", disable=not progress) as bar:
        while running:
            done = _next_done(running, client)
            try:
                client.gather(list(done))
            except KilledWorker as error:
                raise OSError(
                    f"{store.path}: a worker was killed at every try, most likely as memory ran out: give less "
                    "--memory, or fewer --workers; what was predicted is kept"
                ) from error
            bar.update(len(done))
            running = (running - done) | submit(islice(waiting, len(done)))


def _next_done(running: set[Future], client: Client) -> set[Future]:
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
