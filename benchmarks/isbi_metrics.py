"""Time the ISBI 2012 scores, and compare them with the organisers' values where those are at hand.

    python benchmarks/isbi_metrics.py --reference DIR --out benchmarks/results/isbi_metrics_HARDWARE_DATE.md

DIR holds `NAME_labels.tif`, `NAME_proposal.tif` and `expected.json`. `--docs docs/metrics.md` puts the tables between
the marks in that file. One process, one thread.
"""

from __future__ import annotations

import os

os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"))

import argparse
import json
import re
import shlex
import sys
from datetime import date
from functools import partial
from pathlib import Path

import numpy as np
import tifffile
from _measure import peak_memory, time_runs, where_it_ran
from scipy import ndimage
from scipy.spatial import cKDTree

from monai_unet.metrics import isbi2012_scores

SECTIONS, SIZE, CELLS, SEED, RUNS = 3, 512, 130, 2012, 3  # an ISBI 2012 section has some 130 cells
JAVA_WITHOUT_WARPING, JAVA_WITH_WARPING = "50", "over 200"  # seconds, as stated; with warping at 3 thresholds


def random_cells() -> tuple[np.ndarray, np.ndarray]:
    """Labels and probabilities of sections with straight membranes, some of them missed and some invented."""
    rng = np.random.default_rng(SEED)
    pixels = np.indices((SIZE, SIZE)).reshape(2, -1).T
    labels, proposal = [], []
    for _ in range(SECTIONS):
        nearest, second = cKDTree(rng.uniform(0, SIZE, (CELLS, 2))).query(pixels, k=2)[0].T
        inside = (second - nearest > 4).reshape(SIZE, SIZE)
        noise = ndimage.gaussian_filter(rng.standard_normal((SIZE, SIZE)), 3)
        blurred = ndimage.gaussian_filter(inside.astype(float), 1.5) + 0.25 * noise / noise.std()
        labels.append(inside)
        proposal.append(np.clip(blurred, 0, 1).astype(np.float32))
    return np.stack(labels), np.stack(proposal)


def times() -> str:
    """Markdown table of durations on random cells."""
    labels, proposal = random_cells()
    ten = np.arange(10) / 10
    cases = (
        ("all but warping, 10 thresholds", ten, False, JAVA_WITHOUT_WARPING),
        ("all, warping too, 3 thresholds", (0.3, 0.5, 0.7), True, JAVA_WITH_WARPING),
        ("all, warping too, 10 thresholds", ten, True, "not stated"),
    )
    tasks = [partial(isbi2012_scores, labels, proposal, thresholds, warping) for _, thresholds, warping, _ in cases]
    rows = [
        (what, f"{timing.median:.2f}", f"{min(timing.seconds):.2f} to {max(timing.seconds):.2f}", java)
        for (what, _, _, java), timing in zip(cases, time_runs(*tasks, num_runs=RUNS), strict=True)
    ]
    memory = peak_memory(tasks[-1]) / 2**20
    return (
        table(("scores", "median, s", f"{RUNS} runs, s", "organisers' Java, s, as stated"), rows)
        + f"\n\n{SECTIONS} sections of {SIZE} x {SIZE} with {CELLS} random cells each (seed {SEED}), one thread; "
        "the runs take turns, after one of each that is not counted. The Java code's times were stated for another "
        f"machine: they tell the order of magnitude only. Peak memory of the last row {memory:.0f} MiB: "
        "what Python and NumPy allocated on top of the sections.\n\n"
        f"{date.today():%Y-%m-%d}, {where_it_ran('monai-unet', 'numpy', 'scipy', 'scikit-image', 'numba')}"
    )


def agreement(reference: Path) -> str:
    """Markdown table of our values, the organisers', and the differences."""
    rows = []
    for pair, expected in json.loads((reference / "expected.json").read_text()).items():
        scores = isbi2012_scores(reference / f"{pair}_labels.tif", reference / f"{pair}_proposal.tif")
        for name, theirs in expected.items():
            ours = getattr(scores, name.replace(".", "_"))
            rows.append((pair, f"`{name}`", f"{ours:.10f}", f"{theirs:.10f}", f"{ours - theirs:+.0e}"))
    return table(("pair", "score", "ours", "organisers'", "difference"), rows)


def ties(reference: Path) -> str:
    """Markdown table of the scores that hang on the order among ties: the pairs turned and mirrored in all 8 ways."""
    rows = []
    for pair, expected in json.loads((reference / "expected.json").read_text()).items():
        stacks = [tifffile.imread(reference / f"{pair}_{kind}.tif") for kind in ("labels", "proposal")]
        turned = [
            isbi2012_scores(*(np.rot90(stack, turns, (1, 2))[:, ::step] for stack in stacks))
            for turns in range(4)
            for step in (1, -1)
        ]
        for name, theirs in expected.items():
            values = [getattr(scores, name.replace(".", "_")) for scores in turned]
            if max(values) - min(values) > 1e-12:  # below is the order of a sum
                rows.append((pair, f"`{name}`", f"{theirs:.7f}", f"{min(values):.7f}", f"{max(values):.7f}"))
    return table(("pair", "score", "organisers'", "lowest", "highest"), rows)


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """A markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def main() -> None:
    """Print the tables, and write them where asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reference", type=Path, help="folder of the organisers' values")
    parser.add_argument("--out", type=Path, help="markdown file to write")
    parser.add_argument("--docs", type=Path, help="markdown file with marks to put the tables between")
    args = parser.parse_args()
    tables = {"times": times()}
    if args.reference:
        tables |= {"agreement": agreement(args.reference), "ties": ties(args.reference)}
    command = shlex.join(["python", "benchmarks/isbi_metrics.py", *(["--reference", "DIR"] if args.reference else [])])
    report = f"# ISBI 2012 scores\n\n`{command}`\n\n" + "\n\n".join(tables.values()) + "\n"
    sys.stdout.write(report)
    if args.out:
        args.out.write_text(report)
    if args.docs:
        text = args.docs.read_text()
        for mark, content in tables.items():
            marked = re.compile(rf"(<!-- {mark} -->\n).*?(<!-- /{mark} -->)", re.DOTALL)
            text = marked.sub(lambda found, content=content: f"{found[1]}{content}\n{found[2]}", text)
        args.docs.write_text(text)


if __name__ == "__main__":
    main()
