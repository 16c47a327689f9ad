"""ND2 and LIF through the readers of BioIO."""

from __future__ import annotations

import importlib
import math
from typing import Any

import numpy as np

from monai_unet.io.sources.base import Box, ImageInfo, ImageSource
from monai_unet.io.sources.inside import split_inside

# the package with the reader of an ending, and what makes it read a plane at a time
_READERS: dict[str, tuple[str, dict[str, Any]]] = {
    ".nd2": ("bioio_nd2", {}),
    ".lif": ("bioio_lif", {"chunk_dims": ["Y", "X"]}),
}
_MOST_NAMED = 20  # scenes in an error


class BioioSource(ImageSource):
    """The only image of an ND2 or LIF, or the one that the path names, FILE.lif/Series003; in micrometres.

    Only the planes that a box touches are read, those of LIF as a whole.
    """

    def _open(self) -> Any:
        file, inner = split_inside(self.path)
        package, options = _READERS[file.suffix.lower()]
        try:
            import bioio

            reader = importlib.import_module(package).Reader
        except ImportError as error:
            name = package.replace("_", "-")
            raise ImportError(
                f"{self.path}: {file.suffix} needs the packages bioio and {name}, for Python 3.11 and later: pip "
                "install 'monai-unet[formats]'"
            ) from error
        image = bioio.BioImage(file, reader=reader, **options)
        scenes = list(image.scenes)
        listed = ", ".join(scenes[:_MOST_NAMED]) + (f" and {len(scenes) - _MOST_NAMED} more" if scenes[20:] else "")
        if inner:
            if scenes.count(inner) != 1:
                raise ValueError(f"it holds {scenes.count(inner)} images called {inner!r}; it holds {listed}")
            image.set_scene(inner)
        elif len(scenes) > 1:
            raise ValueError(f"it holds {len(scenes)} images, {listed}: name one, {file.name}/{scenes[0]}")
        if image.dims.T != 1:
            raise ValueError(f"it has {image.dims.T} points in time; save each in an image of its own")
        return image

    def _describe(self) -> ImageInfo:
        image = self._file
        dims = image.dims
        samples = dims.S if "S" in dims.order else 1  # red, green and blue
        sizes = image.physical_pixel_sizes
        spacing = (sizes.Z or 1.0, sizes.Y or 0.0, sizes.X or 0.0)
        is_known = all(math.isfinite(size) and size > 0 for size in spacing)
        names = tuple(map(str, image.channel_names or ())) if samples == 1 else ()
        return ImageInfo(
            self.path,
            (dims.Z, dims.Y, dims.X),
            dims.C * samples,
            np.dtype(image.dtype).newbyteorder("="),
            ndim=2 if dims.Z == 1 else 3,
            spacing=spacing if is_known else None,
            unit="micrometer" if is_known else None,
            channel_names=names if len(names) == dims.C else (),
        )

    def _stored_bytes(self, enough: int) -> int:
        return split_inside(self.path)[0].stat().st_size

    def _read(self, box: Box) -> np.ndarray:
        image = self._file
        order = "CSZYX" if "S" in image.dims.order else "CZYX"
        block = image.get_image_dask_data(order, T=0)[(..., box[0], box[1], box[2])].compute(scheduler="synchronous")
        extent = tuple(part.stop - part.start for part in box)
        return np.asarray(block).reshape(self.info.channels, *extent).astype(self.info.dtype, copy=False)
