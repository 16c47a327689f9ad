"""The app inside MONAI Label's server: its own tasks for bundles, with files written by this package."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from fastapi import HTTPException
from monailabel.config import settings
from monailabel.interfaces.app import MONAILabelApp
from monailabel.tasks.activelearning.first import First
from monailabel.tasks.activelearning.random import Random
from monailabel.tasks.infer.bundle import BundleInferTask
from monailabel.tasks.train.bundle import BundleTrainTask

from monai_unet import __version__
from monai_unet.errors import cause_under_monai
from monai_unet.io import count_sections, written_aside
from monai_unet.io.monai_files import TiffWriter
from monai_unet.io.sources import open_source
from monai_unet.label.annotations import outlines, read_annotations, write_annotations
from monai_unet.label.datastore import Folder
from monai_unet.label.request_values import check_params
from monai_unet.label.results import result_type, write_result
from monai_unet.networks import fold

logger = logging.getLogger(__name__)


class BundlesApp(MONAILabelApp):
    """The bundles in `model/` that `--conf models` names: prediction, training, and which image to label next."""

    def __init__(self, app_dir: str, studies: str, conf: dict[str, str]) -> None:
        self.bundles = {name: str(Path(app_dir, "model", name)) for name in conf["models"].split(",")}
        super().__init__(app_dir, studies, conf, "monai-unet", "Bundles of monai-unet", __version__)

    def init_datastore(self) -> Any:
        """The folder of the images."""
        return Folder(
            self.studies,
            extensions=settings.MONAI_LABEL_DATASTORE_FILE_EXT,
            auto_reload=settings.MONAI_LABEL_DATASTORE_AUTO_RELOAD,
            read_only=settings.MONAI_LABEL_DATASTORE_READ_ONLY,
        )

    def init_infers(self) -> dict[str, Any]:
        """A prediction task per bundle."""
        return {name: PredictTask(path, self.conf) for name, path in self.bundles.items()}

    def init_trainers(self) -> dict[str, Any]:
        """A training task per bundle."""
        return {name: TrainTask(path, self.conf) for name, path in self.bundles.items()}

    def init_strategies(self) -> dict[str, Any]:
        """How the next image to label is chosen among those without one."""
        return {"random": Random(), "first": First()}

    def infer(self, request: dict[str, Any], datastore: Any = None) -> Any:
        """The prediction of an image; what the user can put right is answered by the reason, not by "500"."""
        image = request.get("image")
        if isinstance(image, str) and not Path(image).is_absolute():  # as a file is that came with the request
            if image not in (datastore or self.datastore()).list_images():
                raise HTTPException(404, f"there is no image {image!r} in {self.studies}")
            if Path(image).exists():
                raise HTTPException(422, f"the image {image!r} has the name of a file in the server's own folder")
        try:
            return super().infer(request, datastore)
        except Exception as error:
            cause = cause_under_monai(error)
            if not isinstance(cause, (ValueError, OSError, OverflowError)):
                raise
            logger.exception(f"cannot predict {image}")
            raise HTTPException(422, str(cause)) from error

    def train(self, request: dict[str, Any]) -> Any:
        """Train a bundle; what a request may say is checked here again, before it becomes a config."""
        of_the_server = ("model", "bundle_path", "local_rank")
        asked = {name: value for name, value in request.items() if name not in of_the_server}
        check_params(asked, self.bundles)
        return super().train(request)

    def infer_wsi(self, request: dict[str, Any], datastore: Any = None) -> Any:
        """What QuPath asks for: an image is predicted as a whole, as OpenSlide reads no plain TIFF."""
        return self.infer(request, datastore)


class PredictTask(BundleInferTask):
    """MONAI Label's task, with the faster memory layout and exact files."""

    def __init__(self, path: str, conf: dict[str, str]) -> None:
        super().__init__(path, conf, load_strict=True)
        # class 0 is what no object is drawn for, whatever its name
        self.labels: dict[str, int] = {name: index for name, index in self.labels.items() if index > 0}

    def _get_network(self, device: str, data: Any) -> torch.nn.Module:
        # as `monai_unet.prediction.load` does it; what MONAI Label keeps is a copy, made anew for new weights
        return fold(super()._get_network(device, data)).to(memory_format=torch.channels_last)

    def writer(self, data: dict[str, Any], extension: str | None = None, dtype: str | None = None) -> tuple[str, dict]:
        """The result's file, of the input's kind or of `result_extension`, and what is said of it."""
        labels = np.asarray(data[self.output_label_key].cpu())  # (W, H[, D])
        if data.get("output") == "asap":
            return self._write_annotations(labels, data), {}
        suffix = extension or data.get("result_extension") or "".join(Path(data["image_path"]).suffixes[-2:])
        kind = result_type(suffix)
        wanted = np.dtype(dtype or data.get("result_dtype") or labels.dtype)
        if labels.max(initial=0) > np.iinfo(wanted).max:
            wanted = labels.dtype  # 3D Slicer asks for uint8, which ends at 255 cells
        if kind is None:
            return super().writer(data, suffix, wanted.name)
        path = tempfile.NamedTemporaryFile(suffix=kind, delete=False).name  # noqa: SIM115 - the server deletes it
        write_result(path, labels.astype(wanted), data[self.input_key].meta)
        return path, {}

    def _write_annotations(self, labels: np.ndarray, data: dict[str, Any]) -> str:
        if labels.ndim == 3 and labels.shape[2] == 1:
            labels = labels[..., 0]
        if labels.ndim == 3:
            raise ValueError(f"{data['image_path']} has {labels.shape[2]} sections; polygons are of one section")
        (x, y), (width, height) = data.get("location", (0, 0)), data.get("size", (0, 0))
        seen = labels.T.copy()
        if width and height:  # the region chosen in QuPath
            outside = np.ones(seen.shape, bool)
            outside[y : y + height, x : x + width] = False
            seen[outside] = 0
        names = {index: name for name, index in self.labels.items()}
        only = next(iter(names.values())) if len(names) == 1 else None  # instances: the number is a cell's, not a class
        found = [(only or names[number], xy) for number, xy in outlines(seen, data.get("min_poly_area", 0))]
        path = tempfile.NamedTemporaryFile(suffix=".xml", delete=False).name  # noqa: SIM115 - the server deletes it
        write_annotations(path, found)
        return path


