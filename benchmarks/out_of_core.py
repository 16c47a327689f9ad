"""Prediction from file to file: memory that does not grow with the image, and several workers.

    python benchmarks/out_of_core.py --out benchmarks/results/out_of_core_HARDWARE_DATE.md

Runs `monai-unet predict` as its own process on images of random squares, with a thin network of random weights, for
every kind of output. Peak memory is the resident memory of the process, as Linux counts it (VmHWM). The last rows use a
`dask scheduler` and two `dask worker` processes on the loopback, started and stopped here.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tifffile
import torch
from _measure import publish, where_it_ran

from monai_unet.networks import OriginalUNet

# of these random weights no pixel is above 0.5; this makes an object of every 600 pixels or so
PARTS = ("--threshold", "0.1", "--min_size", "30")
KINDS = {
    "probability, float32": ("out.ome.zarr",),
    "label": ("out.ome.zarr", "--output", "label"),
    "instances": ("out.ome.zarr", "--output", "instances", *PARTS),
    "instances and table": ("out.ome.zarr", "--output", "instances", *PARTS, "--objects", "objects.csv"),
    "instances, OME-TIFF": ("out.ome.tif", "--output", "instances", *PARTS),
    "probability, NIfTI": ("out.nii.gz",),
}
THIN, WIDER = (2, 4, 8, 16, 32), (16, 32, 64, 128, 256)
REPOSITORY = Path(__file__).parents[1]
# getrusage would do, but a process inherits the peak of the one that started it; VmHWM counts from its own start
PEAK = (
    "import re, sys; from monai_unet.cli import main; code = main(sys.argv[1:]); "
    "print('PEAK', re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1]); sys.exit(code)"
)


def make_bundle(folder: Path, features: Sequence[int]) -> Path:
    """The bundle of ISBI 2012 with random weights of the given widths."""
    shutil.copytree(REPOSITORY / "bundles" / "isbi" / "configs", folder / "configs")
    (folder / "models").mkdir()
    torch.manual_seed(0)
    torch.save(OriginalUNet(features=features, normalisation="weights").state_dict(), folder / "models" / "model.pt")
    return folder


def make_image(path: Path, size: int) -> Path:
    """A square TIFF of squares of 16 pixels, of random grey values, written a band at a time."""
    image = tifffile.memmap(path, shape=(size, size), dtype=np.uint8, photometric="minisblack", bigtiff=size > 30_000)
    rng = np.random.default_rng(size)
    for row in range(0, size, 16):
        image[row : row + 16] = np.repeat(rng.integers(0, 256, size // 16, np.uint8), 16)
    image.flush()
    return path


def predict(
    image: Path, bundle: Path, features: Sequence[int], name: str = "out.ome.zarr", *arguments: str
) -> tuple[float, float, int]:
    """Seconds, peak megabytes and rows of the table of one run."""
    out = image.with_name(name)
    line = [sys.executable, "-c", PEAK, "predict", str(image), "--bundle", str(bundle), "--out", str(out)]
    line += ["--features", str(list(features))]
    line += [str(image.with_name(each)) if each.endswith(".csv") else each for each in arguments]
    start = time.perf_counter()
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    shutil.rmtree(out) if out.is_dir() else out.unlink()
    table = image.with_name("objects.csv")
    rows = 0
    if table.exists():
        with table.open() as lines:
            rows = sum(1 for _ in lines) - 1
        table.unlink()
    peak = re.search(r"PEAK (\d+)", done.stdout)
    assert peak is not None, "the run prints its peak"
    return seconds, int(peak[1]) / 1000, rows


@contextmanager
def dask_cluster(workers: int) -> Iterator[str]:
    """A scheduler and workers as processes of their own, on the loopback; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    address = f"tcp://127.0.0.1:{port}"
    tool = str(Path(sys.executable).with_name("dask"))
    common = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": {**os.environ, "OMP_NUM_THREADS": "1"}}
    scheduler = [tool, "scheduler", "--host", "127.0.0.1", "--port", str(port), "--no-dashboard"]
    worker = [
        tool,
        "worker",
        address,
        "--host",
        "127.0.0.1",
        "--nthreads",
        "2",
        "--no-dashboard",
        "--memory-limit",
        "0",
    ]
    processes = [subprocess.Popen(scheduler, **common)]  # type: ignore[call-overload]
    try:
        processes += [subprocess.Popen(worker, **common) for _ in range(workers)]  # type: ignore[call-overload]
        yield address
    finally:
        for process in reversed(processes):
            process.terminate()
            process.wait(timeout=30)


