"""What other programs' readers say of the files that monai-unet writes: kind, shape, size of a pixel, levels.

    python benchmarks/opens.py --out benchmarks/results/opens_DATE.md

Predicts two synthetic EM sections of 1100 x 1050 pixels with the bundle `isbi_compact`, as every kind of file, and
opens each with every reader that is installed: tifffile, bioio, SimpleITK, nibabel, zarr, ome-zarr, ome-zarr-models
and, in napari, its own readers, the plugins napari-ome-zarr and napari-tiff, and this package's. `--picture FILE.png`
is what napari shows of the Zarr; it needs a screen, or `xvfb-run`.
"""

from __future__ import annotations

import argparse
import datetime
import logging
import os
import re
import shlex
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from _measure import publish, where_it_ran
from monai.bundle import ConfigWorkflow

from monai_unet.data.synthetic import synthetic_sections
from monai_unet.prediction.out_of_core import predict
from monai_unet.shipped import bundle_folder
from monai_unet.viewer.reader import get_reader

BUNDLE = "isbi_compact"
SIZE = (1100, 1050)
SPACING = (50.0, 4.0, 4.0)  # nanometres
HEADER = ("reader", "kind", "shape, type", "size of a pixel", "levels", "names, notes")
PACKAGES = (
    *("tifffile", "bioio", "bioio-ome-tiff", "bioio-ome-zarr", "SimpleITK", "nibabel", "zarr", "ome-zarr"),
    *("ome-zarr-models", "napari", "napari-ome-zarr", "napari-tiff"),
)

Row = tuple[str, str, str, str, str]


def write_all(folder: Path) -> dict[str, Path]:
    """One file of every kind, by what it is."""
    image = folder / "em.ome.tif"
    sections, _ = synthetic_sections(2, SIZE[0], seed=0)
    described: dict[str, Any] = {"axes": "ZYX"}
    for axis, size in zip("ZYX", SPACING, strict=True):
        described |= {f"PhysicalSize{axis}": size, f"PhysicalSize{axis}Unit": "nm"}
    tifffile.imwrite(image, sections[..., : SIZE[1]], photometric="minisblack", metadata=described)
    options: dict[str, Any] = {"device": "cpu", "progress": False}
    store = folder / "out.ome.zarr"
    files = {"OME-Zarr, instances and label": store}
    for output in ("instances", "label"):
        predict(image, store, BUNDLE, output=output, **options)
    small = {"roi": [(0, 700), (0, 600)]}  # fits a screen, so it has no levels and no tiles
    files["OME-TIFF, instances, 700 x 600 pixels"] = predict(
        image, folder / "small.ome.tif", BUNDLE, output="instances", **small, **options
    )
    for output in ("instances", "label", "probability"):
        files[f"OME-TIFF, {output}"] = predict(image, folder / f"{output}.ome.tif", BUNDLE, output=output, **options)
    files["NIfTI, instances"] = predict(image, folder / "instances.nii.gz", BUNDLE, output="instances", **options)
    config = bundle_folder(BUNDLE) / "configs" / "inference.json"
    values = {"input_dir": str(image), "output_dir": str(folder / "inference"), "device": "cpu"}
    workflow = ConfigWorkflow(str(config), workflow_type="infer", run_id="inference", logging_file=False, **values)
    workflow.initialize()
    workflow.run()
    files["TIFF of `inference`, label"] = folder / "inference" / "em_label.tif"
    return files


def of_tifffile(path: Path) -> Iterator[Row]:
    """The first series, as most programs in Python see a TIFF."""
    if ".tif" not in path.name:
        return
    with tifffile.TiffFile(path) as tiff:
        series, page = tiff.series[0], tiff.pages.first
        across = page.tags["XResolution"].value
        size = f"{across[1] / across[0] * 1e7:.4g} nm by the resolution tag" if page.resolutionunit == 3 else "none"
        levels = [level.shape[-2:] for level in series.levels]
        yield f"{series.kind}, {series.axes}", said(series.shape, series.dtype), size, shapes(levels), page.software


