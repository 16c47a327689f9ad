"""TIFF read box by box: only the tiles and strips that the box touches are read and decoded."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from xml.etree import ElementTree

import numpy as np

from monai_unet.io.sources.base import METRES, Box, ImageInfo, ImageSource, is_grey_ramp, say_transparent, unit_name
from monai_unet.io.sources.channels import COLOURS

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

OME_PIXEL = "pixel"
"""The unit of OME for what is counted in pixels."""

_GREY = "expected grey or RGB sections of one size; convert it first"
_JPEG = (6, 7, 34892, 33007)  # compressions whose YCbCr is decoded to RGB
_LARGE_TILE = 1 << 28  # pixels
_OTHER_COLOURS = (5, 8, 9, 10)  # CMYK and three kinds of Lab, which would pass for grey values or RGB


@dataclass(frozen=True)
class _Layout:
    """Where the planes of a file lie: plane (c, z) is page `pages[c][z]`, or lies at byte `starts[c][z]` as it is."""

    pages: list[list[TiffPage]]
    starts: list[list[int]] | None
    shape: tuple[int, int, int]
    samples: int
    kept: list[int]  # of groups x samples: all but transparency
    spacing: tuple[float, float, float] | None
    unit: str | None
    colour_table: bool
    origin: tuple[float, float, float] | None
    names: tuple[str, ...]
    pages_named: bool


class TiffSource(ImageSource):
    """A TIFF of sections: one page per section, or as OME and ImageJ describe their pages.

    Uncompressed strips are read row by row; a compressed one is decoded as a whole for every box that touches it, so
    that a compressed page in a single strip is not read by region: tiles serve better.
    """

    def _open(self) -> _Layout:
        with open_tiff(self.path) as tiff:
            return _layout(tiff, self.path.stat().st_size)

    def _describe(self) -> ImageInfo:
        layout = self._file
        dtype = np.dtype(layout.pages[0][0].dtype).newbyteorder("=")
        dtype = np.dtype(np.uint8) if dtype.kind == "b" else dtype
        ndim = 2 if layout.shape[0] == 1 else 3
        return ImageInfo(
            self.path,
            layout.shape,
            len(layout.kept),
            dtype,
            ndim,
            layout.spacing,
            layout.unit,
            origin=layout.origin,
            colour_table=layout.colour_table,
            channels_in="pages"
            if len(layout.pages) > 1
            else "planes"
            if layout.pages[0][0].planarconfig == 2
            else "pixels",
            channel_names=layout.names if len(layout.names) == len(layout.kept) else (),
            pages_named=layout.pages_named,
        )

    def _read(self, box: Box) -> np.ndarray:
        layout = self._file
        sections, rows, columns = box
        extent = tuple(part.stop - part.start for part in box)
        samples = layout.samples
        block = np.empty((len(layout.pages) * samples, *extent), self.info.dtype)
        if block.size == 0:
            return block[layout.kept]
        # a handle of its own for every call: threads do not wait for each other, and nothing stays open
        with self.path.open("rb", buffering=0) as file:
            for group, pages in enumerate(layout.pages):
                for z in range(sections.start, sections.stop):
                    out = block[group * samples : (group + 1) * samples, z - sections.start]
                    if layout.starts is not None:
                        _read_rows(file, pages[0], layout.starts[group][z], 0, (rows, columns), out)
                    else:
                        _read_page(file, pages[z], (rows, columns), out)
        return block if len(layout.kept) == len(block) else block[layout.kept]


def _read_page(file: BinaryIO, page: TiffPage, box: tuple[slice, slice], out: np.ndarray) -> None:
    """Fill `out` (samples, h, w) from the segments of a page that touch the box."""
    rows, columns = box
    height, width = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
    down, across = math.ceil(page.imagelength / height), math.ceil(page.imagewidth / width)
    planes = page.samplesperpixel if page.planarconfig == 2 else 1
    for plane in range(planes):
        to = out[plane : plane + 1] if planes > 1 else out
        for i in range(rows.start // height, (rows.stop - 1) // height + 1):
            part = slice(max(rows.start, i * height), min(rows.stop, (i + 1) * height))
            target = to[:, part.start - rows.start : part.stop - rows.start]
            for j in range(columns.start // width, (columns.stop - 1) // width + 1):
                index = (plane * down + i) * across + j
                if _is_plain(page) and not page.is_tiled:
                    _read_rows(file, page, page.dataoffsets[index], i * height, (part, columns), target)
                    continue
                segment = _decode(file, page, index)  # (h, w, samples)
                left, right = max(columns.start, j * width), min(columns.stop, (j + 1) * width)
                inside = segment[part.start - i * height : part.stop - i * height, left - j * width : right - j * width]
                target[:, :, left - columns.start : right - columns.start] = inside.transpose(2, 0, 1)


def _read_rows(
    file: BinaryIO, page: TiffPage, start: int, first: int, box: tuple[slice, slice], out: np.ndarray
) -> None:
    """Fill `out` from uncompressed rows, the first of them `first` at byte `start`; reads the columns of the box only.

    Plain reads, not a memory map: mapped pages count as memory of the process.
    """
    rows, columns = box
    samples = page.samplesperpixel if page.planarconfig == 1 else 1
    dtype = np.dtype(page.dtype).newbyteorder(page.parent.byteorder)
    pixel = samples * dtype.itemsize
    width = columns.stop - columns.start
    for y in range(rows.start, rows.stop):
        file.seek(start + ((y - first) * page.imagewidth + columns.start) * pixel)
        line = np.frombuffer(_exactly(file, width * pixel), dtype)
        out[:, y - rows.start] = line.reshape(width, samples).T


def _decode(file: BinaryIO, page: TiffPage, index: int) -> np.ndarray:
    """One tile or strip, (h, w, samples)."""
    offset, count = page.dataoffsets[index], page.databytecounts[index]
    file.seek(offset)
    # of no bytes: a sparse file leaves out what is background
    data = _exactly(file, count) if offset and count else None
    keys = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
    try:
        segment, _, shape = page.decode(data, index, **{name: key for name, key in keys.items() if key is not None})
    except Exception as error:  # every codec has its own
        raise ValueError(f"its {'tile' if page.is_tiled else 'strip'} {index} cannot be decoded: {error}") from error
    if segment is None:
        segment = np.full(shape, page.nodata, page.dtype)
    return segment[0]


def _exactly(file: BinaryIO, count: int) -> bytes:
    data = file.read(count)
    while len(data) < count:  # an unbuffered read may return less, and does beyond 2 GB
        more = file.read(count - len(data))
        if not more:
            raise ValueError("its pixel data is cut off; fetch or copy it again")
        data += more
    return data


def _is_plain(page: TiffPage) -> bool:
    """Whether the pixels lie in the file as they lie in memory."""
    return (
        page.compression == 1
        and page.predictor == 1
        and page.fillorder == 1
        and page.photometric in (1, 2, 3)
        and page.bitspersample in (8, 16, 32, 64)
    )


def _layout(tiff: TiffFile, size: int) -> _Layout:
    # all pages, not the first series: a series silently drops the pages whose shape or type differs from the first
    pages = [page for page in (page.aspage() for page in tiff.pages) if not page.is_reduced]  # no previews
    if not pages:
        raise ValueError("it holds no picture of full size")
    _check(tiff, pages, size)
    samples = pages[0].samplesperpixel
    axes, shape = _axes(tiff, pages)
    num_groups = shape[axes.index("C")] if "C" in axes else 1
    depth = math.prod(shape) // num_groups
    # ImageJ describes a stack of more than 4 GB by its first page; the others lie behind it
    step = math.prod(pages[0].shape) * np.dtype(pages[0].dtype).itemsize
    in_one_piece = len(pages) == 1 < num_groups * depth and _is_plain(pages[0])
    if num_groups * depth != len(pages) and not (
        in_one_piece and pages[0].dataoffsets[0] + num_groups * depth * step <= size
    ):
        raise ValueError(
            f"it announces {num_groups * depth} pages, and their number is {len(pages)}: it is damaged or cut off"
        )
    channel = axes.index("C") if "C" in axes else 0
    order = np.moveaxis(np.arange(num_groups * depth).reshape(shape), channel, 0).reshape(num_groups, depth)
    spacing, unit = _spacing(tiff, pages[0])
    extent = (depth, pages[0].imagelength, pages[0].imagewidth)
    if in_one_piece:
        planes = [[pages[0]]] * num_groups
        starts = [[pages[0].dataoffsets[0] + int(i) * step for i in group] for group in order]
    else:
        planes, starts = [[pages[i] for i in group] for group in order], None
    has_table = any(map(_has_colour_table, pages))
    origin = _ome_origin(tiff.ome_metadata, unit) if tiff.is_ome and tiff.ome_metadata else None
    is_named = bool(tiff.is_ome or tiff.is_imagej or "C" in _shaped_axes(tiff) or "Z" in _shaped_axes(tiff))
    is_named |= len(pages) == 1 and pages[0].planarconfig == 1 and not in_one_piece
    # where planes may be sections, the last one stays
    colours = samples - (len(_transparency(pages[0])) if is_named else 0)
    kept = [group * samples + sample for group in range(num_groups) for sample in range(colours)]
    if colours < samples:
        say_transparent(Path(tiff.filehandle.path))
    names = _channel_names(tiff, pages[0], colours)
    return _Layout(planes, starts, extent, samples, kept, spacing, unit, has_table, origin, names, is_named)


def _transparency(page: TiffPage) -> tuple[int, ...]:
    """The samples of a pixel that say how transparent it is (1 and 2 of the tag ExtraSamples); they come last."""
    return tuple(int(extra) for extra in page.extrasamples if int(extra) in (1, 2))


def _channel_names(tiff: TiffFile, page: TiffPage, colours: int) -> tuple[str, ...]:
    """As OME-XML and ImageJ have them, or red, green and blue; empty where they do not tell the channels apart."""
    names: tuple[str, ...] = ()
    if colours == 3 and page.photometric in (2, 6):
        names = COLOURS
    elif tiff.is_ome and tiff.ome_metadata:
        channels = ElementTree.fromstring(tiff.ome_metadata).iterfind(".//{*}Pixels/{*}Channel")
        names = tuple(channel.get("Name", "") for channel in channels)
    elif tiff.is_imagej:
        labels = (tiff.imagej_metadata or {}).get("Labels") or ()
        names = tuple(map(str, (labels,) if isinstance(labels, str) else labels))
    return names if all(names) and len(set(names)) == len(names) else ()


def _shaped_axes(tiff: TiffFile) -> str:
    """The axes in tifffile's own description, which has them where they were given; else empty."""
    described = tiff.shaped_metadata if tiff.is_shaped else None
    axes = described[0].get("axes", "") if described else ""
    return axes if isinstance(axes, str) else ""


