"""The table of objects, against scikit-image's measurements of the finished files."""

import csv

import nibabel
import numpy as np
import pytest
import tifffile
from skimage.measure import regionprops

pytest.importorskip("zarr", reason="needs the package zarr")

from monai_unet.io.sources import open_source
from monai_unet.io.zarr_store import create_or_open
from monai_unet.prediction.object_table import write_objects


def read(path):
    source = open_source(path)
    return source.read(tuple(slice(0, n) for n in source.info.shape))[0]


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def placed(stack, tmp_path_factory):
    """The stack as an OME-TIFF with the size of its pixels."""
    path = tmp_path_factory.mktemp("placed") / "stack.ome.tif"
    sizes = {"PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25, "PhysicalSizeZ": 2.0}
    tifffile.imwrite(path, tifffile.imread(stack), photometric="minisblack", metadata={"axes": "ZYX", **sizes})
    return path


@pytest.fixture(scope="module")
def measured(placed, predicted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("measured")
    out, table = folder / "out.ome.zarr", folder / "objects.csv"
    predicted(placed, out, output="instances", min_size=4, objects=table, threshold=0.49)
    return out, table


def test_every_object_of_every_section_has_a_row_with_its_place_and_size(measured):
    out, table = measured
    labels, probability = read(out / "labels" / "instances"), read(out)
    rows = iter(rows_of(table))
    for section in range(len(labels)):
        for found in regionprops(labels[section], probability[section]):
            row = next(rows)
            assert (int(row["label"]), int(row["z_start"])) == (found.label, section)
            assert (float(row["z_px"]), float(row["z_micrometer"])) == (section, section * 2)
            y, x = found.centroid
            assert float(row["y_px"]) == pytest.approx(y, abs=6e-4)
            assert float(row["x_micrometer"]) == pytest.approx(x * 0.5, rel=1e-5)
            assert float(row["y_micrometer"]) == pytest.approx(y * 0.25, rel=1e-5)
            corners = [int(row[name]) for name in ("y_start", "x_start", "y_stop", "x_stop")]
            assert corners == list(found.bbox)
            assert int(row["area_px"]) == found.area
            assert float(row["area_micrometer2"]) == pytest.approx(found.area * 0.125)
            assert float(row["mean_probability"]) == pytest.approx(found.intensity_mean, abs=6e-5)
    assert next(rows, None) is None
    assert len(rows_of(table)) > 20


def test_it_is_the_same_beside_a_tiff_and_after_another_run(placed, measured, predicted, tmp_path):
    out, table = measured
    before = table.read_bytes()
    options = {"output": "instances", "min_size": 4, "threshold": 0.49}
    predicted(placed, out, **options, objects=table)
    assert table.read_bytes() == before
    predicted(placed, tmp_path / "out.ome.tif", **options, objects=tmp_path / "objects.csv")
    assert (tmp_path / "objects.csv").read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["objects.csv", "out.ome.tif"]


def test_it_can_be_asked_for_later_where_the_probabilities_are_kept(measured, placed, predicted, monkeypatch, tmp_path):
    out, table = measured
    monkeypatch.setattr("monai_unet.prediction.compute.predict_chunk", None)
    predicted(placed, out, output="instances", min_size=4, threshold=0.49, objects=tmp_path / "later.csv")
    assert (tmp_path / "later.csv").read_bytes() == table.read_bytes()


def test_beside_a_finished_tiff_it_is_refused_or_left_as_it_was(stack, predicted, tmp_path, caplog):
    out, table = tmp_path / "out.ome.tif", tmp_path / "objects.csv"
    predicted(stack, out, output="instances")
    with pytest.raises(FileExistsError, match=r"out\.ome\.tif is finished, and the probabilities .* are gone"):
        predicted(stack, out, output="instances", objects=table)
    out.unlink()
    predicted(stack, out, output="instances", objects=table)
    written = table.stat().st_mtime_ns
    predicted(stack, out, output="instances", objects=table)
    assert table.stat().st_mtime_ns == written
    assert "objects.csv was left as it is" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"output": "label", "objects": "a.csv"}, ValueError, "give --output instances"),
        ({"output": "instances", "objects": "a.xlsx"}, ValueError, r"ends with \.csv"),
        ({"output": "instances", "objects": "precious.csv"}, FileExistsError, "is no table of objects"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_made(stack, predicted, tmp_path, arguments, error, message):
    (tmp_path / "precious.csv").write_text("name,salary\n")
    arguments["objects"] = tmp_path / arguments["objects"]
    with pytest.raises(error, match=message):
        predicted(stack, tmp_path / "out.ome.zarr", **arguments)
    assert [path.name for path in tmp_path.iterdir()] == ["precious.csv"]


def test_without_the_size_of_a_pixel_there_are_no_columns_for_places(stack, predicted, tmp_path):
    predicted(stack, tmp_path / "out.ome.tif", output="instances", objects=tmp_path / "a.csv", roi=[(0, 90), (0, 80)])
    header = (tmp_path / "a.csv").read_text().splitlines()[0]
    assert header == "label,z_px,y_px,x_px,z_start,y_start,x_start,z_stop,y_stop,x_stop,area_px,mean_probability"


def filled(path, pixels, **options):
    made = create_or_open(path, pixels.shape, (2, 3, 4), pixels.dtype, "zyx", (3, 0.4, 0.4), {}, **options)
    for index in made.missing_chunks():
        made.write(index, pixels[made.box(index)])
    return made


def test_in_a_volume_an_object_is_one_through_all_sections_and_lies_where_its_affine_says(tmp_path):
    affine = np.array([[0.0, -0.4, 0, 10], [0.4, 0, 0, 20], [0, 0, 3, 30], [0, 0, 0, 1]])
    labels = np.zeros((4, 6, 9), np.int32)
    labels[1:3, 2:4, 5:8] = 1
    place = {"unit": "millimeter", "affine": affine}
    stores = (
        filled(tmp_path / "labels.zarr", labels, labels=True, **place),
        filled(tmp_path / "p.zarr", labels * np.float32(0.75), **place),
    )
    write_objects(*stores, tmp_path / "objects.csv", by_section=False)
    (row,) = rows_of(tmp_path / "objects.csv")
    assert [float(row[f"{axis}_px"]) for axis in "zyx"] == [1.5, 2.5, 6]
    x, y, z = nibabel.affines.apply_affine(affine, [6, 2.5, 1.5])
    assert [float(row[f"{axis}_millimeter"]) for axis in "xyz"] == pytest.approx([x, y, z])
    assert (row["volume_px"], float(row["volume_millimeter3"])) == ("12", pytest.approx(12 * 3 * 0.16))
    assert row["mean_probability"] == "0.7500"
