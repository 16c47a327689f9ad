import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile
import torch
from image_files import write_series
from monai.data import MetaTensor
from monai.transforms import LoadImage, SaveImage
from PIL import Image

from monai_unet.io import open_source, read_image, read_stack
from monai_unet.io.monai_files import NiftiWriter, SaveSectionsd, TiffWriter, challenge_name
from monai_unet.io.ome import tiff_holds_labels

STACK = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)


def load(path):
    return LoadImage(reader="monai_unet.io.monai_files.StackReader", ensure_channel_first=True)(path)


def save(image, folder, dtype, writer=TiffWriter, extension=".tif"):
    SaveImage(folder, "out", extension, dtype, separate_folder=False, writer=writer, print_log=False)(image)


def test_monai_loads_every_page_as_x_y_section(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK, photometric="minisblack")
    image = load(tmp_path / "a.tif")
    assert image.shape == (1, 4, 3, 2)
    assert np.array_equal(image[0].numpy().T, STACK)


def test_monai_loads_a_single_page_as_x_y(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", STACK[0])
    assert load(tmp_path / "a.tif").shape == (1, 4, 3)


def test_a_bad_tiff_is_not_handed_on_to_the_reader_that_drops_pages(tmp_path):
    with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
        tiff.write(STACK[0])
        tiff.write(STACK[0, :2])
    with pytest.raises(ValueError, match="pages differ"):
        load(tmp_path / "a.tif")


@pytest.mark.parametrize("suffix", ["mha", "nrrd"])
def test_a_medical_image_is_loaded_with_the_affine_of_the_same_nifti(tmp_path, suffix):
    image = SimpleITK.GetImageFromArray(STACK)
    image.SetSpacing((0.5, 0.7, 2.0))
    image.SetOrigin((10.0, -20.0, 30.0))
    for name in (f"a.{suffix}", "b.nii"):
        SimpleITK.WriteImage(image, str(tmp_path / name))
    one, other = load(tmp_path / f"a.{suffix}"), load(tmp_path / "b.nii")
    assert np.allclose(one.affine, other.affine, atol=1e-5)
    assert np.array_equal(one, other)


@pytest.mark.parametrize("stack", [STACK, STACK[0]])
def test_a_tiff_comes_back_as_it_was_loaded(tmp_path, stack):
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="minisblack")
    save(load(tmp_path / "a.tif"), tmp_path / "out", np.uint8)
    assert np.array_equal(tifffile.imread(tmp_path / "out" / "a_out.tif"), stack)


def test_a_label_of_0_and_1_keeps_its_values(tmp_path):
    label = MetaTensor(torch.tensor([[[0.0, 1.0]]]), meta={"filename_or_obj": "a.tif"})
    save(label, tmp_path, np.uint8)
    assert tifffile.imread(tmp_path / "a_out.tif").tolist() == [[0], [1]]


def test_probabilities_keep_their_values(tmp_path):
    probability = MetaTensor(torch.tensor([[[0.25, 1.0]]]), meta={"filename_or_obj": "a.tif"})
    save(probability, tmp_path, np.float32)
    assert tifffile.imread(tmp_path / "a_out.tif").tolist() == [[0.25], [1.0]]


@pytest.mark.parametrize("size", [(3, 4), (5, 3, 4)])
def test_several_channels_are_read_again_as_channels_where_they_may_be_written(tmp_path, size):
    pixels = np.random.default_rng(0).random((2, *size)).astype(np.float32)
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((3, 4), np.uint8))
    axes = (0, *range(len(size), 0, -1))  # MONAI's order, x first
    image = MetaTensor(torch.from_numpy(pixels.transpose(axes)), meta={"filename_or_obj": str(tmp_path / "a.tif")})
    SaveSectionsd("pred", several_channels=True, output_dir=tmp_path, output_postfix="out", print_log=False)(
        {"pred": image}
    )
    assert np.array_equal(read_image(tmp_path / "a_out.tif", None).reshape(pixels.shape), pixels)


def test_several_channels_are_refused():
    with pytest.raises(ValueError, match="has 2 channels"):
        TiffWriter().set_data_array(np.zeros((2, 4, 4)))