def _check(tiff: TiffFile, pages: list[TiffPage], size: int) -> None:
    import tifffile

    shapes = sorted({(page.shape, str(page.dtype)) for page in pages})
    if len(shapes) > 1:
        raise ValueError(f"its pages differ in shape or type: {shapes}; sections must be of one size")
    first = pages[0]
    if first.dtype is None or first.axes not in ("YX", "YXS", "SYX"):
        raise ValueError(f"a page has the shape {first.shape}; {_GREY}")
    for page in pages:
        if page.photometric == 0:
            raise ValueError("it is stored with white as 0; save it with black as 0")
        if page.compression not in tifffile.TIFF.DECOMPRESSORS:
            name = getattr(page.compression, "name", page.compression)
            raise ValueError(f"its compression {name} is not supported; save it with LZW, zlib or without")
        if page.photometric in _OTHER_COLOURS or (page.photometric == 6 and page.compression not in _JPEG):
            name = getattr(page.photometric, "name", page.photometric)
            raise ValueError(f"its colours are stored as {name}; {_GREY}")
        # tifffile fills with zeros what lies behind the end of a file that was cut off
        ends = (at + count for at, count in zip(page.dataoffsets, page.databytecounts, strict=False))
        end = max(ends, default=0)
        if end > size or not page.dataoffsets:
            raise ValueError(f"it is cut off: {size} bytes of at least {end}; fetch or copy it again")
        _check_segments(page)
        page.decode  # noqa: B018  made here, as it looks into the first strip of a JPEG, and kept with the page


