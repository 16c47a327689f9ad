"""The folder of images and labels in MONAI Label's server, of which no name leads out."""

from __future__ import annotations

from typing import Any

from fastapi import HTTPException
from monailabel.datastore.local import LocalDatastore

from monai_unet.label.request_values import check_name


class Folder(LocalDatastore):
    """MONAI Label's own, which takes any name, and writes over an image that is there."""

    def add_image(self, image_id: str, image_filename: str, image_info: dict[str, Any]) -> str:
        """Add an image of a new name."""
        _check("image", image_id)
        if image_id in self.list_images():
            raise HTTPException(409, f"there is an image {image_id!r}: take another name, or remove it first")
        return str(super().add_image(image_id, image_filename, image_info))

    def save_label(self, image_id: str, label_filename: str, label_tag: str, label_info: dict[str, Any]) -> str:
        """Save the label of an image."""
        _check("image", image_id)
        _check("tag", label_tag)
        if image_id not in self.list_images():
            raise HTTPException(404, f"there is no image {image_id!r}")
        return str(super().save_label(image_id, label_filename, label_tag, label_info))

    def remove_image(self, image_id: str) -> None:
        """Remove an image and its labels."""
        _check("image", image_id)
        super().remove_image(image_id)

    def remove_label(self, label_id: str, label_tag: str) -> None:
        """Remove a label."""
        _check("label", label_id)
        _check("tag", label_tag)
        super().remove_label(label_id, label_tag)


def _check(what: str, value: str) -> None:
    try:
        check_name(what, value)
    except ValueError as error:
        raise HTTPException(422, str(error)) from error