def worker_rows(folder: Path, size: int, runs: int) -> list[str]:
    """A row of the table for each number of workers."""
    bundle, image = make_bundle(folder / "wider", WIDER), make_image(folder / "image.tif", size)
    seconds: dict[str, list[float]] = {}
    os.environ["OMP_NUM_THREADS"] = "1"  # a worker a core, so one thread of PyTorch each; one worker alone gets one too
    for workers in ("1", "2"):
        arguments = (image, bundle, WIDER, "out.ome.zarr", "--workers", workers)
        seconds[f"{workers} on this machine"] = sorted(predict(*arguments)[0] for _ in range(runs))
    with dask_cluster(2) as address:
        arguments = (image, bundle, WIDER, "out.ome.zarr", "--scheduler", address)
        seconds["2 of a separate `dask scheduler`"] = sorted(predict(*arguments)[0] for _ in range(runs))
    first = next(iter(seconds.values()))[runs // 2]
    return [
        f"| {name} | {of[runs // 2]:.1f} s ({of[0]:.1f} to {of[-1]:.1f}) | {first / of[runs // 2]:.2f} |"
        for name, of in seconds.items()
    ]


def main() -> None:
    """Measure, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[8192, 16384, 32768], help="multiples of 16")
    parser.add_argument("--scale-size", type=int, default=6144, help="of the image for several workers")
    parser.add_argument("--runs", type=int, default=3, help="of each number of workers; 0 for none")
    parser.add_argument("--memory", default="1GB")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="of output; all when left out")
    parser.add_argument("--folder", type=Path, help="for the images; a temporary one when left out")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    memory_rows: list[str] = []
    scale_rows: list[str] = []
    with tempfile.TemporaryDirectory(dir=args.folder) as temporary:
        folder = Path(temporary)
        bundle = make_bundle(folder / "thin", THIN)
        for size in args.sizes:
            image = make_image(folder / "image.tif", size)
            for kind in args.kinds:
                name, *arguments = KINDS[kind]
                _, peak, rows = predict(image, bundle, THIN, name, *arguments, "--memory", args.memory)
                what = f"{kind} of {rows} objects" if rows else kind
                memory_rows.append(f"| {size} x {size} | {what} | {peak:.0f} MB |")
                print(memory_rows[-1], flush=True)
            image.unlink()
        if args.runs:
            scale_rows = worker_rows(folder, args.scale_size, args.runs)
    lines = [
        "# Prediction out of core: memory and workers",
        "",
        f"- Command: `python {shlex.join(sys.argv)}`",
        f"- Date: {datetime.date.today()}",
        f"- Machine: {where_it_ran('torch', 'numpy', 'zarr', 'distributed')}",
        "",
        f"`--memory {args.memory}`, a network of {', '.join(map(str, THIN))} features, a plain TIFF of random",
        "squares of 16 pixels, one run each. Peak of the process's resident memory.",
        "",
        "| image | output | peak memory |",
        "|---|---|--:|",
        *memory_rows,
    ]
    if scale_rows:
        lines += [
            "",
            f"{args.scale_size} x {args.scale_size} pixels, {', '.join(map(str, WIDER))} features, 2 GB and one thread",
            f"of PyTorch a worker; {args.runs} runs, the whole command with its start.",
            "",
            "| workers | median (range) | speed-up |",
            "|---|--:|--:|",
            *scale_rows,
        ]
    publish(lines, args.out)


if __name__ == "__main__":
    main()
