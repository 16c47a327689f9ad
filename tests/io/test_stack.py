from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from image_files import write_n5, write_series
from PIL import Image
from skimage.io import imsave

from monai_unet.io import READ_SUFFIXES, count_sections, image_files, read_image, read_stack, stem

STACK = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def write(path, array):
    if path.suffix == ".png":
        imsave(path, array, check_contrast=False)
    elif path.name.endswith((".nii", ".nii.gz")):
        nibabel.save(nibabel.Nifti1Image(array.T, np.eye(4)), path)
    else:
        tifffile.imwrite(path, array, photometric="rgb" if array.shape[-1] == 3 else "minisblack")
    return path


@pytest.mark.parametrize("name", ["a.tif", "a.TIFF", "a.nii", "a.nii.gz"])
def test_a_stack_comes_back_in_array_order(tmp_path, name):
    path = write(tmp_path / name, STACK)
    assert np.array_equal(read_stack(path), STACK)
    assert count_sections(path) == 2


@pytest.mark.parametrize("name", ["a.tif", "a.png", "a.nii.gz"])
def test_a_single_picture_is_a_stack_of_one(tmp_path, name):
    assert np.array_equal(read_stack(write(tmp_path / name, STACK[0])), STACK[:1])


@pytest.mark.parametrize("compression", ["lzw", "zlib"])
def test_compressed_tiff_can_be_read(tmp_path, compression):
    tifffile.imwrite(tmp_path / "a.tif", STACK, compression=compression, photometric="minisblack")
    assert np.array_equal(read_stack(tmp_path / "a.tif"), STACK)


def test_sections_that_imagej_calls_channels_are_refused_with_the_remedy(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((30, 4, 5), np.uint8), imagej=True, metadata={"axes": "CYX"})
    with pytest.raises(ValueError, match="set Image > Properties > Slices to 30 in Fiji"):
        read_stack(tmp_path / "a.tif")


@pytest.mark.parametrize("num", [3, 4])
def test_sections_that_look_like_the_planes_of_a_colour_image_are_refused_with_both_remedies(tmp_path, num):
    stack = np.zeros((num, 40, 50), np.uint8)
    # tifffile does so by itself where it is told nothing, but is about to change
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="rgb", planarconfig="separate")
    with pytest.raises(ValueError, match=rf"if its {num} channels are sections, .* Slices to {num} in Fiji"):
        read_stack(tmp_path / "a.tif")
    with pytest.raises(ValueError, match="if its channels are sections, give --pages sections; if not, --channels"):
        read_image(tmp_path / "a.tif")
    assert read_image(tmp_path / "a.tif", pages="sections").shape == (1, num, 40, 50)
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")  # as the remedy says
    assert read_stack(tmp_path / "a.tif").shape == (num, 40, 50)


@pytest.mark.parametrize("axes", ["CYX", "ZCYX"])
def test_channels_of_several_sections_are_no_sections(tmp_path, axes):
    shape = (2, 4, 5) if axes == "CYX" else (6, 2, 4, 5)
    tifffile.imwrite(tmp_path / "a.tif", np.zeros(shape, np.uint8), imagej=True, metadata={"axes": axes})
    with pytest.raises(ValueError, match="--channels image=0 takes the first one") as error:
        read_image(tmp_path / "a.tif")
    assert ("are sections" in str(error.value)) == (axes == "CYX")


def test_interleaved_colours_are_no_sections(tmp_path):
    with pytest.raises(ValueError, match="--channels image=red takes the first one; or make it grey"):
        read_image(write(tmp_path / "a.tif", np.zeros((5, 6, 3), np.uint8)))


def test_labels_in_colour_are_not_to_be_made_grey(tmp_path):
    with pytest.raises(ValueError, match="save its numbers as grey values of one channel, not in colours"):
        read_stack(write(tmp_path / "a.tif", np.zeros((5, 6, 3), np.uint8)))


def test_pages_of_different_size_are_refused_and_not_dropped(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(STACK[0])
        tiff.write(STACK[0, :2])
    with pytest.raises(ValueError, match=r"a.tif .* pages differ"):
        read_stack(tmp_path / "a.tif")


def test_a_truncated_tiff_is_refused_by_name(tmp_path):
    path = write(tmp_path / "a.tif", np.zeros((4, 64, 64), np.uint8))
    path.write_bytes(path.read_bytes()[:8000])
    with pytest.raises(ValueError, match=r"a.tif cannot be read"):
        read_stack(path)


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_a_colour_image_is_refused(tmp_path, name):
    with pytest.raises(ValueError, match=f"{name} has 3 channels, .* expected one number per pixel"):
        read_stack(write(tmp_path / name, np.zeros((5, 6, 3), np.uint8)))


def test_an_inverted_tiff_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK, photometric="miniswhite")
    with pytest.raises(ValueError, match=r"a.tif .* white as 0"):
        read_stack(tmp_path / "a.tif")


def test_nan_is_refused_with_its_number(tmp_path):
    image = np.zeros((4, 5), np.float32)
    image[1, 2] = np.nan
    with pytest.raises(ValueError, match=r"a\.tif holds 1 values that are not finite"):
        read_stack(write(tmp_path / "a.tif", image))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [("a.tif", b"", "cannot be read"), ("a.png", b"no picture", "cannot be read"), ("a.jpx", b"x", "unknown type")],
)
def test_what_is_no_image_is_refused_by_name(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=f"{name}.*{message}"):
        read_stack(tmp_path / name)


def test_a_missing_file_and_a_folder_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.tif does not exist"):
        read_stack(tmp_path / "none.tif")
    with pytest.raises(FileNotFoundError, match="is a folder"):
        read_stack(tmp_path)