def _check_segments(page: TiffPage) -> None:
    """Refuse tiles and strips that do not make up the page, or are so large that one fills the memory."""
    height, width = (page.tilelength, page.tilewidth) if page.is_tiled else (page.rowsperstrip, page.imagewidth)
    what = "tile" if page.is_tiled else "strip"
    if not (height and width) or not page.imagelength:
        raise ValueError(f"its {what}s have {height} x {width} pixels, the page {page.shape}: it is damaged")
    expected = math.ceil(page.imagelength / height) * math.ceil(page.imagewidth / width)
    expected *= page.samplesperpixel if page.planarconfig == 2 else 1
    if len(page.dataoffsets) < expected:
        raise ValueError(
            f"its page is made of {expected} {what}s and it names {len(page.dataoffsets)}: it is damaged or cut off"
        )
    if height * width > max(_LARGE_TILE, 4 * page.imagelength * page.imagewidth):
        raise ValueError(f"its {what}s have {height} x {width} pixels, the page {page.shape}: it is damaged")


def _has_colour_table(page: TiffPage) -> bool:
    """Whether the numbers are no grey values: a table gives them other ones, or colours."""
    if page.photometric != 3:
        return False
    table, num_values = page.colormap, 2**page.bitspersample
    return table is None or table.shape != (3, num_values) or not is_grey_ramp(table.T, num_values)


