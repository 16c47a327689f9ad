import numpy as np
import pytest
import tifffile

from monai_unet.metrics.frames import sections


def test_a_frame_that_cannot_be_read_is_named(tmp_path):
    for name in ("SEG/man_seg007.tif", "RES/mask007.tif"):
        (tmp_path / name).parent.mkdir()
        tifffile.imwrite(tmp_path / name, np.zeros((4, 5), np.uint16))
    (tmp_path / "RES" / "mask007.tif").write_text("no image")
    with pytest.raises(ValueError, match=r"mask007\.tif cannot be read"):
        list(sections(tmp_path / "SEG", tmp_path / "RES"))