def of_bioio(path: Path) -> Iterator[Row]:
    """BioIO, which AICSImageIO has become."""
    if path.name.endswith(".nii.gz"):
        return
    from bioio import BioImage

    image = BioImage(path)
    sizes = image.physical_pixel_sizes
    yield (
        image.dims.order,
        said(image.shape, image.dtype),
        f"{sizes.Z:g}, {sizes.Y:g}, {sizes.X:g} {image.dimension_properties.X.unit or ''}".strip(),
        str(len(image.resolution_levels)),
        f"channels {', '.join(map(str, image.channel_names))}",
    )


def of_simpleitk(path: Path) -> Iterator[Row]:
    """ITK, which Slicer and ITK-SNAP read with."""
    if path.is_dir():
        return
    import SimpleITK

    image = SimpleITK.ReadImage(str(path))
    spacing = ", ".join(f"{size:.6g}" for size in reversed(image.GetSpacing()))
    kind = image.GetPixelIDTypeAsString()
    yield "image", f"{image.GetSize()[::-1]} {kind}", f"{spacing} (ITK counts in mm)", "-", ""


def of_nibabel(path: Path) -> Iterator[Row]:
    """The reference for NIfTI."""
    if ".nii" not in path.name:
        return
    import nibabel

    image: Any = nibabel.load(path)
    zooms = ", ".join(f"{size:.4g}" for size in image.header.get_zooms())
    unit = image.header.get_xyzt_units()[0]
    intent = image.header.get_intent()[0]
    yield f"intent {intent}", said(image.shape, image.get_data_dtype()), f"{zooms} {unit} (x, y, z)", "-", ""


def of_zarr(path: Path) -> Iterator[Row]:
    """The tree of a Zarr."""
    if not path.is_dir():
        return
    import zarr

    group: Any = zarr.open_group(path, mode="r")
    for name in ("", "labels/instances", "labels/label"):
        part = group[name] if name else group
        arrays = [array for _, array in sorted(part.arrays())]
        finest = arrays[0]
        yield f"group `{name or '/'}`", said(finest.shape, finest.dtype), "-", shapes([a.shape for a in arrays]), ""


def of_ome_zarr(path: Path) -> Iterator[Row]:
    """The reader under napari-ome-zarr, of the authors of the format."""
    if not path.is_dir():
        return
    from ome_zarr.io import parse_url
    from ome_zarr.reader import Reader

    for node in Reader(parse_url(path))():
        if not node.data:
            continue
        kinds = [type(spec).__name__ for spec in node.specs]
        scale = node.metadata["coordinateTransformations"][0][0]["scale"]
        unit = node.metadata["axes"][-1].get("unit", "")
        data = node.data
        notes = f"image of {node.metadata['image']['source']}" if "image" in node.metadata else ""
        yield (
            ", ".join(kinds),
            said(data[0].shape, data[0].dtype),
            f"{numbers(scale)} {unit}",
            shapes([level.shape for level in data]),
            notes,
        )


def of_ome_zarr_models(path: Path) -> Iterator[Row]:
    """A validator of NGFF."""
    if not path.is_dir():
        return
    import ome_zarr_models
    import zarr

    for name in ("", "labels", "labels/instances", "labels/label"):
        found = ome_zarr_models.open_ome_zarr(zarr.open_group(path / name, mode="r"))
        yield f"`{name or '/'}` valid", type(found).__name__, "-", "-", f"NGFF {found.ome_zarr_version}"


def in_napari(plugin: str | None) -> Callable[[Path], Iterator[Row]]:
    """A reader of napari by the name of its plugin; None is the one of this package."""

    def opened(path: Path) -> Iterator[Row]:
        from napari.components import ViewerModel
        from napari.layers import Layer

        if plugin is None:
            reader = get_reader(path)
            if reader is None:
                return
            layers: Any = reader(path)
        else:
            from npe2 import PluginManager
            from npe2.io_utils import read

            PluginManager.instance().discover()
            try:
                layers = read([str(path)], stack=False, plugin_name=plugin)
            except ValueError:  # it does not take such a file
                return
        for data, *rest in layers:
            options = dict(rest[0]) if rest else {}
            axis = options.pop("channel_axis", None)
            if axis is None:
                made = Layer.create(data, options, *rest[1:])  # napari guesses a kind that is not given
            else:
                made = ViewerModel().add_image(data, channel_axis=axis, **options)[0]
            levels = made.data if made.multiscale else [made.data]
            units = sorted({str(unit) for unit in made.units})
            yield (
                f"{type(made).__name__}",
                said(levels[0].shape, levels[0].dtype),
                f"{numbers(made.scale)} {', '.join(units)}",
                shapes([level.shape for level in levels]),
                made.name,
            )

    return opened