def _check_description(tiff: TiffFile) -> None:
    """Refuse OME-XML that names other files, which tifffile would open, or more planes than there are pages."""
    if not (tiff.is_ome and tiff.ome_metadata):
        return
    root = ElementTree.fromstring(tiff.ome_metadata)
    own = root.get("UUID")
    for uuid in root.iterfind(".//{*}TiffData/{*}UUID"):
        if own is None and uuid.get("FileName", "").lower() == tiff.filename.lower():
            own = uuid.text
        elif uuid.text != own:
            raise ValueError(f"its sections lie in several files ({uuid.get('FileName')}); save them in one")
    num_pages = len(tiff.pages)
    for pixels in root.iterfind(".//{*}Image/{*}Pixels"):
        counts = [int(pixels.get(f"Size{axis}", 1)) for axis in "ZT"]
        for data in pixels.iterfind("{*}TiffData"):
            counts += [int(data.get(name, 0)) for name in ("PlaneCount", "NumPlanes")]
        if math.prod(counts[:2]) > num_pages or max(counts) > num_pages:
            announced = max(math.prod(counts[:2]), *counts)
            raise ValueError(
                f"it announces {announced} pages, and their number is {num_pages}: it is damaged or cut off"
            )


def _axes(tiff: TiffFile, pages: list[TiffPage]) -> tuple[str, tuple[int, ...]]:
    """What the pages count, "CZ" say, and how many of each."""
    # ImageJ and tifffile may describe a stack by its first page alone
    one_for_all = len(tiff.pages) == 1 or "C" in _shaped_axes(tiff)
    if not (tiff.is_ome or tiff.is_imagej or (tiff.is_shaped and one_for_all)):
        return "Z", (len(pages),)
    _check_description(tiff)
    series = tiff.series
    if len(series) > 1:
        raise ValueError(f"it holds {len(series)} images; save each in a file of its own")
    if tiff.is_imagej and series[0].kind.lower() != "imagej":  # tifffile then leaves the description aside
        announced = math.prod(int((tiff.imagej_metadata or {}).get(n, 1)) for n in ("channels", "slices", "frames"))
        raise ValueError(f"ImageJ's description announces {announced} sections and channels: it is damaged or cut off")
    # the page's own axes are the last ones
    pairs = [(axis, n) for axis, n in zip(series[0].axes, series[0].shape, strict=True) if axis not in "YXS"]
    pairs = [(axis, n) for axis, n in pairs if n > 1] or [("Z", 1)]
    axes, shape = "".join(axis for axis, _ in pairs), tuple(n for _, n in pairs)
    if len(axes.replace("C", "")) > 1:
        raise ValueError(f"it has the axes {series[0].axes} of {series[0].shape}; expected one axis of sections")
    return axes, shape


