"""What `denoise.py` compares: noisy sections, the bundle trained on them, and three methods that need no training."""

from __future__ import annotations

import os
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from monai_unet.data.noisy import add_gaussian_noise, add_poisson_noise
from monai_unet.report import psnr_and_ssim

BUNDLE = Path(__file__).parents[1] / "bundles" / "denoise"
SIGMA, PEAK = 25.0, 30.0
CHOOSING, SCORED = range(15, 18), range(18, 24)


@dataclass(frozen=True)
class Noise:
    """Noise of one kind: how it is added, and how a method made for Gaussian noise is used on it.

    Attributes:
        name: as the knob `noise_model` has it.
        level: as the knob `noise_level` has it, grey values.
    """

    name: str
    level: float
    add: Callable[[np.ndarray], np.ndarray]
    denoise: Callable[[np.ndarray, Callable[[np.ndarray, float], np.ndarray]], np.ndarray]


def _with_anscombe(image: np.ndarray, method: Callable[[np.ndarray, float], np.ndarray]) -> np.ndarray:
    """A method for noise of deviation 1 on counts, and the closed form of the exact unbiased inverse.

    Source: Makitalo and Foi: A closed-form approximation of the exact unbiased inverse of the Anscombe variance-
    stabilizing transformation. IEEE Trans. Image Process. 2011.
    """
    stable = 2 * np.sqrt(np.maximum(image * (PEAK / 255), 0) + 3 / 8)
    # the methods are given grey values of the usual span, so that their constants mean what they mean elsewhere
    scale = 255 / (2 * np.sqrt(PEAK))
    d = np.maximum(method(stable * scale, scale) / scale, 2 * np.sqrt(3 / 8))
    root = np.sqrt(3 / 2)
    counts = d**2 / 4 + root / (4 * d) - 11 / (8 * d**2) + 5 * root / (8 * d**3) - 1 / 8
    return np.maximum(counts, 0) * (255 / PEAK)


NOISES = (
    Noise(
        "gaussian",
        SIGMA,
        lambda clean: add_gaussian_noise(clean, SIGMA, seed=1),
        lambda image, method: method(image, SIGMA),
    ),
    Noise("poisson", 255 / PEAK, lambda clean: add_poisson_noise(clean, PEAK, seed=1), _with_anscombe),
)


def _nl_means(image: np.ndarray, sigma: float, strength: float) -> np.ndarray:
    from skimage.restoration import denoise_nl_means

    return denoise_nl_means(
        image, patch_size=5, patch_distance=11, h=strength * sigma, sigma=sigma, fast_mode=True, preserve_range=True
    )


def _wavelet(image: np.ndarray, sigma: float, wavelet: str) -> np.ndarray:
    from skimage.restoration import cycle_spin, denoise_wavelet

    how = {"sigma": sigma / 255, "wavelet": wavelet, "method": "BayesShrink", "mode": "soft", "rescale_sigma": False}
    return 255 * cycle_spin(image / 255, max_shifts=3, func=denoise_wavelet, func_kw=how, workers=1)


def _bm3d(image: np.ndarray, sigma: float, profile: str) -> np.ndarray:
    from bm3d import bm3d

    return bm3d(image / 255, sigma / 255, profile=profile) * 255


RIVALS: dict[str, tuple[Callable[..., np.ndarray], str, tuple]] = {
    "NL-means": (_nl_means, "h / sigma", (0.4, 0.6, 0.8, 1.0)),
    "wavelet": (_wavelet, "wavelet", ("db1", "db2", "sym4")),
    "BM3D": (_bm3d, "profile", ("np",)),
}


def score(images: np.ndarray, clean: np.ndarray) -> list[tuple[float, float]]:
    """PSNR (dB, of 255) and SSIM of each section."""
    return [psnr_and_ssim(image, truth, 255.0) for image, truth in zip(images, clean, strict=True)]


