"""What an OME-TIFF says of its pixels, and whether they are labels."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from monai_unet.io.sources import METRES

WRITTEN_BY = "monai-unet"
"""The program that a file is from, in its metadata."""

OME_UNITS = {
    "angstrom": "Å",
    "nanometer": "nm",
    "micrometer": "µm",
    "millimeter": "mm",
    "centimeter": "cm",
    "meter": "m",
}
OME_TYPES = ("uint8", "uint16", "uint32", "int8", "int16", "int32", "float32", "float64")
_HOLDS = "holds"
_CENTIMETRE = 3  # TIFF's ResolutionUnit


def ome_tags(
    axes: str,
    identity: str,
    *,
    spacing: Mapping[str, float] | None = None,
    unit: str | None = None,
    channel_names: Sequence[str] = (),
    labels: bool = False,
    planes: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What `tifffile.TiffWriter.write` takes beside the pixels, so that other programs know what they are.

    Args:
        axes: "ZYX" say.
        identity: a UUID: tifffile would draw a random one, and the same values should give the same bytes.
        spacing: size of a pixel by the letter of its axis, in small letters; None or empty when it is not known.
        unit: of the spacing, as NGFF names it.
        channel_names: one per channel, or one for all that there is.
        labels: the pixels are classes or objects: said in an annotation, as OME has no field for it.
        planes: what OME says of each plane, see tifffile.

    Example:
        >>> ome_tags("YX", "0f", spacing={"y": 0.5, "x": 0.5}, unit="micrometer")["resolution"]
        (20000.0, 20000.0)
    """
    metadata: dict[str, Any] = {"axes": axes, "UUID": f"urn:uuid:{identity}"}
    if channel_names:
        names = list(channel_names)
        metadata["Channel"] = {"Name": names if "C" in axes else names[0]}
    for axis, size in (spacing or {}).items():
        metadata[f"PhysicalSize{axis.upper()}"] = size
        if unit:
            metadata[f"PhysicalSize{axis.upper()}Unit"] = OME_UNITS[unit]
    if labels:
        metadata["MapAnnotation"] = {"Namespace": WRITTEN_BY, "Value": {_HOLDS: "labels"}}
    if planes:
        metadata["Plane"] = dict(planes)
    tags: dict[str, Any] = {"metadata": metadata, "software": WRITTEN_BY}
    if spacing and unit:  # for readers that know TIFF alone, ImageJ's own one among them
        centimetres = METRES[unit] / METRES["centimeter"]
        tags["resolution"] = (1 / (spacing["x"] * centimetres), 1 / (spacing["y"] * centimetres))
        tags["resolutionunit"] = _CENTIMETRE
    return tags


def tiff_holds_labels(path: str | os.PathLike[str]) -> bool | None:
    """Whether a TIFF that monai-unet wrote holds labels; None of any other file."""
    import tifffile

    try:
        with tifffile.TiffFile(path) as tiff:
            if tiff.pages.first.software != WRITTEN_BY or not tiff.ome_metadata:
                return None
            root = ElementTree.fromstring(tiff.ome_metadata)
    except Exception:  # whatever it is, it is none of ours
        return None
    notes = root.iterfind(f".//{{*}}MapAnnotation[@Namespace='{WRITTEN_BY}']/{{*}}Value/{{*}}M[@K='{_HOLDS}']")
    return any(note.text == "labels" for note in notes)
