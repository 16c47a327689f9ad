"""The pictures of docs/napari.md: a real session of napari on the plugin's sample, seen through a screen in memory.

    HOME=$(mktemp -d) xvfb-run -a -s "-screen 0 1600x1000x24" python benchmarks/napari_pictures.py --out docs

The bundle and the results lie in the home folder, so that it had better be a new one. Strokes are drawn from the
sample's truth. Takes a few minutes on two CPU cores.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import napari
import numpy as np
from _strokes import BACKGROUND, INSIDE, Hand
from PIL import Image
from qtpy.QtWidgets import QApplication
from skimage.measure import label as components

from monai_unet.data.synthetic import synthetic_sections
from monai_unet.viewer.samples import membranes
from monai_unet.viewer.widget import UNetWidget

STROKES = 12  # of each kind
ITERATIONS = 40
WEIGHTS = "isbi_compact"


def wait(until: Callable[[], bool], seconds: float = 900) -> None:
    """Let the viewer work until something is true."""
    end = time.monotonic() + seconds
    while not until():
        if time.monotonic() > end:
            raise TimeoutError("the viewer did not come to an end")
        QApplication.processEvents()
        time.sleep(0.01)


def picture(viewer: napari.Viewer, path: Path) -> None:
    """The window as it is, in 256 colours."""
    start = time.monotonic()
    wait(lambda: time.monotonic() > start + 1)
    shown = viewer.screenshot(canvas_only=False, flash=False)
    Image.fromarray(shown[..., :3]).quantize(256).save(path, optimize=True)


def main() -> None:
    """Predict, paint, train, and look where it is unsure, in a folder of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder of the pictures")
    args = parser.parse_args()
    if Path("~/membranes").expanduser().exists():
        raise FileExistsError("~/membranes is there: run this with HOME=$(mktemp -d) before the command")
    session(args.out)


def session(out: Path) -> None:
    """All pictures."""
    viewer = napari.Viewer(show=True)
    viewer.window.resize(1280, 800)
    widget = UNetWidget(viewer)
    viewer.window.add_dock_widget(widget, name="U-Net")
    data, options, _ = membranes()[0]
    viewer.add_image(data, **options)
    viewer.dims.set_current_step(0, 0)
    viewer.reset_view()
    predict, train = widget.predict, widget.train
    predict.choose_bundle(WEIGHTS)
    predict.folder.line.setText("~/results")
    predict.all.click()
    wait(predict.see.isEnabled)
    picture(viewer, out / "napari-predict.png")

    for layer in list(viewer.layers)[1:]:
        viewer.layers.remove(layer)
    widget.tabs.setCurrentIndex(1)
    train.paint()
    cells = components(synthetic_sections(3, 512, seed=0)[1][0] > 0, background=0, connectivity=1)
    hand = Hand(cells, 2, False, np.random.default_rng(0))
    for _ in range(STROKES):
        hand.draw(INSIDE)
        hand.draw(BACKGROUND)
    painted = viewer.layers[-1]
    painted.data[0] = hand.labels
    painted.refresh()
    train.folder.line.setText("~/membranes")
    train.begin.setCurrentText(f"weights of {WEIGHTS}")
    train.iterations.setValue(ITERATIONS)
    train.start.click()
    wait(lambda: len(viewer.layers) > 2 and len(train.curve.points) > ITERATIONS // 4)
    picture(viewer, out / "napari-train.png")
    wait(train.start.isEnabled)
    train.next.click()
    wait(lambda: train.status.text().startswith("unsure by"))
    wait(lambda: not train.previewing)
    picture(viewer, out / "napari-next.png")
    widget.train.close_down()
    viewer.close()


if __name__ == "__main__":
    main()
