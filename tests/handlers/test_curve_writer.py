import threading

import numpy as np
import pytest
from full_disk import full_disk

from monai_unet.handlers.curve_writer import CurveWriter


def test_on_a_full_disk_the_folder_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(threading, "excepthook", lambda arguments: None)  # TensorBoard's thread dies of it
    writer = CurveWriter(tmp_path / "out")

    def add_noise():
        for step in range(20):
            writer.add_image("noise", np.random.default_rng(step).integers(0, 255, (1, 64, 64), np.uint8), step)
            writer.flush()

    with full_disk(), pytest.raises(OSError, match=r"out cannot be written: File too large$"):
        add_noise()
