"""`read_image` for MONAI's `LoadImage`, and writers for its `SaveImage` that never leave half a file.

MONAI orders the spatial axes x, y, section. Its own `PILReader` reads the first page of a TIFF only, and when nibabel
refuses a damaged NIfTI, `LoadImage` goes on to ITK, which fills up with zeros.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from monai.config import DtypeLike, KeysCollection, NdarrayOrTensor, PathLike
from monai.data import ImageReader, ImageWriter, NibabelWriter
from monai.data.utils import is_supported_format
from monai.transforms import SaveImaged
from monai.utils import ImageMetaKey, MetaKeys, SpaceKeys, convert_data_type, ensure_tuple

from monai_unet.io.atomic import written_aside
from monai_unet.io.ome import OME_TYPES, WRITTEN_BY, ome_tags
from monai_unet.io.sources import ONE_CHANNEL, Pages, is_dicom, is_image_folder, open_image, open_source, split_inside
from monai_unet.io.sources.nifti import NIFTI_UNITS
from monai_unet.io.stack import READ_SUFFIXES, read_whole, stem

UNIT = "unit"
"""In an image's metadata: of its affine and of the size of its pixels, as NGFF names it."""
PIXEL_SIZE = "pixel_size"
"""In an image's metadata: (z, y, x), where the file says it."""


