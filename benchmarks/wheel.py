"""What a user of the wheel sees: commands and what they printed, in clean environments, outside the repository.

    make wheel
    python benchmarks/wheel.py build/dist/*.whl --constraints constraints.txt --out benchmarks/results/wheel_DATE.md

Each environment is made by `venv` with the wheel and one extra in it, or none. A command that fails is shown with its
exit code, and the script ends with 1.
"""

from __future__ import annotations

import argparse
import datetime
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path

from _measure import publish, where_it_ran

LINES = 12  # of what a command printed, from its end
DATA = "monai-unet data synthetic --sections 4 --size 200 --test-sections 2"
IMAGE = "datasets/synthetic/data/test-volume.tif"
COMMANDS = {
    "": [
        "monai-unet --version",
        "monai-unet bundles",
        DATA,
        f"monai-unet predict {IMAGE} --bundle isbi_compact --out cells.ome.tif --output instances",
        f"monai-unet predict {IMAGE} --bundle isbi_compact --out cells.nii.gz --output label",
        f"monai-unet predict {IMAGE} --bundle isbi_compact --out cells.ome.zarr",
        f"monai-unet predict {IMAGE} --bundle isbi_compact --out two.ome.zarr --workers 2",
        "monai-unet predict nothing.tif --bundle isbi_kompakt --out cells.ome.tif",
        "monai-unet copy isbi",
        "monai-unet train isbi --features [4,8] --tile 36 --epochs 2 --dataset_dir datasets/synthetic/data",
        "python -m monai.bundle run training --config_file isbi/train.json --features [4,8] --tile 36 --epochs 3 "
        "--dataset_dir datasets/synthetic/data",
        "monai-unet evaluate isbi --features [4,8] --dataset_dir datasets/synthetic/data --output_dir evaluation",
        "monai-unet export --bundle isbi_compact --format torchscript --out model.ts",
        "monai-unet export --bundle isbi_compact --format onnx --out model.onnx",
    ],
    "large": [
        DATA,
        f"monai-unet predict {IMAGE} --bundle isbi_compact --out two.ome.zarr --workers 2",
    ],
    "export": [
        DATA,
        "monai-unet export --bundle isbi_compact --format onnx --out model.onnx",
        f"monai-unet predict {IMAGE} --bundle model.onnx --out cells.ome.tif",
    ],
}
REFUSED = ("nothing.tif", "--workers 2", "--format onnx")
"""What the base refuses, by what the commands have in them: it shows what is said then."""


def main() -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--constraints", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    size = args.wheel.stat().st_size / 1e6
    lines = [
        "# From the wheel, in clean environments",
        "",
        f"- Command: `python benchmarks/wheel.py {args.wheel} --constraints {args.constraints}`",
        f"- Date: {datetime.date.today()}",
        f"- Machine: {where_it_ran('torch', 'monai')}",
        f"- The wheel: {args.wheel.name}, {size:.1f} MB; each command in an empty folder, with what it printed, "
        f"progress bars and log lines left out, at most {LINES} lines from its end",
    ]
    failed = 0
    for extra, commands in COMMANDS.items():
        with tempfile.TemporaryDirectory(prefix="monai-unet-") as name:
            folder = Path(name)
            bin_folder = environment(folder / "venv", args.wheel.resolve(), extra, args.constraints.resolve())
            (folder / "work").mkdir()
            lines += ["", f"## {f'monai-unet[{extra}]' if extra else 'monai-unet'}", ""]
            for command in commands:
                code, seconds, text = run(command, bin_folder, folder / "work")
                refused = not extra and any(each in command for each in REFUSED)
                failed += (code != 0) != refused
                lines += [f"`{command}`: exit code {code}, {seconds:.0f} s", "", "```text", *text, "```", ""]
    publish(lines, args.out)
    return 1 if failed else 0


def environment(folder: Path, wheel: Path, extra: str, constraints: Path) -> Path:
    """An environment with the wheel and nothing else; the folder of its commands."""
    venv.create(folder, with_pip=True)
    install = [folder / "bin" / "pip", "install", "--quiet", "--disable-pip-version-check", "-c", constraints]
    subprocess.run([*install, f"{wheel}[{extra}]" if extra else wheel], check=True)
    return folder / "bin"


def run(command: str, bin_folder: Path, folder: Path) -> tuple[int, float, list[str]]:
    """Exit code, seconds, and what a command printed."""
    first, *others = command.split()
    environ = {**os.environ, "OMP_NUM_THREADS": "1"}
    start = time.monotonic()
    done = subprocess.run(
        [str(bin_folder / first), *others], cwd=folder, capture_output=True, text=True, env=environ, check=False
    )
    said = (done.stdout + done.stderr).replace(str(folder), "WORK").replace(str(bin_folder.parent), "VENV")
    wanted = [line.rstrip() for line in said.splitlines() if line.strip() and not re.search(_NOISE, line)]
    return done.returncode, time.monotonic() - start, wanted[-LINES:] if "bundles" not in command else wanted


_NOISE = r"\r|it/s|s/it|tile/s|s/tile| - INFO - |UserWarning|workflow = create_workflow|^\s*warnings?\.warn"


if __name__ == "__main__":
    sys.exit(main())
