"""Restored EM sections beside NL-means, wavelets and BM3D: PSNR and SSIM on sections that chose nothing.

    python benchmarks/denoise.py --dataset-dir DIR [--work DIR] [--out PAGE]

Needs `bm3d` (pip install bm3d). Noise of a fixed seed is added to the 24 sections of ISBI 2012; the sections as they
are count as clean. What was measured is kept in --work, and the same command goes on there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import date
from pathlib import Path

import numpy as np
import tifffile
from _measure import publish, where_it_ran
from _noisy import NOISES, PEAK, RIVALS, SCORED, SIGMA, Noise, rival, score, train_and_predict

LEARNED = {"U-Net, pairs": "pairs", "U-Net, noise2void": "noise2void"}


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset-dir", type=Path, required=True, help="folder of train-volume.tif")
    parser.add_argument("--epochs", type=int, default=500, help="of a training, four steps of four tiles each")
    parser.add_argument("--noise", nargs="+", choices=[noise.name for noise in NOISES], help="all when left out")
    parser.add_argument("--methods", nargs="+", help="parts of their names; all when left out")
    parser.add_argument("--work", type=Path, help="folder that keeps what was measured")
    parser.add_argument("--out", type=Path, help="page to write")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        clean = tifffile.imread(args.dataset_dir / "train-volume.tif")
        found = {}
        for noise in NOISES:
            if args.noise and noise.name not in args.noise:
                continue
            for method in ("noisy", *RIVALS, *LEARNED):
                if args.methods is None or any(part in method for part in args.methods):
                    found[noise.name, method] = _kept(work, noise, method, clean, args.epochs)
        publish(_page(found, args.epochs), args.out)


def _kept(work: Path, noise: Noise, method: str, clean: np.ndarray, epochs: int) -> dict:
    file = work / noise.name / f"{method}.json"
    if not file.is_file():
        noisy = noise.add(clean)
        if method == "noisy":
            found = {"scores": score(noisy[list(SCORED)], clean[list(SCORED)]), "setting": "", "seconds": 0.0}
        elif method in RIVALS:
            found = rival(method, noise, noisy, clean)
        else:
            found = train_and_predict(noise, LEARNED[method], noisy, clean, work, epochs)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found))
        print(
            noise.name, method, np.mean(found["scores"], axis=0), found["setting"], round(found["seconds"]), flush=True
        )
    return json.loads(file.read_text())


def _page(found: dict[tuple[str, str], dict], epochs: int) -> list[str]:
    lines = [
        "# Noisy EM sections, restored",
        "",
        f"- Date: {date.today()}",
        f"- Machine: {where_it_ran('torch', 'monai', 'numpy', 'scikit-image', 'bm3d')}",
        f"- Command: `python benchmarks/denoise.py --dataset-dir DIR --epochs {epochs}`",
        f"- Data: ISBI 2012, 24 sections of 512 x 512, which count as clean, with noise of a fixed seed, not clipped: "
        f"Gaussian of sigma {SIGMA:g}, or Poisson where grey value 255 counts {PEAK:g}",
        "- U-Net: the bundle `denoise`, trained on sections 0 to 14, weights chosen by sections 15 to 17 (with "
        "noise2void by their hidden pixels, without clean images); one seed; one thread",
        "- The others: given the true sigma; for Poisson noise between Anscombe's transform and its exact unbiased "
        "inverse. NL-means with 5 x 5 patches within 11 pixels, wavelets with BayesShrink and 4 x 4 shifts, the "
        "setting named chosen by PSNR on clean sections 15 to 17; BM3D with its normal profile",
        "- Scored: sections 18 to 23, which chose nothing; data range 255; mean and, in brackets, lowest to highest",
    ]
    for noise in dict.fromkeys(name for name, _ in found):
        lines += ["", f"## {noise.capitalize()} noise", "", "| method | setting | PSNR, dB | SSIM | CPU seconds |"]
        lines.append("|---|---|--:|--:|--:|")
        for (name, method), each in found.items():
            if name == noise:
                psnr, ssim = np.array(each["scores"]).T
                lines.append(
                    f"| {method} | {each['setting']} | {psnr.mean():.2f} ({psnr.min():.2f} to {psnr.max():.2f}) | "
                    f"{ssim.mean():.3f} ({ssim.min():.3f} to {ssim.max():.3f}) | {each['seconds']:.0f} |"
                )
    return lines


if __name__ == "__main__":
    main()