def test_the_images_of_a_folder_come_in_the_order_of_their_names(tmp_path):
    for name in ("b.tif", "a.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [file[-5:] for file in image_files(tmp_path)] == ["a.png", "b.tif"]
    assert image_files(tmp_path / "b.tif") == [str(tmp_path / "b.tif")]


def test_points_in_names_are_no_suffixes_and_hidden_files_no_images(tmp_path):
    for name in ("s.01.tif", "s.02.tif", "._s.01.tif", ".writing-x.tif"):
        (tmp_path / name).touch()
    assert [file[-8:] for file in image_files(tmp_path)] == ["s.01.tif", "s.02.tif"]


def test_two_images_whose_results_would_have_one_name_are_refused(tmp_path):
    (tmp_path / "a.png").touch()
    (tmp_path / "a.tif").touch()
    with pytest.raises(ValueError, match="have one name, and their results"):
        image_files(tmp_path)


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="holds no image"):
        image_files(tmp_path)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        image_files(tmp_path / "nowhere")


def test_files_that_are_no_images_are_named_once(tmp_path, caplog):
    for name in ("a.tif", "b.jpx", "c.mhd", "c.raw", ".hidden.txt"):
        (tmp_path / name).write_bytes(b"")
    for _ in range(2):
        assert [Path(file).name for file in image_files(tmp_path)] == ["a.tif", "c.mhd"]
    assert [record.getMessage() for record in caplog.records] == [
        f"left out in {tmp_path}: b.jpx; images are files that end in {', '.join(READ_SUFFIXES)}"
    ]


def write_results(folder, *names):
    for name in names:
        tifffile.imwrite(folder / name, np.zeros((3, 4), np.uint8), software="monai-unet")


def test_results_of_an_earlier_run_in_the_same_folder_are_no_images(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 4), np.uint8))
    tifffile.imwrite(tmp_path / "t012.tif", np.zeros((3, 4), np.uint8))
    write_results(tmp_path, "a_label.tif", "a_probability.tif", "a_probability_cell.tif", "mask012.tif")
    assert [Path(file).name for file in image_files(tmp_path, results_in=tmp_path)] == ["a.tif", "t012.tif"]


def test_results_elsewhere_change_nothing(tmp_path):
    write_results(tmp_path, "a.tif", "a_label.tif")
    assert len(image_files(tmp_path, results_in=tmp_path / "out")) == 2


def test_a_zarr_of_an_earlier_prediction_is_no_image(tmp_path):
    write(tmp_path / "a.tif", STACK)
    (tmp_path / "a_label.ome.zarr").mkdir()
    (tmp_path / "a_label.ome.zarr" / "zarr.json").write_text('{"attributes": {"monai_unet": {}}}')
    assert image_files(tmp_path, tmp_path) == [str(tmp_path / "a.tif")]


def test_a_file_that_a_result_would_replace_is_named(tmp_path):
    for name in ("a.tif", "a_label.tif"):
        tifffile.imwrite(tmp_path / name, np.zeros((3, 4), np.uint8))
    with pytest.raises(ValueError, match=r"a_label.tif lies where a result would go, and was not written by"):
        image_files(tmp_path, results_in=tmp_path)


def test_names_that_some_disks_do_not_tell_apart_are_refused(tmp_path):
    for name in ("a.tif", "A.png"):
        (tmp_path / name).touch()
    with pytest.raises(ValueError, match=r"A.png, .*a.tif have one name"):
        image_files(tmp_path)


@pytest.mark.parametrize("name", ["a.jpg", "a.JPEG", "a.bmp"])
def test_labels_are_not_read_from_jpeg_or_bmp(tmp_path, name):
    Image.fromarray(STACK[0]).save(tmp_path / name)
    with pytest.raises(ValueError, match=rf"{name}: labels are not read .* save labels as TIFF or PNG"):
        read_stack(tmp_path / name)
    assert read_image(tmp_path / name).shape == (1, 1, 3, 4)


def test_a_folder_of_dicom_files_is_one_image_wherever_it_is_named(tmp_path):
    write_series(tmp_path / "scan", STACK)
    tifffile.imwrite(tmp_path / "a.tif", STACK)
    (tmp_path / "others").mkdir()
    assert image_files(tmp_path / "scan") == [str(tmp_path / "scan")]
    assert image_files(tmp_path) == [str(tmp_path / "a.tif"), str(tmp_path / "scan")]


def test_a_zarr_and_an_n5_in_a_folder_are_images(tmp_path):
    zarr = pytest.importorskip("zarr", reason="needs zarr and dask")
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.tif", STACK)
    zarr.create_array(tmp_path / "in" / "b.ome.zarr", data=STACK)
    write_n5(tmp_path / "in" / "c.n5", STACK)
    assert [Path(file).name for file in image_files(tmp_path / "in")] == ["a.tif", "b.ome.zarr", "c.n5"]
    assert image_files(tmp_path / "in" / "b.ome.zarr") == [str(tmp_path / "in" / "b.ome.zarr")]
    assert [stem(file) for file in image_files(tmp_path / "in")] == ["a", "b", "c"]


@pytest.mark.parametrize("name", ["a.b.ome.tif", "a.b.OME.TIFF", "a.b.ome.zarr", "a.b.tif", "a.b.nii.gz"])
def test_ome_belongs_to_the_ending_of_a_tiff_or_zarr(name):
    assert stem(name) == "a.b"


def test_ome_belongs_to_the_name_of_other_files():
    assert stem("a.ome.png") == "a.ome"


def test_an_image_in_a_file_of_several_is_named_like_a_file(tmp_path):
    (tmp_path / "a.h5").touch()
    assert image_files(tmp_path / "a.h5" / "volumes" / "raw") == [str(tmp_path / "a.h5" / "volumes" / "raw")]
    assert stem(tmp_path / "a.h5") == "a"
