"""Restored EM sections beside NL-means, wavelets and BM3D: PSNR and SSIM on sections that chose nothing.

    python benchmarks/denoise.py --dataset-dir DIR [--work DIR] [--out PAGE]

Needs `bm3d` (pip install bm3d), and about an hour on one core. Noise of a fixed seed is added to the 24 sections of
ISBI 2012; the sections as they are count as clean. What was measured is kept in --work, and the same command goes on
there.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import tifffile
from _measure import publish, where_it_ran
from _noisy import (
    NOISES,
    PEAK,
    RIVALS,
    SCORED,
    SIGMA,
    TRAININGS,
    VALIDATING,
    Noise,
    rival,
    score,
    train_and_predict,
    train_the_default,
)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset-dir", type=Path, required=True, help="folder of train-volume.tif")
    parser.add_argument("--work", type=Path, help="folder that keeps what was measured")
    parser.add_argument("--out", type=Path, help="page to write")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = args.work or Path(temporary)
        clean = tifffile.imread(args.dataset_dir / "train-volume.tif")
        found = {
            (noise.name, method): _kept(work, f"{noise.name}, {method}", _task(noise, method, clean, work))
            for noise in NOISES
            for method in ("noisy", *RIVALS, *TRAININGS)
        }
        default = _kept(work, "synthetic", lambda: train_the_default(work / "synthetic"))
        publish(_page(found, default, clean), args.out)


def _task(noise: Noise, method: str, clean: np.ndarray, work: Path) -> Callable[[], dict]:
    def task() -> dict:
        noisy = noise.add(clean)
        if method == "noisy":
            return {"scores": score(noisy[list(SCORED)], clean[list(SCORED)]), "setting": "", "seconds": 0.0}
        if method in RIVALS:
            return rival(method, noise, noisy, clean)
        return train_and_predict(noise, TRAININGS[method], noisy, clean, work / f"{noise.name}, {method}")

    return task


def _kept(work: Path, name: str, task: Callable[[], dict]) -> dict:
    file = work / f"{name}.json"
    if not file.is_file():
        found = task()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(found))
        print(name, np.mean(found["scores"], axis=0) if "scores" in found else found, flush=True)
    return json.loads(file.read_text())


def _page(found: dict[tuple[str, str], dict], default: dict, clean: np.ndarray) -> list[str]:
    smooth, grainy = (_roughness(clean[part]) for part in (slice(15), slice(15, None)))
    lines = [
        "# Noisy EM sections, restored",
        "",
        f"- Date: {date.today()}",
        f"- Machine: {where_it_ran('torch', 'monai', 'numpy', 'scikit-image', 'bm3d')}; one thread each, beside other "
        "programs, so CPU seconds are said",
        "- Command: `python benchmarks/denoise.py --dataset-dir DIR`",
        f"- Data: ISBI 2012, 24 sections of 512 x 512, which count as clean, with noise of a fixed seed, not clipped: "
        f"Gaussian of sigma {SIGMA:g}, or Poisson where grey value 255 counts {PEAK:g}",
        f"- The stack changes at section 15: the mean square of the Laplacian is {smooth:.0f} in sections 0 to 14 and "
        f"{grainy:.0f} in 15 to 23, which have grain of their own that counts as clean, so pairs are taken from these",
        f"- U-Net, pairs: the bundle `denoise`, trained on sections 15 and 16, weights chosen by PSNR on section "
        f"{VALIDATING}. Recorrupted, noise2void: without any clean image, trained on the noisy sections 15, 16 and "
        f"18 to 23, the scored ones, weights chosen by section {VALIDATING} against its noisy values; recorrupted is "
        "given the kind of noise and its true level, as the others are, noise2void is not, and tells a pixel "
        "without its own value, which says most about the grain. One seed; the mean over eight rotations",
        "- The others: given the true sigma; for Poisson noise between Anscombe's transform and its exact unbiased "
        "inverse. NL-means with 5 x 5 patches within 11 pixels, wavelets with BayesShrink and 4 x 4 shifts, the "
        "setting named chosen by PSNR on clean sections 15 to 17; BM3D with its normal profile",
        "- Scored: sections 18 to 23, whose clean images trained and chose nothing; data range 255; mean and, in "
        "brackets, lowest to highest. Seconds: of a training, or of the scored sections",
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
        lines += ["", f"| PSNR above, dB | {' | '.join(RIVALS)} |", "|---|" + "--:|" * len(RIVALS)]
        for method in TRAININGS:
            above = [_psnr(found[noise, method]) - _psnr(found[noise, other]) for other in RIVALS]
            lines.append(f"| {method} | {' | '.join(f'{value:+.2f}' for value in above)} |")
    return [
        *lines,
        "",
        "## The bundle as it is",
        "",
        f"On its synthetic pairs (Gaussian noise of sigma 25), by the command of its README: {default['seconds']:.0f} "
        f"seconds of one core, {default['wall']:.0f} on the clock beside other programs; from "
        f"{default['noisy']:.2f} dB to {default['best']:.2f} dB on the two sections that validate.",
    ]


def _psnr(found: dict) -> float:
    return float(np.mean(found["scores"], axis=0)[0])


def _roughness(stack: np.ndarray) -> float:
    """Mean square of the Laplacian, grey values squared."""
    grey = stack.astype(float)
    middle = grey[:, 1:-1, 1:-1]
    around = grey[:, :-2, 1:-1] + grey[:, 2:, 1:-1] + grey[:, 1:-1, :-2] + grey[:, 1:-1, 2:]
    return float(np.square(around - 4 * middle).mean())


if __name__ == "__main__":
    main()