def _spacing(tiff: TiffFile, page: TiffPage) -> tuple[tuple[float, float, float] | None, str | None]:
    """Size of a pixel as (z, y, x), and the unit. Inches are left out: they are where to print, and often made up."""
    if tiff.is_ome and tiff.ome_metadata:
        return _ome_spacing(tiff.ome_metadata)
    across, down = (_pixel(page, name) for name in ("XResolution", "YResolution"))
    imagej = (tiff.imagej_metadata or {}) if tiff.is_imagej else {}
    if across is None or down is None:
        return None, None
    unit = unit_name(imagej.get("unit"))
    if unit is not None:
        z = _number(imagej, "spacing")
        own = unit_name(imagej.get("zunit"))  # ImageJ may give z in a unit of its own
        if own is not None and unit is not None:
            z *= METRES[own] / METRES[unit]
        return (z, down, across), unit
    if page.resolutionunit == 3 and not tiff.is_imagej:
        return (1.0, down * 1e4, across * 1e4), "micrometer"
    return None, None


def _pixel(page: TiffPage, name: str) -> float | None:
    tag = page.tags.get(name)
    try:
        pixels, units = tag.value  # type: ignore[union-attr]
        return units / pixels
    except (AttributeError, TypeError, ValueError, ZeroDivisionError):  # there is none, or no fraction
        return None


def _number(described: Mapping[str, Any], name: str) -> float:
    """The value of a size in metadata, 1 where it is missing."""
    value = described.get(name, 1.0)
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"its metadata has the {name} {value!r}; expected a number") from error


def _ome_spacing(xml: str) -> tuple[tuple[float, float, float] | None, str | None]:
    pixels = ElementTree.fromstring(xml).find(".//{*}Pixels")
    if pixels is None or "PhysicalSizeX" not in pixels.attrib:
        return None, None
    unit = unit_name(pixels.get("PhysicalSizeXUnit", "µm"))
    sizes = []
    for axis in "ZYX":
        size = _number(pixels.attrib, f"PhysicalSize{axis}")
        own = unit_name(pixels.get(f"PhysicalSize{axis}Unit", "µm"))
        if unit is not None and own is not None and f"PhysicalSize{axis}" in pixels.attrib:
            size *= METRES[own] / METRES[unit]
        sizes.append(size)
    return (sizes[0], sizes[1], sizes[2]), unit


def _ome_origin(xml: str, unit: str | None) -> tuple[float, float, float] | None:
    """Where the first plane lies, (z, y, x) in `unit`, or in pixels where there is none; None of other units."""
    plane = next((p for p in ElementTree.fromstring(xml).iterfind(".//{*}Plane") if p.get("TheZ") == "0"), None)
    if plane is None:
        return None
    places = []
    for axis in "ZYX":
        given = plane.get(f"Position{axis}Unit")  # "reference frame" without one, which is no length
        own = unit_name(given)
        if f"Position{axis}" in plane.attrib and not (own and unit) and (unit or given != OME_PIXEL):
            return None
        places.append(float(plane.get(f"Position{axis}", 0)) * (METRES[own] / METRES[unit] if own and unit else 1))
    return (places[0], places[1], places[2]) if any(places) else None


@contextmanager
def open_tiff(path: Path) -> Iterator[TiffFile]:
    """A TIFF, whose broken chain of pages is an error: tifffile logs it and goes on with the pages before the break."""
    import tifffile

    class Complaints(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    said: list[str] = []
    log, handler = logging.getLogger("tifffile"), Complaints(logging.ERROR)
    log.addHandler(handler)
    try:
        with tifffile.TiffFile(path) as tiff:
            len(tiff.pages)
            if said:
                raise ValueError(f"it is damaged or cut off: {'; '.join(said)}")
            yield tiff
    finally:
        log.removeHandler(handler)
