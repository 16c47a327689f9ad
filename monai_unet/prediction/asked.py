"""What a prediction is asked for, made of the store that the network's tiles fill.

An OME-Zarr keeps that store as its image, with labels beside it. A file is made of a hidden store beside it, which is
removed when the file is there.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from monai_unet.io.atomic import discard, scratch_folder
from monai_unet.io.convert import identity_of, to_nifti, to_ome_tiff
from monai_unet.io.zarr_store import PredictionStore, identity, label_path, recorded
from monai_unet.prediction.instances import class_store, label_store
from monai_unet.prediction.object_table import write_objects
from monai_unet.prediction.stores import label_image_store, of_labels
from monai_unet.transforms.decoding import Decoding

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Asked:
    """The arguments of `predict` that say what comes out.

    Attributes:
        out: where it goes.
        output: "probability", "label", "instances" or "image".
        decoding: how labels are made.
        by_section: instances of each section by itself.
        memory: bytes that the largest connected part of the foreground may take.
        objects: where the table of instances goes; None of no table.
    """

    out: Path
    output: str
    decoding: Decoding
    by_section: bool
    memory: int
    objects: Path | None = None

    @property
    def predicted(self) -> str:
        """What the tiles hold, see `Job`: labels are made of probabilities, but in a file classes need none.

        A Zarr that holds the distance beside the probability is what is asked for with the probability, too.
        """
        if self.output == "instances" or (self.output == "label" and self._is_zarr):
            return "objects" if self.decoding.by_distance else "probability"
        there = recorded(self.out) if self._is_zarr and self.output == "probability" else None
        return "objects" if there is not None and there["settings"].get("output") == "objects" else self.output

    @property
    def store(self) -> Path:
        """The store that the tiles fill; of a file a hidden one, which is kept when a run is stopped."""
        return self.out if self._is_zarr else self.out.with_name(f".{self.out.name}.zarr")

    def is_finished(self, predicted: Mapping[str, Any]) -> bool:
        """Whether the file is there: a killed run may have been about to clean up. A Zarr tells by itself.

        Args:
            predicted: settings of the store that the tiles fill.

        Raises:
            FileExistsError: when something else is in the place of the file, or of the labels in a Zarr.
        """
        if self._is_zarr:
            self._has_labels(predicted)
            return False
        if not os.path.lexists(self.out):
            return False
        if identity_of(self.out) != identity(self._settings(predicted)):
            raise FileExistsError(
                f"{self.out} exists and is of another prediction, or of another program: remove it, or give another "
                "--out"
            )
        if self.objects is not None:
            self._leave_table(self.objects)
        return True

    def make(self, store: PredictionStore) -> None:
        """From the store with all its tiles to what is asked for.

        Raises:
            ValueError: when a connected part of the foreground does not fit the memory.
        """
        if not self._are_labels:
            store.finish(self._halved)
            self._convert(store)
            return
        if self._is_zarr:
            store.finish()
        with scratch_folder(self.out) as scratch:
            if not self._is_zarr:
                labels = self._labels(store, scratch)
            elif self._has_labels(store.settings):
                labels = store.add_labels(self.output)
            else:
                labels = store.add_labels(self.output, self._labels(store, scratch))
            if self.objects is not None:
                write_objects(labels, store, self.objects, self.by_section)
            self._convert(labels)

    def clean_up(self) -> None:
        """Remove the hidden store of a file that is there."""
        if not self._is_zarr and self.store.exists():
            discard(self.store)

    @property
    def _is_zarr(self) -> bool:
        return self.out.suffix == ".zarr"

    @property
    def _are_labels(self) -> bool:
        """Whether labels are made of what was predicted."""
        return self.output in ("label", "instances") and self.predicted != self.output

    @property
    def _halved(self) -> str:
        """The axes that levels may halve: a NIfTI has no levels, and those of a TIFF hold all its pages."""
        return "zyx" if self._is_zarr else "" if self._is_nifti else "yx"

    @property
    def _is_nifti(self) -> bool:
        return self.out.name.endswith((".nii", ".nii.gz"))

    def _settings(self, predicted: Mapping[str, Any]) -> dict[str, Any]:
        return {**predicted, **(of_labels(self.output, self.decoding) if self._are_labels else {})}

    def _has_labels(self, predicted: Mapping[str, Any]) -> bool:
        """Whether the labels lie in the Zarr; FileExistsError when others lie in their place."""
        path = label_path(self.out, self.output)
        if not self._are_labels or not os.path.lexists(path):
            return False
        try:
            store = PredictionStore(path)
            is_ours = store.is_complete and store.identity == identity(self._settings(predicted))
        except ValueError:
            is_ours = False
        if not is_ours:
            raise FileExistsError(
                f"{path} exists and is of another prediction, or of another program: remove it (the probabilities "
                "beside it are kept, and not computed again), or give another --out"
            )
        return True

    def _labels(self, store: PredictionStore, scratch: Path) -> PredictionStore:
        """A finished store of labels, in a folder that is removed."""
        labels = label_image_store(store, scratch / f"{self.output}.zarr", self.output, self.decoding)
        if self.output == "label":
            class_store(store, labels, self.decoding)
        else:
            by_distance = self.decoding.by_distance
            parts = [label_image_store(store, scratch / "parts.zarr", "parts", self.decoding)] if by_distance else []
            label_store([store, *parts, labels], self.decoding, self.memory, self.by_section)
        labels.finish(self._halved)
        return labels

    def _convert(self, store: PredictionStore) -> None:
        if not self._is_zarr:
            (to_nifti if self._is_nifti else to_ome_tiff)(store, self.out)

    def _leave_table(self, objects: Path) -> None:
        """A file that is finished keeps no probabilities, which its table would need."""
        if not objects.exists():
            raise FileExistsError(
                f"{self.out} is finished, and the probabilities that {objects} needs are gone: remove it, or give an "
                "--out that ends with .ome.zarr, which keeps them"
            )
        logger.warning(f"{self.out} was finished before; {objects} was left as it is: remove both to measure anew")
