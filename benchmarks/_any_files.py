"""The same pixels in many kinds of file, for `any_image.py`; the tests' writers where they have them."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tifffile
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from image_files import write_czi, write_n5, write_series

NAMES = {1: ["image"], 2: ["dapi", "actin"], 3: ["red", "green", "blue"]}


class CannotHoldError(Exception):
    """The kind of file has no place for such an image."""


def _samples(pixels: np.ndarray) -> np.ndarray:
    """(C, 1, H, W) as (H, W, C), or (H, W) of one channel."""
    return np.ascontiguousarray(pixels[0, 0] if len(pixels) == 1 else pixels[:, 0].transpose(1, 2, 0))


def _one_picture(pixels: np.ndarray, channels: tuple[int, ...], itemsize: int) -> np.ndarray:
    if len(pixels) not in channels or pixels.shape[1] > 1 or pixels.dtype.itemsize > itemsize:
        raise CannotHoldError
    return _samples(pixels)


def png(path: Path, pixels: np.ndarray) -> Path:
    """Grey, RGB or RGBA of 8 or 16 bits."""
    import imagecodecs

    path = path.with_name(f"{path.name}.png")
    path.write_bytes(imagecodecs.png_encode(_one_picture(pixels, (1, 3, 4), 2)))
    return path


def bmp(path: Path, pixels: np.ndarray) -> Path:
    """Grey, RGB, or 32 bits a pixel."""
    path = path.with_name(f"{path.name}.bmp")
    Image.fromarray(_one_picture(pixels, (1, 3, 4), 1)).save(path)
    return path


def jpeg(path: Path, pixels: np.ndarray) -> Path:
    """Grey or RGB; what is read is `jpeg_pixels` of it."""
    path = path.with_name(f"{path.name}.jpg")
    Image.fromarray(_one_picture(pixels, (1, 3), 1)).save(path, quality=90)
    return path


def jpeg_pixels(pixels: np.ndarray) -> np.ndarray:
    """What is left of pixels (C, 1, H, W) in a JPEG, by Pillow."""
    buffer = io.BytesIO()
    Image.fromarray(_one_picture(pixels, (1, 3), 1)).save(buffer, "JPEG", quality=90)
    decoded = np.atleast_3d(np.asarray(Image.open(buffer)))
    return decoded.transpose(2, 0, 1)[:, None]


def tiff(path: Path, pixels: np.ndarray) -> Path:
    """Samples of a pixel together; sections as pages."""
    path = path.with_name(f"{path.name}.tif")
    if len(pixels) == 1:
        tifffile.imwrite(path, pixels[0] if pixels.shape[1] > 1 else pixels[0, 0], photometric="minisblack")
    elif len(pixels) == 2:
        tifffile.imwrite(path, _samples(pixels), photometric="minisblack", planarconfig="contig")
    else:
        alpha = ["unassalpha"] if len(pixels) == 4 else None
        tifffile.imwrite(path, _samples(pixels), photometric="rgb", extrasamples=alpha)
    return path


def ome_tiff(path: Path, pixels: np.ndarray) -> Path:
    """A page for each channel and section; colours as samples."""
    path = path.with_name(f"{path.name}.ome.tif")
    if len(pixels) > 2:
        alpha = ["unassalpha"] if len(pixels) == 4 else None
        metadata = {"axes": "YXS"}
        tifffile.imwrite(path, _samples(pixels), photometric="rgb", extrasamples=alpha, ome=True, metadata=metadata)
    else:
        described = {"axes": "CZYX", "Channel": {"Name": NAMES[len(pixels)]}}
        tifffile.imwrite(path, pixels, photometric="minisblack", ome=True, metadata=described)
    return path


def imagej_tiff(path: Path, pixels: np.ndarray) -> Path:
    """A hyperstack; colours as ImageJ has them."""
    path = path.with_name(f"{path.name}.tif")
    if len(pixels) > 3:
        raise CannotHoldError
    array, axes = (_samples(pixels), "YXS") if len(pixels) == 3 else (pixels.swapaxes(0, 1), "ZCYX")
    tifffile.imwrite(path, array, imagej=True, metadata={"axes": axes})
    return path


def ome_zarr(path: Path, pixels: np.ndarray) -> Path:
    """OME-Zarr 0.4, (c, z, y, x)."""
    import zarr

    if len(pixels) > 3:
        raise CannotHoldError
    path = path.with_name(f"{path.name}.ome.zarr")
    axes = [{"name": "c", "type": "channel"}, *({"name": axis, "type": "space"} for axis in "zyx")]
    multiscales = [{"version": "0.4", "axes": axes, "datasets": [{"path": "0"}]}]
    omero = {"channels": [{"label": name} for name in NAMES[len(pixels)]]}
    group = zarr.create_group(path, zarr_format=2, attributes={"multiscales": multiscales, "omero": omero})
    group.create_array("0", data=pixels, chunks=(1, 1, 32, 32))
    return path


def hdf5(path: Path, pixels: np.ndarray) -> Path:
    """(C, D, H, W)."""
    import h5py

    if len(pixels) > 3:
        raise CannotHoldError
    path = path.with_name(f"{path.name}.h5")
    with h5py.File(path, "w") as file:
        file.create_dataset("image", data=pixels, chunks=(1, 1, 32, 32))
    return path


def n5(path: Path, pixels: np.ndarray) -> Path:
    """(W, H, D, C), or without channels."""
    if len(pixels) > 3:
        raise CannotHoldError
    return write_n5(path.with_name(f"{path.name}.n5"), pixels if len(pixels) > 1 else pixels[0])


def nifti(path: Path, pixels: np.ndarray) -> Path:
    """The fourth axis for two channels, RGB24 for colours."""
    import nibabel

    path = path.with_name(f"{path.name}.nii.gz")
    if len(pixels) > 3:
        raise CannotHoldError
    array = pixels.T if len(pixels) > 1 else pixels[0].T
    if len(pixels) == 3:
        colours = np.dtype([("R", np.uint8), ("G", np.uint8), ("B", np.uint8)])
        array = np.ascontiguousarray(array).view(colours)[..., 0]
    nibabel.save(nibabel.Nifti1Image(array, np.diag([0.5, 0.5, 1, 1])), path)
    return path


def _itk(path: Path, pixels: np.ndarray) -> Path:
    import SimpleITK

    if len(pixels) > 3:
        raise CannotHoldError
    array = pixels.transpose(1, 2, 3, 0) if len(pixels) > 1 else pixels[0]
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(array, isVector=len(pixels) > 1), path)
    return path


def nrrd(path: Path, pixels: np.ndarray) -> Path:
    """Vector pixels."""
    return _itk(path.with_name(f"{path.name}.nrrd"), pixels)


def mha(path: Path, pixels: np.ndarray) -> Path:
    """Vector pixels."""
    return _itk(path.with_name(f"{path.name}.mha"), pixels)


def czi(path: Path, pixels: np.ndarray) -> Path:
    """A channel a plane; colours as Bgr24."""
    if len(pixels) > 3:
        raise CannotHoldError
    array = pixels[::-1].transpose(1, 2, 3, 0)[None] if len(pixels) == 3 else pixels
    return write_czi(path.with_name(f"{path.name}.czi"), np.ascontiguousarray(array), names=NAMES[len(pixels)])


def dicom(path: Path, pixels: np.ndarray) -> Path:
    """A folder with a file for each section."""
    if len(pixels) not in (1, 3):
        raise CannotHoldError
    return write_series(path, pixels[0] if len(pixels) == 1 else np.ascontiguousarray(pixels.transpose(1, 2, 3, 0)))


def file_a_channel(path: Path, pixels: np.ndarray) -> Path:
    """A TIFF for each channel, `a_dapi.tif` and `a_actin.tif`."""
    if len(pixels) not in (2, 3):
        raise CannotHoldError
    files = [
        tiff(path.with_name(f"{path.name}_{name}"), channel[None])
        for name, channel in zip(NAMES[len(pixels)], pixels, strict=True)
    ]
    return files[0]


WRITERS: dict[str, Callable[[Path, np.ndarray], Path]] = {
    "TIFF": tiff,
    "PNG": png,
    "OME-TIFF": ome_tiff,
    "ImageJ TIFF": imagej_tiff,
    "OME-Zarr": ome_zarr,
    "HDF5": hdf5,
    "N5": n5,
    "NIfTI": nifti,
    "NRRD": nrrd,
    "MHA": mha,
    "CZI": czi,
    "DICOM": dicom,
    "BMP": bmp,
    "JPEG": jpeg,
    "a file a channel": file_a_channel,
}
