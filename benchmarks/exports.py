"""How far the exported networks are from the network, and what BioImage.IO's own test says of the package.

    python benchmarks/exports.py --bundle bundles/isbi --image ../shared/data/isbi2012/test-volume.tif \
        --weights runs/adam/model.pt --features "[16,32,64,128,256]" --normalisation none \
        --out benchmarks/results/exports_HARDWARE_DATE.md

The reference of TorchScript and ONNX is the network, that of the BioImage.IO package the overlap-tile prediction.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import re
import shlex
import sys
import tempfile
import time
from pathlib import Path

from _measure import publish, where_it_ran

from monai_unet.export.bioimageio.check import test_package
from monai_unet.export.compare import table
from monai_unet.export.export import export

FILES = {"torchscript": "model.ts", "onnx": "model.onnx", "bioimageio": "model.zip"}


def test_report(package: Path) -> list[str]:
    """What `bioimageio test` checks of a package, a line each, and the outcome."""
    summary = test_package(package)
    details = [f"{detail.status}: {re.sub(str(package.parent), '', detail.name)}" for detail in summary.details]
    return [f"status: {summary.status}", *details]


def main() -> None:
    """Export, print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bundle", type=Path, default=Path("bundles/isbi"))
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--features", type=ast.literal_eval, default=[64, 128, 256, 512, 1024])
    parser.add_argument("--normalisation", default="weights")
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    weights = str(args.weights.resolve())
    overrides = {"features": args.features, "normalisation": args.normalisation, "ckpt_path": weights}
    packages = ("torch", "onnx", "onnxscript", "onnxruntime", "bioimageio.core", "bioimageio.spec")
    lines = [
        "# Exports: differences to the network",
        "",
        f"- Command: `python {shlex.join(sys.argv)}`",
        f"- Date: {datetime.date.today()}",
        f"- Machine: {where_it_ran(*packages)}",
        f"- Network: features {args.features}, normalisation {args.normalisation}, trained; real image: the middle",
        f"  section of {args.image.name}. Allowed: 1e-4.",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for kind, name in FILES.items():
            start = time.perf_counter()
            differences = export(args.bundle, kind, Path(folder) / name, args.image, overrides)
            seconds, size = time.perf_counter() - start, (Path(folder) / name).stat().st_size
            lines += ["", f"## {kind}", "", table(differences), ""]
            lines.append(f"{size / 1e6:.1f} MB; {seconds:.0f} s with the comparison.")
        lines += ["", "What `bioimageio.core.test_model` says of the package:", "", "```text"]
        lines += [*test_report(Path(folder) / FILES["bioimageio"]), "```"]
    publish(lines, args.out)


if __name__ == "__main__":
    main()