class TrainTask(BundleTrainTask):
    """MONAI Label's task, with QuPath's polygons drawn as label images first."""

    def _fetch_datalist(self, request: dict[str, Any], datastore: Any) -> list[dict[str, str]]:
        return [
            {**pair, "label": self._drawn(pair)} if pair["label"].lower().endswith(".xml") else pair
            for pair in super()._fetch_datalist(request, datastore)
        ]

    def _drawn(self, pair: dict[str, str]) -> str:
        if count_sections(pair["image"]) != 1:
            raise ValueError(f"{pair['label']} holds polygons, and {pair['image']} more than one section")
        shape = open_source(pair["image"]).info.shape[1:]
        values = None
        if not self.bundle_config.get("instances"):
            values = {name: index for name, index in self._classes().items() if index > 0}
        drawn = Path(self.bundle_path, "labels", Path(pair["label"]).stem + ".tif")
        writer = TiffWriter(output_dtype=np.uint16)
        writer.set_data_array(read_annotations(pair["label"], shape, values).T, channel_dim=None)
        drawn.parent.mkdir(exist_ok=True)
        with written_aside(drawn) as temporary:
            writer.write(temporary)
        return str(drawn)

    def _classes(self) -> dict[str, int]:
        import json

        metadata = json.loads(Path(self.bundle_metadata_path).read_text(encoding="utf-8"))
        classes = next(iter(metadata["network_data_format"]["outputs"].values()))["channel_def"]
        return {name.lower(): int(index) for index, name in classes.items()}
