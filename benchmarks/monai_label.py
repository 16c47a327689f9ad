"""MONAI Label's server with a bundle, asked over HTTP: what it answered, and how long that took.

    .venv-label/bin/python benchmarks/monai_label.py --out benchmarks/results/monai_label_HARDWARE_DATE.md

Synthetic sections; the network is untrained at first, as times do not depend on the weights. The command starts the
server as a user does, asks one thing after the other, and stops it.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import nibabel
import numpy as np
import requests
import tifffile
from _measure import publish, where_it_ran

from monai_unet.data import synthetic_sections
from monai_unet.io import read_stack

AFFINE = np.array([[-0.6, 0.8, 0, 10], [0.8, 0.6, 0, -20], [0, 0, 1, 7], [0, 0, 0, 1]]) @ np.diag([4, 4.5, 50, 1])
WAIT = 600  # seconds


class Transcript:
    """Requests to a server, as lines of a table."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.lines: list[str] = []

    def ask(self, method: str, path: str, **arguments) -> requests.Response:
        """One request; `note` has to say what came of it."""
        start = time.perf_counter()
        answer = requests.request(method, self.url + path, timeout=WAIT, **arguments)
        self.seconds = time.perf_counter() - start
        self.request = f"`{method} {path}`" + (f" `{json.dumps(arguments['json'])}`" if arguments.get("json") else "")
        self.status = answer.status_code
        return answer

    def note(self, answer: str) -> None:
        """Finish the line of the last request."""
        self.lines.append(f"| {self.request} | {self.status} | {self.seconds:.2f} s | {answer} |")


def write_studies(studies: Path, size: int) -> None:
    """A 2-D TIFF, a TIFF of three pages and a NIfTI, each with its label beside the folder."""
    sections, labels = synthetic_sections(7, size, seed=0)
    for folder, arrays in ((studies, sections), (studies.with_name("labels"), labels)):
        folder.mkdir()
        tifffile.imwrite(folder / "flat.tif", arrays[0, :, : size - 51], photometric="minisblack")
        tifffile.imwrite(folder / "pages.tif", arrays[1:4], photometric="minisblack")
        nibabel.save(nibabel.Nifti1Image(arrays[4:7, : size - 37].T, AFFINE), folder / "volume.nii.gz")


def infer(transcript: Transcript, image: str, file: Path, folder: Path) -> np.ndarray:
    """The labels of an image, and a line about them."""
    answer = transcript.ask("POST", f"/infer/isbi?image={image}&output=image")
    answer.raise_for_status()
    result = folder / f"result_{file.name}"
    result.write_bytes(answer.content)
    labels = read_stack(result)
    what = f"{labels.dtype} {labels.shape}, image {read_stack(file).shape}; values {np.unique(labels).tolist()}"
    if file.name.endswith(".nii.gz"):
        difference = np.abs(nibabel.load(result).affine - nibabel.load(file).affine).max()
        spacing = ", ".join(f"{step:.4g}" for step in nibabel.load(result).header.get_zooms())
        what += f"; affine differs by {difference:.1g} at most, spacing {spacing}"
    transcript.note(what)
    return labels


def run(size: int, features: str, epochs: int) -> tuple[list[str], float]:
    """The lines of the table, and the seconds from the command to the first answer."""
    with tempfile.TemporaryDirectory() as name, socket.socket() as free:
        folder = Path(name)
        studies = folder / "studies"
        write_studies(studies, size)
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
        free.close()
        bundle = Path(__file__).parents[1] / "bundles" / "isbi"
        command = [sys.executable, "-m", "monai_unet.cli", "label", "--studies", studies, "--bundle", bundle]
        command += ["--port", port, "--features", features, "--ckpt_dir", folder / "none"]
        start = time.perf_counter()
        with (folder / "server.log").open("w") as log:
            server = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, env=os.environ)
        try:
            transcript = Transcript(port)
            while True:
                try:
                    info = transcript.ask("GET", "/info/").json()
                    break
                except requests.ConnectionError:
                    if server.poll() is not None or time.perf_counter() - start > WAIT:
                        raise SystemExit((folder / "server.log").read_text()[-3000:]) from None
                    time.sleep(0.1)
            first = time.perf_counter() - start
            transcript.note(
                f"models {', '.join(info['models'])}; trainers {', '.join(info['trainers'])}; strategies "
                f"{', '.join(info['strategies'])}; {info['datastore']['total']} images"
            )
            before = {}
            for image, file in (("flat", "flat.tif"), ("pages", "pages.tif"), ("volume", "volume.nii.gz")):
                before[image] = infer(transcript, image, studies / file, folder)
            infer(transcript, "flat", studies / "flat.tif", folder)
            answer = transcript.ask("POST", "/activelearning/first", json={"client_id": "me"}).json()
            transcript.note(f"`{answer['id']}`")
            for image, file in (("flat", "flat.tif"), ("pages", "pages.tif"), ("volume", "volume.nii.gz")):
                with (folder / "labels" / file).open("rb") as label:
                    transcript.ask("PUT", f"/datastore/label?image={image}", files={"label": (file, label)})
                transcript.note(f"label `{file}` kept")
            asked = time.perf_counter()
            transcript.ask("POST", "/train/isbi", json={"max_epochs": epochs})
            transcript.note("begun, in a process of its own")
            while (state := transcript.ask("GET", "/train/").json())["status"] in ("SUBMITTED", "RUNNING"):
                time.sleep(0.2)
            transcript.seconds = time.perf_counter() - asked
            transcript.note(f"{state['status']}; the time is from the request to the end")
            after = infer(transcript, "flat", studies / "flat.tif", folder)
            changed = (after != before["flat"]).mean()
            transcript.lines[-1] = transcript.lines[-1][:-2] + f"; {changed:.1%} of the pixels changed |"
            bad = transcript.ask("POST", "/infer/isbi", files={"file": ("bad.tif", b"no TIFF")})
            transcript.note(bad.json()["detail"].split("/")[-1][-60:])
        finally:
            server.terminate()
            server.wait(20)
    return transcript.lines, first


def main() -> None:
    """Ask, and print the page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=512, help="height and width of a section, pixels")
    parser.add_argument("--features", default="[16,32,64,128,256]")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--out", type=Path, help="Markdown file to write")
    arguments = parser.parse_args()
    load = f"{os.getloadavg()[0]:.1f}"
    lines, first = run(arguments.size, arguments.features, arguments.epochs)
    page = [
        "# MONAI Label: what the server answers over REST",
        "",
        f"- Command: `python {shlex.join(['benchmarks/monai_label.py', *sys.argv[1:]])}`",
        f"- Date: {datetime.date.today():%Y-%m-%d}",
        f"- Machine: {where_it_ran('monailabel', 'monai', 'torch', 'numpy')}",
        f"- Load average when it began, of other work: {load}",
        f"- Bundle: `isbi`, features {arguments.features}, untrained; synthetic sections of {arguments.size} px",
        f"- From the command to the first answer (`/info/`): {first:.1f} s",
        "",
        "Shapes are (section, row, column). The first prediction loads the weights and builds the transforms.",
        "",
        "| request | status | time | answer |",
        "|---|--:|--:|---|",
        *lines,
    ]
    publish(page, arguments.out)


if __name__ == "__main__":
    main()