@pytest.mark.parametrize(("writer", "extension"), [(TiffWriter, ".tif"), (NiftiWriter, ".nii.gz")])
def test_no_half_written_file_is_left(tmp_path, writer, extension, monkeypatch):
    def fail(path, *args, **kwargs):
        raise OSError("disk full")

    tifffile.imwrite(tmp_path / "a.tif", STACK[0])
    image = load(tmp_path / "a.tif")
    out = tmp_path / "out"
    monkeypatch.setattr("tifffile.imwrite", lambda path, *a, **k: fail(path))
    monkeypatch.setattr("nibabel.save", lambda image, path: fail(path))
    with pytest.raises(RuntimeError, match="disk full"):
        save(image, out, np.float32, writer, extension)
    assert list(out.iterdir()) == []


def nifti(path, array):
    nibabel.save(nibabel.Nifti1Image(array, np.diag([4.0, 4.0, 50.0, 1.0])), path)
    return path


@pytest.mark.parametrize("shape", [(4, 3), (4, 3, 1), (4, 3, 2)])
def test_a_nifti_comes_back_in_its_shape_and_place(tmp_path, shape):
    image = load(nifti(tmp_path / "a.nii.gz", np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)))
    save(image, tmp_path / "out", np.uint8, NiftiWriter, ".nii.gz")
    one, other = (nibabel.load(path) for path in (tmp_path / "a.nii.gz", tmp_path / "out" / "a_out.nii.gz"))
    assert other.shape == shape
    assert np.array_equal(one.get_fdata(), other.get_fdata())
    assert np.array_equal(one.affine, other.affine)


def test_a_damaged_nifti_is_refused_and_not_filled_up_with_zeros(tmp_path):
    path = nifti(tmp_path / "a.nii.gz", np.random.default_rng(0).integers(0, 255, (40, 40, 9), np.uint8))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"a.nii.gz cannot be read"):
        load(path)


def result_of(name, tmp_path, **options):
    """The name of what is saved for an image of zeros."""
    (tmp_path / "in").mkdir(exist_ok=True)
    if name.endswith(".tif"):
        tifffile.imwrite(tmp_path / "in" / name, np.zeros((3, 4), np.uint8))
    else:
        nifti(tmp_path / "in" / name, np.zeros((4, 3, 2), np.uint8))
    save = SaveSectionsd("image", output_dir=tmp_path / "out", output_postfix="label", print_log=False, **options)
    save({"image": load(tmp_path / "in" / name)})
    (written,) = (tmp_path / "out").iterdir()
    return written.name


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.nii.gz", "a_label.nii.gz"),
        ("a.nii", "a_label.nii.gz"),
        ("a.tif", "a_label.tif"),
        ("a.b.ome.tif", "a.b_label.tif"),
    ],
)
def test_results_of_nifti_are_nifti_and_of_others_tiff(tmp_path, name, expected):
    assert result_of(name, tmp_path) == expected


@pytest.mark.parametrize("ending", [".tif", ".nii", ".nii.gz"])
@pytest.mark.parametrize("name", ["a.nii.gz", "a.tif"])
def test_an_ending_that_is_given_is_that_of_all(tmp_path, name, ending):
    assert result_of(name, tmp_path, output_ext=ending) == f"a_label{ending}"


def test_an_ending_that_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"output_ext '\.png': one of \.tif"):
        SaveSectionsd("image", output_dir=tmp_path, output_ext=".png")


@pytest.mark.parametrize(
    ("name", "result"),
    [("t012.tif", "mask012.tif"), ("plate1.A1.tif", "plate1.A1_instances.tif"), ("a.b.nii.gz", "a.b_instances.tif")],
)
def test_the_points_in_a_name_are_part_of_it(tmp_path, name, result):
    image = MetaTensor(np.zeros((1, 4, 3), np.uint8), meta={"filename_or_obj": str(tmp_path / "in" / name)})
    writer = SaveImage(
        tmp_path / "out",
        output_postfix="",
        output_ext=".tif",
        separate_folder=False,
        writer=TiffWriter,
        output_name_formatter=challenge_name,
        print_log=False,
    )
    writer(image)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [result]