def rival(name: str, noise: Noise, noisy: np.ndarray, clean: np.ndarray) -> dict:
    """Scores of a method on the scored sections; its setting is the best one on the sections that choose."""
    method, what, settings = RIVALS[name]

    def run(sections: range, setting: object) -> list[tuple[float, float]]:
        denoised = [noise.denoise(noisy[n].astype(float), lambda i, s: method(i, s, setting)) for n in sections]
        return score(np.stack(denoised), clean[list(sections)])

    chosen = settings[0]
    if len(settings) > 1:
        chosen = max(settings, key=lambda setting: np.mean(run(CHOOSING, setting), axis=0)[0])
    start = time.process_time()
    scores = run(SCORED, chosen)
    return {"scores": scores, "setting": f"{what} {chosen}", "seconds": time.process_time() - start}


@dataclass(frozen=True)
class Training:
    """What a network is trained on.

    Attributes:
        targets: as the knob of the bundle.
        sections: that train. Without clean targets the scored ones are among them, as the methods that need no training
            see these too.
        steps: of the optimiser.
    """

    targets: str
    sections: tuple[int, ...]
    steps: int


_NOISY = (15, 16, *SCORED)
TRAININGS = {
    "U-Net, pairs": Training("pairs", (15, 16), 600),
    "U-Net, recorrupted": Training("recorrupted", _NOISY, 400),
    "U-Net, noise2void": Training("noise2void", _NOISY, 800),
}
VALIDATING = 17


def train_and_predict(noise: Noise, training: Training, noisy: np.ndarray, clean: np.ndarray, folder: Path) -> dict:
    """Train the bundle in a new folder, predict the scored sections out of core, score them."""
    import torch
    from _bundle_step import bundle

    from monai_unet.prediction.out_of_core import predict

    torch.set_num_threads(1)
    shutil.rmtree(folder, ignore_errors=True)
    data, run = folder / "data", folder / "run"
    for part, stack in {"images": noisy, "targets": clean}.items():
        if part == "images" or training.targets == "pairs":
            (data / part).mkdir(parents=True)
            tifffile.imwrite(data / part / "sections.tif", stack, photometric="minisblack")
    seen = noisy[list(training.sections)]
    own = {"image_mean": round(float(seen.mean())), "image_std": round(float(seen.std()))}
    tiles = 4
    epochs = training.steps // -(-len(training.sections) // tiles)
    start = time.process_time()
    workflow = bundle(
        data,
        run,
        epochs,
        BUNDLE,
        device="cpu",
        targets=training.targets,
        training_sections=list(training.sections),
        validation=[VALIDATING],
        batch_size=tiles,
        val_interval=epochs // 10,
        **own,
        **({"noise_model": noise.name, "noise_level": noise.level} if training.targets == "recorrupted" else {}),
    )
    workflow.run()
    seconds = time.process_time() - start
    out = run / "restored.ome.tif"
    predict(
        data / "images" / "sections.tif",
        out,
        BUNDLE,
        {"ckpt_dir": str(run), "targets": training.targets, **own},
        roi=((SCORED.start, SCORED.stop), (0, noisy.shape[1]), (0, noisy.shape[2])),
        device="cpu",
        progress=False,
    )
    restored = tifffile.imread(out)
    steps = f"{training.steps} steps of {min(tiles, len(training.sections))} tiles"
    return {"scores": score(restored, clean[list(SCORED)]), "setting": steps, "seconds": seconds}


def train_the_default(folder: Path) -> dict:
    """The bundle as it is, on its synthetic pairs, by the command of its README: seconds, and PSNR before and after."""
    from monai_unet.data import noisy_dataset

    data = noisy_dataset(folder)
    config = BUNDLE / "configs" / "train.json"
    command = [sys.executable, "-m", "monai.bundle", "run", "training", "--config_file", str(config)]
    places = {"dataset_dir": data, "ckpt_dir": folder / "run", "output_dir": folder / "run"}
    command += [word for name, place in places.items() for word in (f"--{name}", str(place))]
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        command, check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    best = max(float(value) for value in re.findall(r"psnr: ([0-9.]+)", done.stdout + done.stderr))
    images, targets = (tifffile.imread(data / part / "sections.tif") for part in ("images", "targets"))
    return {
        "wall": wall,
        "seconds": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        "noisy": float(np.mean(score(images[-2:], targets[-2:]), axis=0)[0]),
        "best": best,
    }