READERS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "tifffile": of_tifffile,
    "bioio": of_bioio,
    "SimpleITK": of_simpleitk,
    "nibabel": of_nibabel,
    "zarr": of_zarr,
    "ome-zarr": of_ome_zarr,
    "ome-zarr-models": of_ome_zarr_models,
    "napari alone": in_napari("napari"),
    "napari-tiff": in_napari("napari-tiff"),
    "napari-ome-zarr": in_napari("napari-ome-zarr"),
    "napari, monai-unet": in_napari(None),
}


def said(shape: Any, dtype: Any) -> str:
    """Shape and type as one cell."""
    return f"{' x '.join(map(str, shape))}, {np.dtype(dtype).name}"


def shapes(levels: list[Any]) -> str:
    """How many levels, and the height and width of each."""
    return f"{len(levels)}: {'; '.join(' x '.join(map(str, level[-2:])) for level in levels)}"


def numbers(values: Any) -> str:
    """Numbers as one cell."""
    return ", ".join(f"{value:.6g}" for value in values)


def reason(error: Exception, path: Path) -> str:
    """The line of an error that says why, without what differs from run to run."""
    line = str(error).splitlines()[-1].replace(f"{path.parent}/", "")
    return f"{type(error).__name__}: {re.sub(r'[(]0x[0-9a-f]+[)]', '', line)}"


def table(path: Path) -> list[str]:
    """What each reader says of a file."""
    lines = [f"| {' | '.join(HEADER)} |", "|---" * len(HEADER) + "|"]
    for name, reader in READERS.items():
        try:
            rows = list(reader(path))
        except ImportError as error:
            rows = [("not installed", str(error), "", "", "")]
        except Exception as error:  # of whatever package it is: an answer too
            rows = [("error", "", "", "", reason(error, path))]
        lines += [f"| {' | '.join((name, *row))} |" for row in rows]
    return lines


def take_picture(store: Path, out: Path) -> None:
    """A screenshot of napari with the store, opened by this package's reader."""
    import napari

    viewer = napari.Viewer(show=False)
    for data, options, kind in get_reader(store)(store):  # type: ignore[misc]
        getattr(viewer, f"add_{kind}")(data, **options)
    viewer.window.resize(1200, 800)
    viewer.reset_view()
    viewer.screenshot(out, canvas_only=False, flash=False)
    viewer.close()


def main() -> None:
    """Write, open, publish."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    installed = [name for name in PACKAGES if _is_installed(name)]
    lines = [
        "# What opens the results",
        "",
        f"- Command: `python {shlex.join(sys.argv)}`",
        f"- Date: {datetime.date.today()}",
        f"- Machine: {where_it_ran('monai-unet', *installed)}",
        f"- Image: two synthetic EM sections of {SIZE[0]} x {SIZE[1]} pixels of 50 x 4 x 4 nm; bundle `{BUNDLE}`",
        "",
        "What each reader says of each file, and nothing that was not read. A reader that does not take a kind of",
        "file is left out there. Rows of napari are the layers that it makes: an *Image* in grey or *Labels* in",
        "colours. ITK reads no tiled TIFF, whoever wrote it: larger than 1024 pixels, what its programs are to open",
        "should be a NIfTI. Fiji, QuPath and Slicer were not at hand.",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for what, path in write_all(Path(folder)).items():
            lines += ["", f"## {what}", "", f"`{path.name}`", "", *table(path)]
            if args.picture and path.is_dir():
                take_picture(path, args.picture)
                lines += ["", "In napari, through the last of these readers:", "", f"![napari]({args.picture.name})"]
    publish(lines, args.out)


def _is_installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    main()