def test_a_nifti_keeps_its_unit(tmp_path):
    image = nibabel.Nifti1Image(np.zeros((4, 3, 2), np.uint8), np.diag([0.3, 0.3, 2, 1]))
    image.header.set_xyzt_units("micron")
    nibabel.save(image, tmp_path / "a.nii.gz")
    save(load(tmp_path / "a.nii.gz"), tmp_path / "out", np.uint8, NiftiWriter, ".nii.gz")
    written = nibabel.load(tmp_path / "out" / "a_out.nii.gz")
    assert written.header.get_xyzt_units()[0] == "micron"
    assert np.allclose(written.affine, image.affine)


def write_hdf5(path):
    h5py = pytest.importorskip("h5py", reason="needs the extra `formats`")
    with h5py.File(path, "w") as file:
        file["raw"] = STACK


@pytest.mark.parametrize(
    ("name", "write", "result"),
    [
        ("a.jpg", lambda path: Image.fromarray(STACK[0]).save(path), "a_label.tif"),
        ("a.bmp", lambda path: Image.fromarray(STACK[0]).save(path), "a_label.tif"),
        ("a.h5", write_hdf5, "a_label.tif"),
        ("a", lambda path: write_series(path, STACK), "a_label.nii.gz"),
        ("a.mha", lambda path: SimpleITK.WriteImage(SimpleITK.GetImageFromArray(STACK), path), "a_label.nii.gz"),
    ],
)
def test_the_affine_of_an_image_decides_what_its_result_is(tmp_path, name, write, result):
    write(tmp_path / name)
    image = load(tmp_path / name)
    SaveSectionsd("image", output_dir=tmp_path / "out", output_postfix="label", print_log=False)({"image": image})
    (written,) = (tmp_path / "out").iterdir()
    assert written.name == result
    assert np.array_equal(read_stack(written)[0], image.numpy()[0].reshape(4, 3, -1)[..., 0].T)
    if result.endswith(".nii.gz"):
        assert np.allclose(nibabel.load(written).affine, open_source(tmp_path / name).info.affine)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("stack", [STACK, STACK[0]])
def test_a_tiff_says_how_large_its_pixels_are_and_whether_they_are_labels(tmp_path, dtype, stack):
    axes = "ZYX"[-stack.ndim :]
    sizes = {"PhysicalSizeX": 4.0, "PhysicalSizeY": 5.0, "PhysicalSizeZ": 50.0}
    sizes |= {f"PhysicalSize{axis}Unit": "nm" for axis in "XYZ"}
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, photometric="minisblack", metadata={"axes": axes, **sizes})
    save(load(tmp_path / "a.ome.tif"), tmp_path / "out", dtype)
    written = tmp_path / "out" / "a.ome_out.tif"
    info = open_source(written).info
    assert (info.spacing[-stack.ndim :], info.unit) == ((50.0, 5.0, 4.0)[-stack.ndim :], "nanometer")
    assert tiff_holds_labels(written) is (dtype != np.float32)
    assert np.array_equal(tifffile.imread(written), stack)


def test_a_tiff_of_a_type_that_ome_lacks_is_written_without_a_description(tmp_path):
    save(MetaTensor(torch.tensor([[[1.0, 2.0]]]), meta={"filename_or_obj": "a.tif"}), tmp_path, np.float16)
    with tifffile.TiffFile(tmp_path / "a_out.tif") as tiff:
        assert not tiff.is_ome
        assert tiff.asarray().tolist() == [[1], [2]]


def test_the_same_pixels_give_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        save(MetaTensor(torch.ones((1, 5, 4)), meta={"filename_or_obj": "a.tif"}), tmp_path / name, np.uint8)
    assert (tmp_path / "one" / "a_out.tif").read_bytes() == (tmp_path / "two" / "a_out.tif").read_bytes()


def test_a_nifti_of_labels_says_so(tmp_path):
    for dtype, expected in ((np.uint8, "label"), (np.float32, "none")):
        image = load(nifti(tmp_path / "a.nii.gz", np.ones((4, 3, 2), np.uint8)))
        save(image, tmp_path / "out", dtype, NiftiWriter, ".nii.gz")
        assert nibabel.load(tmp_path / "out" / "a_out.nii.gz").header.get_intent()[0] == expected
