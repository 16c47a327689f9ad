"""Compute the chunks of a store that are missing, a few ahead at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from monai_unet.io.zarr_store import PredictionStore
from monai_unet.prediction.chunk import Job, predict_chunk
from monai_unet.prediction.cluster import cluster, threads_of_a_process


class Pool(Protocol):
    """What computes chunks."""

    ahead: int
    """Chunks that are handed on before one is done, so that a million of them need no million futures."""

    def submit(self, job: Job, index: tuple[int, ...]) -> Any:
        """The future of a chunk."""

    def next_done(self, running: set[Any]) -> set[Any]:
        """The futures that are done, one at least; the error of one of them is raised."""


@contextmanager
def pool(workers: int, scheduler: str | None, device: str) -> Iterator[Pool]:
    """What computes chunks; processes and threads of this machine end with the block.

    Args:
        workers: processes on this machine; 1 computes in this one, without Dask.
        scheduler: address of a Dask scheduler, in place of `workers`.
        device: where the network computes.

    Raises:
        ValueError: for fewer workers than 1.
    """
    if workers < 1:
        raise ValueError(f"workers {workers}: 1 or more")
    if scheduler is not None or workers > 1:
        with cluster(workers, scheduler, device) as others:
            yield others
        return
    threads = threads_of_a_process(device, workers)
    executor = ThreadPoolExecutor(threads)
    try:
        yield _Threads(executor, 2 * threads)
    finally:
        executor.shutdown(cancel_futures=True)


class _Threads:
    """The threads of this process."""

    def __init__(self, executor: ThreadPoolExecutor, ahead: int) -> None:
        self._executor = executor
        self.ahead = ahead

    def submit(self, job: Job, index: tuple[int, ...]) -> Future[None]:
        return self._executor.submit(predict_chunk, job, index)

    def next_done(self, running: set[Future[None]]) -> set[Future[None]]:
        done = wait(running, return_when=FIRST_COMPLETED).done
        for future in done:
            future.result()
        return done


def compute(job: Job, store: PredictionStore, pool: Pool, progress: bool | Callable[[int, int], None]) -> None:
    """Every chunk that is missing; errors as those of `predict_chunk`, of the pool, and of `progress`.

    Args:
        job: that the chunks are of.
        store: that takes them.
        pool: that computes them.
        progress: see `monai_unet.prediction.out_of_core.predict`.
    """
    missing = store.missing_chunks()
    total = int(np.prod(store.grid))
    finished = total - len(missing)
    waiting = iter(missing)
    running = {pool.submit(job, index) for index in islice(waiting, pool.ahead)}
    with tqdm(total=total, initial=finished, unit="tile", desc="predicting", disable=progress is not True) as bar:
        while running:
            done = pool.next_done(running)
            bar.update(len(done))
            finished += len(done)
            if callable(progress):
                progress(finished, total)
            running = (running - done) | {pool.submit(job, index) for index in islice(waiting, len(done))}
