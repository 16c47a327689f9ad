"""Objects of a store of probabilities, as those of the arrays in memory."""

import numpy as np
import pytest
from scipy import ndimage

pytest.importorskip("zarr", reason="needs zarr and dask")

from monai_unet.io.zarr_store import create_or_open
from monai_unet.prediction.instances import class_store, label_store
from monai_unet.transforms import Decoding

SHAPE = (3, 60, 50)
CELLS = ("background", "cell")


def field(seed):
    rough = ndimage.gaussian_filter(np.random.default_rng(seed).random(SHAPE), (0, 2, 2))
    return ((rough - rough.min()) / np.ptp(rough)).astype(np.float32)


def store(path, array=None, channels=(), dtype="int32"):
    axes = "czyx" if channels else "zyx"
    made = create_or_open(
        path,
        shape=[*channels, *SHAPE],
        chunks=[*channels, 1, 16, 23],
        dtype=dtype,
        axes=axes,
        spacing=None,
        unit=None,
        affine=None,
        labels=dtype == "int32",
        channel_names=["x"] * (channels[0] if channels else 1),
        settings={"of": path.name},
    )
    if array is not None:
        made.level(0)[:] = array
    return made


@pytest.mark.parametrize("by_section", [True, False])
def test_with_a_distance_they_are_grown_as_in_memory(tmp_path, by_section):
    inside, foreground = field(1), np.maximum(field(1), field(2))
    decoding = Decoding(CELLS, objects=True, threshold=0.45, min_size=9, separation="distance", seed_depth=0.02)
    probability = np.stack([1 - foreground, inside, foreground - inside])
    stores = [
        store(tmp_path / "p.zarr", np.stack([decoding.foreground(probability)[0], inside]), (2,), "float32"),
        store(tmp_path / "parts.zarr"),
        store(tmp_path / "labels.zarr", np.full(SHAPE, 7)),  # what a killed run may have left
    ]
    number = label_store(stores, decoding, 10**9, by_section)
    parts = [probability[:, index] for index in range(SHAPE[0])] if by_section else [probability]
    expected = np.stack([decoding.instances(part) for part in parts]).reshape(SHAPE)
    assert np.array_equal(stores[-1].read((slice(None),) * 3), expected)
    assert number == sum(np.unique(part).size - 1 for part in (expected if by_section else [expected]))
    assert number > 5


def test_a_part_that_does_not_fit_the_memory_is_refused(tmp_path):
    decoding = Decoding(CELLS, objects=True, separation="distance")
    stores = [
        store(tmp_path / "p.zarr", np.ones((2, *SHAPE)), (2,), "float32"),
        store(tmp_path / "parts.zarr"),
        store(tmp_path / "labels.zarr"),
    ]
    with pytest.raises(ValueError, match="spans 60 x 50 pixels, more than the memory allows"):
        label_store(stores, decoding, 100_000, by_section=True)


@pytest.mark.parametrize(("classes", "channels"), [(CELLS, 0), (CELLS, 2), ((*CELLS, "border"), 3)])
def test_classes_are_those_of_the_arrays_in_memory(tmp_path, classes, channels):
    """Of a probability alone, of one with a distance, and of three classes."""
    fields = np.stack([field(seed) for seed in range(channels or 1)])
    decoding = Decoding(classes, threshold=0.4)
    kept = store(tmp_path / "p.zarr", fields if channels else fields[0], (channels,) if channels else (), "float32")
    labels = store(tmp_path / "labels.zarr")
    class_store(kept, labels, decoding)
    expected = fields.argmax(0) if channels == 3 else fields[0] > 0.4
    assert np.array_equal(labels.read((slice(None),) * 3), expected)
    assert 0.1 < (expected > 0).mean() < 0.9
