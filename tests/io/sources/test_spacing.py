"""What a file says of a pixel's size reaches no output where it is no size."""

import nibabel
import numpy as np
import pytest
import tifffile
from image_arrays import stack

from monai_unet.io import open_source

PIXELS = stack((3, 8, 9), np.uint8)
NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("sizes", "spacing"),
    [
        ({"X": "NaN"}, None),
        ({"Y": "0"}, None),
        ({"X": "1e400"}, None),
        ({"X": "1e-30"}, None),
        ({"X": "-4"}, (50.0, 5.0, 4.0)),
        ({"Z": "NaN"}, (1.0, 5.0, 4.0)),
        ({"Z": "-INF"}, (1.0, 5.0, 4.0)),
    ],
)
def test_the_sizes_of_ome(tmp_path, sizes, spacing):
    metadata = {f"PhysicalSize{axis}": size for axis, size in ({"Z": "50", "Y": "5", "X": "4"} | sizes).items()}
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, ome=True, metadata={"axes": "ZYX", **metadata})
    assert open_source(tmp_path / "a.tif").info.spacing == spacing


@pytest.mark.parametrize("size", ["abc", "", "1,5"])
def test_a_size_of_ome_that_is_no_number_is_refused(tmp_path, size):
    metadata = {"axes": "ZYX", "PhysicalSizeX": "1.0", "PhysicalSizeY": size}
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, ome=True, metadata=metadata)
    with pytest.raises(ValueError, match=rf"a.tif .*its metadata has the PhysicalSizeY '{size}'; expected a number"):
        open_source(tmp_path / "a.tif")


def test_a_spacing_of_imagej_that_is_no_number_is_refused(tmp_path):
    metadata = {"axes": "ZYX", "unit": "um", "spacing": "abc"}
    tifffile.imwrite(tmp_path / "a.tif", PIXELS, imagej=True, resolution=(2, 2), metadata=metadata)
    with pytest.raises(ValueError, match=r"a.tif .*its metadata has the spacing 'abc'; expected a number"):
        open_source(tmp_path / "a.tif")


@pytest.mark.parametrize("fraction", [(0, 1), (1, 0)])
def test_a_resolution_with_a_zero_is_none(tmp_path, fraction):
    tifffile.imwrite(tmp_path / "a.tif", PIXELS[0], resolution=(2, 3), resolutionunit="centimeter")
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:
        file.pages[0].tags["XResolution"].overwrite(fraction)
    assert open_source(tmp_path / "a.tif").info.spacing is None


@pytest.mark.parametrize("code", ["qform_code", "sform_code", None])
@pytest.mark.parametrize(
    ("sizes", "spacing"), [((NAN, 4, 50), None), ((INF, 4, 50), None), ((5, 4, NAN), (1.0, 4.0, 5.0))]
)
def test_a_nifti_has_a_spacing_and_an_affine_with_an_inverse_or_plain_ones(tmp_path, code, sizes, spacing):
    image = nibabel.Nifti1Image(PIXELS.T, np.diag([5.0, 4.0, 50.0, 1.0]))
    nibabel.save(image, tmp_path / "a.nii")
    content = bytearray((tmp_path / "a.nii").read_bytes())
    header = np.frombuffer(content[:348], image.header.template_dtype).copy()
    header["pixdim"][0, 1:4] = sizes
    for name, at, axis in zip("xyz", range(3), sizes, strict=True):
        header[f"srow_{name}"] = np.where(np.arange(4) == at, axis, 0)
    for name in ("qform_code", "sform_code"):
        header[name] = name == code
    content[:348] = header.tobytes()
    (tmp_path / "a.nii").write_bytes(content)
    info = open_source(tmp_path / "a.nii").info
    assert info.spacing == spacing
    assert np.array_equal(info.affine, np.diag([*reversed(spacing or (1, 1, 1)), 1]))


@pytest.mark.parametrize(
    "line",
    [
        *["ElementSpacing = nan 1 1", "ElementSpacing = 0 1 1", "ElementSpacing = abc 1 1"],
        "ElementSpacing = 1 1 1\nTransformMatrix = 1 0 0 1 0 0 0 0 1",
    ],
)
def test_a_metaimage_with_a_spacing_or_direction_that_itk_does_not_take_is_refused(tmp_path, line):
    header = (
        f"ObjectType = Image\nNDims = 3\nDimSize = 9 8 3\n{line}\nElementType = MET_UCHAR\nElementDataFile = LOCAL\n"
    )
    (tmp_path / "a.mha").write_bytes(header.encode() + PIXELS.tobytes())
    with pytest.raises(ValueError, match=r"a.mha .*its spacing is \(.*correct the header"):
        open_source(tmp_path / "a.mha")


def test_a_negative_spacing_of_a_metaimage_is_a_direction(tmp_path):
    header = "ObjectType = Image\nNDims = 3\nDimSize = 9 8 3\nElementSpacing = -4 5 50\nElementType = MET_UCHAR\n"
    (tmp_path / "a.mha").write_bytes(f"{header}ElementDataFile = LOCAL\n".encode() + PIXELS.tobytes())
    assert open_source(tmp_path / "a.mha").info.spacing == (50.0, 5.0, 4.0)
