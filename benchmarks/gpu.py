"""What a GPU makes of it, on one page: speed, exactness, quality, waits for the device and memory.

    python benchmarks/gpu.py --dataset-dir DIR --out benchmarks/results/gpu_HARDWARE_DATE.md

Takes at most six minutes (`--budget`); what there was no time for says so (`--parts` runs it alone), and a part that
fails costs no other one. Needs the files of ISBI 2012, uncompressed as the challenge gives them, and PyTorch, MONAI,
Ignite, TensorBoard, nibabel, scikit-image, tifffile and fire; Zarr and Dask for one part. Without a GPU it says so and
ends; `--device cpu --tiny` runs every part in little, to see that it works.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import io
import logging
import os
import shlex
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from _device import LATE, Device
from _gpu_exactness import against_the_cpu, agreement, resume, waits
from _gpu_files import from_file_to_file
from _gpu_quality import quality
from _gpu_speed import compiled_steps, inference, steps, tiles
from _measure import publish, where_it_ran

from monai_unet.errors import cause_under_monai, in_one_line

PARTS: dict[str, tuple[str, Callable[[Device], Iterator[str]]]] = {
    "waits": ("Waits for the device", waits),
    "agreement": ("Agreement of tiles", agreement),
    "cpu": ("Beside the CPU", against_the_cpu),
    "inference": ("Inference, the network alone, images a second", inference),
    "steps": ("Training", steps),
    "tiles": ("Overlap tiles", tiles),
    "files": ("From a tiled TIFF to OME-Zarr", from_file_to_file),
    "resume": ("Exact resume", resume),
    "quality": ("A short training", quality),
    "compile": ("Training under torch.compile", compiled_steps),  # the last, as nobody knows how long it takes
}


def main() -> None:
    """Measure part by part, write the page after each."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset-dir", type=Path, required=True, help="the ISBI 2012 files")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--features", type=int, nargs="+", default=[64, 128, 256, 512, 1024])
    parser.add_argument("--parts", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--budget", type=float, default=360.0, help="seconds after which nothing goes on")
    parser.add_argument("--seconds-each", type=float, default=1.0, help="that a timing goes on")
    parser.add_argument("--training-seconds", type=float, default=30.0, help="of each of the two short trainings")
    parser.add_argument("--tiny", action="store_true", help="every part in little")
    args = parser.parse_args()
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        print("benchmarks/gpu.py needs a GPU, and PyTorch sees none here: nothing is measured and nothing written")
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS has no deterministic algorithms
    logging.disable(logging.WARNING)
    device = Device(args)
    lines = [
        "# A GPU",
        "",
        f"- Command: `python {shlex.join(sys.argv)}`",
        f"- Date: {datetime.date.today()}",
        f"- Device: {device}",
        f"- Machine: {where_it_ran('torch', 'monai', 'pytorch-ignite')}",
        f"- Network: features {list(device.features)}; ISBI 2012; bfloat16 in training where the device has it",
        "- Speeds are medians of five rounds, of three where a run takes long (lowest to highest)",
        "- Memory is the most that PyTorch's tensors took at one time",
    ]
    for name in args.parts:
        lines += measured(*PARTS[name], device)
        if args.out is not None:
            args.out.write_text("\n".join(lines) + "\n")
    publish(lines, args.out)


def measured(title: str, part: Callable[[Device], Iterator[str]], device: Device) -> list[str]:
    """A part of the page; what it had measured before an error is kept."""
    lines = ["", f"## {title}", ""]
    if device.left <= 0:
        return [*lines, LATE]
    start = time.perf_counter()
    device.begin()
    signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, device.left)
    try:
        # the bundle prints and draws bars
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            for line in part(device):
                lines.append(line)
    except Exception as error:
        if device.left <= 0:
            lines += ["", f"the rest {LATE}"]
        else:
            traceback.print_exc()
            cause = cause_under_monai(error)
            lines += ["", f"failed: {type(cause).__name__}: {in_one_line(cause)[:200]}"]
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    seconds = f"{time.perf_counter() - start:.0f} s"
    print(f"{title}: {seconds}", file=sys.stderr)
    return [*lines, "", f"({seconds})"]


def _stop(*_: object) -> None:
    raise TimeoutError("the time of the whole was up")


if __name__ == "__main__":
    main()