class StackReader(ImageReader):
    """`read_image` as a reader of MONAI's: every page of a TIFF, the affine where there is one.

    (W, H) of a single picture, (W, H, D) of a stack or volume; with the channels as last axis where there are several.

    Args:
        channels, pages: see `monai_unet.io.sources.open_image`.

    Example:
        >>> from monai.transforms import LoadImage
        >>> LoadImage(reader="monai_unet.io.monai_files.StackReader")("train-volume.tif")  # doctest: +SKIP
    """

    def __init__(self, channels: str | Sequence[str] = ONE_CHANNEL, pages: Pages | None = None) -> None:
        super().__init__()
        self.channels, self.pages = channels, pages

    def verify_suffix(self, filename: Sequence[PathLike] | PathLike) -> bool:
        """Whether `read_image` knows the type."""
        return all(_is_known(name) for name in ensure_tuple(filename))

    def read(self, data: Sequence[PathLike] | PathLike, **kwargs: Any) -> Path:
        """The path of one image; unknown types are refused, so that `LoadImage` goes on to its other readers.

        The pixels are read in `get_data`: an error there ends the call, while after one here `LoadImage` would try
        readers that drop pages, or fill up what a damaged file lacks.
        """
        names = ensure_tuple(data)
        if len(names) != 1 or not self.verify_suffix(names[0]):
            raise ValueError(f"{names}: StackReader reads one image of {', '.join(READ_SUFFIXES)} at a time")
        return Path(names[0])

    def get_data(self, img: Path) -> tuple[np.ndarray, dict]:
        """The pixels, (W, H) or (W, H, D), perhaps with channels behind, and MONAI's metadata."""
        source = open_image(img, self.channels, self.pages)
        info, array = source.info, read_whole(source).T  # (W, H, D, C)
        if info.ndim == 2 or (info.affine is None and info.shape[0] == 1):
            array = array[:, :, 0]
        shape = array.shape[:-1]
        meta: dict[str, Any] = {MetaKeys.ORIGINAL_CHANNEL_DIM: -1}
        if info.channels == 1:
            array = array[..., 0]
            meta = {MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan")}  # MONAI's sign for "no channel"
        if info.affine is not None:
            meta |= {MetaKeys.AFFINE: info.affine, MetaKeys.ORIGINAL_AFFINE: info.affine}
            meta[MetaKeys.SPACE] = SpaceKeys.RAS
        if info.unit is not None:
            meta[UNIT] = info.unit
        if info.spacing is not None:
            meta[PIXEL_SIZE] = np.array(info.spacing)  # an array passes MONAI's batches as it is
        return array, {**meta, MetaKeys.SPATIAL_SHAPE: np.asarray(shape)}


def _is_known(name: PathLike) -> bool:
    path = Path(name)
    is_known = is_supported_format(name, [suffix[1:] for suffix in READ_SUFFIXES]) or bool(split_inside(path)[1])
    return is_known or is_image_folder(path) or is_dicom(path)


class TiffWriter(ImageWriter):
    """One page per section, in the challenge's plain form; zlib-compressed.

    Takes (1, W, H) or (1, W, H, D), with or without the channel. Several channels are refused, or with
    `several_channels` written one after the other. OME's description says what the pages are and how large a pixel is,
    where `StackReader` found it, and that whole numbers are labels; a type that OME does not know is written without.
    """

    spacing: tuple[float, ...] | None = None
    unit: str | None = None

    def __init__(
        self,
        output_dtype: DtypeLike = np.float32,
        scale: int | None = None,
        several_channels: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_dtype, self.several_channels = output_dtype, several_channels

    def set_data_array(self, data_array: NdarrayOrTensor, channel_dim: int | None = 0, **kwargs: Any) -> None:
        """Take the pixels; `channel_dim` None says that there is no channel."""
        array = convert_data_type(data_array, np.ndarray)[0]
        is_several = channel_dim is not None and array.shape[channel_dim] != 1
        if channel_dim is not None and is_several and self.several_channels:
            array = np.moveaxis(array, channel_dim, -1)  # (W, H, [D,] C), to become (C, [D,] H, W)
        elif channel_dim is not None:
            if is_several:
                raise ValueError(
                    f"a prediction of shape {array.shape} has {array.shape[channel_dim]} channels: a TIFF of sections "
                    "holds one; choose a class or take the argmax first"
                )
            array = array.squeeze(channel_dim)
        check_range(array, self.output_dtype)
        self.data_obj = array.T
        self.axes = "CZYX"[-array.ndim :] if not is_several or array.ndim == 4 else "CYX"

    def set_metadata(self, meta_dict: Mapping | None = None, resample: bool = True, **options: Any) -> None:
        """Take the size of a pixel and its unit, as `StackReader` found them; a TIFF keeps no affine."""
        meta = meta_dict or {}
        self.unit = meta.get(UNIT)
        if meta.get(PIXEL_SIZE) is not None:
            self.spacing = tuple(float(size) for size in meta[PIXEL_SIZE])

    def write(self, filename: PathLike, verbose: bool = False, **kwargs: Any) -> None:
        """Write aside and rename."""
        import tifffile

        super().write(filename, verbose=verbose)
        array = np.ascontiguousarray(self.data_obj, dtype=self.output_dtype)
        description: dict[str, Any] = {"metadata": None, "software": WRITTEN_BY}
        if array.dtype.name in OME_TYPES:
            spatial = self.axes.replace("C", "").lower()
            description = {"ome": True} | ome_tags(
                self.axes,
                str(uuid.uuid5(uuid.NAMESPACE_OID, hashlib.sha256(array.data).hexdigest())),
                spacing=dict(zip(spatial, self.spacing[-len(spatial) :], strict=True)) if self.spacing else None,
                unit=self.unit,
                labels=array.dtype.kind in "ui",
            )
        with written_aside(filename) as temporary:
            tifffile.imwrite(temporary, array, photometric="minisblack", compression="zlib", **description)


class NiftiWriter(NibabelWriter):
    """MONAI's `NibabelWriter`, but written aside and renamed, with the unit, and a volume of one section stays one."""

    unit: str | None = None

    def set_data_array(
        self, data_array: NdarrayOrTensor, channel_dim: int | None = 0, squeeze_end_dims: bool = True, **kwargs: Any
    ) -> None:
        """Take the pixels; only the section axis that MONAI adds to a picture is taken away again."""
        check_range(convert_data_type(data_array, np.ndarray)[0], self.output_dtype)
        is_volume = data_array.ndim - (channel_dim is not None) == 3
        super().set_data_array(data_array, channel_dim, squeeze_end_dims=not is_volume, **kwargs)
        if is_volume and self.data_obj.shape[-1] == 1:
            self.data_obj = self.data_obj[..., 0]  # the channel alone

    def set_metadata(self, meta_dict: Mapping | None, resample: bool = True, **options: Any) -> None:
        """Take the affine, as MONAI does, and the unit that `StackReader` found."""
        super().set_metadata(meta_dict, resample, **options)
        self.unit = (meta_dict or {}).get(UNIT)

    def create_backend_obj(self, *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """MONAI's image with the unit in its header, where NIfTI has it."""
        image = super().create_backend_obj(*args, **kwargs)
        if self.unit in NIFTI_UNITS:
            image.header.set_xyzt_units(xyz=NIFTI_UNITS[self.unit])
        image.header["descrip"] = WRITTEN_BY
        if np.dtype(self.output_dtype).kind in "ui":
            image.header.set_intent("label")
        return image

    def write(self, filename: PathLike, verbose: bool = False, **obj_kwargs: Any) -> None:
        """Write aside and rename."""
        with written_aside(filename) as temporary:
            super().write(temporary, verbose=False, **obj_kwargs)  # its line would name the temporary file


def check_range(array: np.ndarray, dtype: DtypeLike) -> None:
    """Raise OverflowError where a cast to an integer type would take one number for another."""
    dtype = np.dtype(dtype)
    if dtype.kind in "ui" and array.max(initial=0) > np.iinfo(dtype).max:
        raise OverflowError(
            f"a prediction goes up to {array.max()}, and {dtype} ends at {np.iinfo(dtype).max}: take fewer objects (a "
            "larger --min_size), or a wider type"
        )


class SaveSectionsd(SaveImaged):
    """MONAI's `SaveImaged`, with the writers above, each result in the kind of file of its image.

    Args:
        keys: of the results.
        output_ext: of all results, ".tif", ".nii" or ".nii.gz"; when left out, ".nii.gz" of images with an affine, and
            ".tif" of others.
        several_channels: whether a TIFF may have them.
        options: of `SaveImaged`; results are named after their images, `image_name`, unless a formatter is given.

    Raises:
        ValueError: for another ending.
    """

    def __init__(
        self, keys: KeysCollection, output_ext: str | None = None, several_channels: bool = False, **options: Any
    ) -> None:
        options = {"output_name_formatter": image_name, **options}
        endings = (".tif", ".nii.gz") if output_ext is None else (output_ext,)
        if not set(endings) <= set(_WRITERS):
            raise ValueError(f"output_ext {output_ext!r}: one of {', '.join(_WRITERS)}")
        self._savers = [
            SaveImaged(keys, output_ext=ending, writer=_WRITERS[ending], separate_folder=False, **options).saver
            for ending in endings
        ]
        for saver, ending in zip(self._savers, endings, strict=True):
            if several_channels and _WRITERS[ending] is TiffWriter:
                saver.set_options(init_kwargs={"several_channels": True})
        super().__init__(keys, output_ext=endings[0], writer=_WRITERS[endings[0]], separate_folder=False, **options)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """Write the results."""
        image = str(data[self.keys[0]].meta[ImageMetaKey.FILENAME_OR_OBJ])
        self.saver = self._savers[-1 if _has_affine(image) else 0]
        return super().__call__(data)


def _has_affine(image: str) -> bool:
    # not by the metadata: MONAI gives every image an affine there
    return not _is_known(image) or open_source(image).info.affine is not None


_WRITERS: dict[str, type[ImageWriter]] = {
    ".tif": TiffWriter,
    ".tiff": TiffWriter,
    ".nii": NiftiWriter,
    ".nii.gz": NiftiWriter,
}


def image_name(meta_dict: Mapping, saver: Any) -> dict[str, Any]:
    """Name of a result for MONAI's `SaveImage(output_name_formatter=...)`: that of its image, see `stem`."""
    return _named(stem(str(meta_dict[ImageMetaKey.FILENAME_OR_OBJ])))


def challenge_name(meta_dict: Mapping, saver: Any) -> dict[str, Any]:
    """Name of a result for MONAI's `SaveImage(output_name_formatter=...)`: `t012.tif` gives `mask012.tif`.

    The Cell Tracking Challenge asks for that; an image of any other name gives `NAME_instances`.
    """
    name = stem(str(meta_dict[ImageMetaKey.FILENAME_OR_OBJ]))
    frame = re.fullmatch(r"t(\d{3,})", name)
    return _named(f"mask{frame[1]}" if frame else f"{name}_instances")


def _named(result: str) -> dict[str, Any]:
    # MONAI takes what follows the last point for an ending and drops it, so it gets one
    return {"subject": f"{result}.tif", "idx": None}
