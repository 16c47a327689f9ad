"""How far the exported networks are from the network, and what BioImage.IO's own commands do with the package.

    python benchmarks/exports.py --image ../shared/data/isbi2012/test-volume.tif \
        --out benchmarks/results/exports_HARDWARE_DATE.md

The reference of TorchScript and ONNX is the network, that of the BioImage.IO package the overlap-tile prediction; of
`bioimageio predict` it is `monai-unet predict`, file by file.
"""

from __future__ import annotations

import argparse
import datetime
import re
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import tifffile
from _measure import publish, where_it_ran

from monai_unet.export.bioimageio.check import WEIGHTS, test_package
from monai_unet.export.bioimageio.options import PackageOptions
from monai_unet.export.compare import table
from monai_unet.export.export import export

FILES = {"torchscript": "model.ts", "onnx": "model.onnx", "bioimageio": "model.zip", "for blocks": "blocks.zip"}
SIZES = ((3, 3), (30, 41), (101, 87), (225, 225), (512, 512), (513, 700), (1024, 1024))
BLOCKS = ("True", "10", "300")
PYTHON = (sys.executable, "-m")


def test_report(package: Path) -> list[str]:
    """What `bioimageio test` checks of a package, a line each, and the outcome."""
    summary = test_package(package)
    details = [f"{detail.status}: {re.sub(str(package.parent), '', detail.name)}" for detail in summary.details]
    return [f"status: {summary.status}", *details]


def of_size(sections: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A picture of a size, put together of neighbouring sections where it is larger than one."""
    across = [np.concatenate(list(sections[row : row + 2]), axis=1) for row in (0, 2)]
    return np.concatenate(across)[: size[0], : size[1]]


def core(folder: Path, name: str, *options: str) -> subprocess.CompletedProcess[str]:
    """`bioimageio predict` of an image of the folder."""
    words = ["bioimageio.core", "predict", "model.zip", f"--inputs={name}.tif", f"--outputs={name}_core.tif"]
    return subprocess.run([*PYTHON, *words, *options], cwd=folder, capture_output=True, text=True)


def predictions(folder: Path, bundle: Path, sections: np.ndarray) -> list[str]:
    """A row for each size: the largest difference of the probability of the last class, for each kind of weights."""
    rows = [f"| image | {' | '.join(WEIGHTS)} |", "|---|" + "--:|" * len(WEIGHTS)]
    for size in SIZES:
        name = "x".join(map(str, size))
        tifffile.imwrite(folder / f"{name}.tif", of_size(sections, size), photometric="minisblack")
        own = folder / f"{name}.ome.tif"
        words = ["monai_unet.cli", "predict", f"{name}.tif", "--bundle", str(bundle.resolve()), "--out", own.name]
        subprocess.run([*PYTHON, *words, "--precision", "float32"], cwd=folder, check=True, capture_output=True)
        expected = tifffile.imread(own).reshape(size)
        found = []
        for weights in WEIGHTS:
            run = core(folder, name, f"--weight-format={weights}", "--overwrite")
            if run.returncode:
                found.append(run.stderr.strip().splitlines()[-1])
                continue
            probability = tifffile.imread(folder / f"{name}_core.tif").reshape(2, *size)[1]
            found.append(f"{np.abs(probability - expected).max():.1e}")
        rows.append(f"| {' x '.join(map(str, size))} | {' | '.join(found)} |")
    return rows


def refusals(folder: Path) -> list[str]:
    """What `bioimageio predict --blockwise` says, for each size of blocks and kind of weights."""
    lines = []
    for blocks in BLOCKS:
        for weights in WEIGHTS:
            run = core(folder, "512x512", f"--weight-format={weights}", f"--blockwise={blocks}", "--overwrite")
            said = (run.stderr.strip().splitlines() or [""])[-1]
            lines.append(f"--blockwise={blocks} --weight-format={weights}: exit code {run.returncode}: {said}")
    return lines


def main() -> None:
    """Export, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("bundles/isbi_compact"))
    parser.add_argument("--image", type=Path, required=True, help="a stack of four sections or more")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    packages = ("torch", "onnx", "onnxscript", "onnxruntime", "bioimageio.core", "bioimageio.spec")
    lines = [
        "# Exports: differences to the network",
        "",
        f"- Command: `python {shlex.join(sys.argv)}`",
        f"- Date: {datetime.date.today()}",
        f"- Machine: {where_it_ran(*packages)}",
        f"- Network: {args.bundle.name}, its weights; real image: the middle of {args.image.name}; 1e-4 is allowed",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, file in FILES.items():
            start = time.perf_counter()
            options = PackageOptions(blocks=True) if kind == "for blocks" else None
            format_ = "bioimageio" if options else kind
            differences = export(args.bundle, format_, folder / file, args.image, package=options)
            seconds, size = time.perf_counter() - start, (folder / file).stat().st_size
            title = "bioimageio, for blocks (`--blocks`)" if options else kind
            lines += ["", f"## {title}", "", table(differences), ""]
            lines.append(f"{size / 1e6:.1f} MB; {seconds:.0f} s with the comparison.")
        lines += ["", "## `bioimageio predict` beside `monai-unet predict`", ""]
        lines += [
            "Largest difference of the probability of inside, in single precision, images of each size cut out of"
        ]
        lines += [
            "the first four sections side by side:",
            "",
            *predictions(folder, args.bundle, tifffile.imread(args.image)),
        ]
        lines += ["", "In blocks, 512 x 512 pixels:", "", "```text", *refusals(folder), "```"]
        for kind in ("bioimageio", "for blocks"):
            lines += ["", f"What `bioimageio test` says of the package ({FILES[kind]}):", "", "```text"]
            lines += [*test_report(folder / FILES[kind]), "```"]
    publish(lines, args.out)


if __name__ == "__main__":
    main()
