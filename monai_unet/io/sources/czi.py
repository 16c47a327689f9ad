"""CZI read box by box, through Zeiss's own library.

BioIO's plugin for CZI is under the GPL, and read colours and scenes of the tests' files wrongly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from monai_unet.io.sources.base import Box, ImageInfo, ImageSource
from monai_unet.io.sources.inside import split_inside

# type of a number and how many a pixel has, by Zeiss's name
_PIXELS = {
    "gray8": (np.uint8, 1),
    "gray16": (np.uint16, 1),
    "gray32float": (np.float32, 1),
    "bgr24": (np.uint8, 3),
    "bgr48": (np.uint16, 3),
}
_IMAGE = "./Metadata/Information/Image/Dimensions/"
_DISTANCE = "./Metadata/Scaling/Items/Distance[@Id='{}']/Value"  # metres
_MOST_NAMED = 20  # scenes in an error


class CziSource(ImageSource):
    """The only scene of a CZI, or the one that the path names, FILE.czi/NAME; in micrometres, colours as RGB.

    Only the tiles that a box touches are read. What no tile covers is 0.
    """

    def _open(self) -> tuple[int | None, tuple[int, int], list[int]]:
        """The scene, place (y, x) of its first pixel, and the numbers of the first channel, section and time."""
        _, scene, corner, firsts = self._layout()
        return scene, corner, firsts

    def _describe(self) -> ImageInfo:
        return self._layout()[0]

    def _layout(self) -> tuple[ImageInfo, int | None, tuple[int, int], list[int]]:
        file, inner = split_inside(self.path)
        with _opened(self.path, file) as opened:
            root = ElementTree.fromstring(opened.raw_metadata or "<ImageDocument/>")
            bounds = opened.total_bounding_box_no_pyramid
            scenes = opened.scenes_bounding_rectangle_no_pyramid
            kinds = {name.lower() for name in opened.pixel_types.values()}
        scene = _scene(file, inner, _scene_names(root, sorted(scenes)))
        others = {axis: stop - start for axis, (start, stop) in bounds.items() if axis not in "TCZYX"}
        if any(size > 1 for size in others.values()):
            raise ValueError(f"it has the axes {others} beside sections and channels; save each image in its own file")
        (first_c, stop_c), (first_z, stop_z), (first_t, stop_t) = (bounds.get(axis, (0, 1)) for axis in "CZT")
        if stop_t - first_t > 1:
            raise ValueError(f"it has {stop_t - first_t} points in time; save each in an image of its own")
        if len(kinds) != 1 or not kinds <= set(_PIXELS):
            raise ValueError(f"its pixels are {', '.join(sorted(kinds))}; expected one of {', '.join(_PIXELS)}")
        dtype, samples = _PIXELS[kinds.pop()]
        if scene is None:
            (x, right), (y, bottom) = bounds["X"], bounds["Y"]
            width, height = right - x, bottom - y
        else:
            x, y, width, height = (int(number) for number in scenes[scene])
        depth, channels = stop_z - first_z, stop_c - first_c
        spacing, names = _spacing(root), _channel_names(root)
        info = ImageInfo(
            self.path,
            (depth, height, width),
            channels * samples,
            np.dtype(dtype),
            ndim=2 if depth == 1 else 3,
            spacing=spacing,
            unit="micrometer" if spacing else None,
            channel_names=names if samples == 1 and len(names) == channels else (),
        )
        return info, scene, (y, x), [first_c, first_z, first_t]

    def _stored_bytes(self, enough: int) -> int:
        return split_inside(self.path)[0].stat().st_size

    def _read(self, box: Box) -> np.ndarray:
        scene, (top, left), (first_c, first_z, first_t) = self._file
        sections, rows, columns = box
        block = np.empty((self.info.channels, *(part.stop - part.start for part in box)), self.info.dtype)
        if block.size == 0:
            return block
        place = (left + columns.start, top + rows.start, columns.stop - columns.start, rows.stop - rows.start)
        # one for every call, as several threads may read
        with _opened(self.path, split_inside(self.path)[0]) as opened:
            samples = 3 if next(iter(opened.pixel_types.values())).lower().startswith("bgr") else 1
            for c in range(self.info.channels // samples):
                for z in range(sections.start, sections.stop):
                    plane = {"C": first_c + c, "Z": first_z + z, "T": first_t}
                    pixels = opened.read(plane=plane, scene=scene, roi=place)  # (h, w, 1), or (h, w, 3): blue first
                    to = block[c * samples : (c + 1) * samples, z - sections.start]
                    to[:] = pixels[..., ::-1].transpose(2, 0, 1)
        return block


def _opened(path: Path, file: Path) -> Any:
    try:
        from pylibCZIrw import czi
    except ImportError as error:
        raise ImportError(f"{path}: CZI needs the package pylibCZIrw: pip install 'monai-unet[formats]'") from error
    return czi.open_czi(str(file))


def _scene_names(root: ElementTree.Element, numbers: Sequence[int]) -> dict[int, str]:
    """Of the scenes with these numbers; a scene without a name of its own has its number for one."""
    said = {scene.get("Index"): scene.get("Name") for scene in root.iterfind(f"{_IMAGE}S/Scenes/Scene")}
    names = {number: said.get(str(number)) or str(number) for number in numbers}
    return names if len(set(names.values())) == len(names) else {number: str(number) for number in numbers}


def _scene(file: Path, inner: str, names: dict[int, str]) -> int | None:
    """The number of the scene; None of a file without scenes."""
    listed = ", ".join(list(names.values())[:_MOST_NAMED]) + (" and more" if len(names) > _MOST_NAMED else "")
    if inner:
        found = [number for number, name in names.items() if name == inner]
        if not found:
            raise ValueError(f"it holds no scene called {inner!r}; it holds {listed or 'none with a name'}")
        return found[0]
    if len(names) > 1:
        first = next(iter(names.values()))
        raise ValueError(f"it holds {len(names)} scenes, {listed}: name one, {file.name}/{first}")
    return next(iter(names), None)


def _spacing(root: ElementTree.Element) -> tuple[float, float, float] | None:
    """Size of a pixel as (z, y, x) in micrometres."""
    z, y, x = (float(root.findtext(_DISTANCE.format(axis)) or 0) * 1e6 for axis in "ZYX")
    return (z or 1.0, y, x) if y and x and math.isfinite(y * x) else None


def _channel_names(root: ElementTree.Element) -> tuple[str, ...]:
    names = [channel.get("Name") for channel in root.iterfind(f"{_IMAGE}Channels/Channel")]
    return tuple(name for name in names if name)
