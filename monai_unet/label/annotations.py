"""Label images as polygons, in the XML of ASAP that QuPath's extension for MONAI Label speaks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from scipy import ndimage
from skimage.draw import polygon2mask
from skimage.measure import find_contours

from monai_unet.io import written_aside

_COLOUR = "#ffcc00"


def outlines(labels: np.ndarray, min_area: int = 0) -> list[tuple[int, np.ndarray]]:
    """The outer outline of each object.

    Args:
        labels: one integer per object, 0 for background; shape (H, W). An object in several parts has several outlines.
        min_area: objects of fewer pixels are left out.

    Returns:
        (object, corners) each; corners (N, 2) as x, y in pixels, where (0, 0) is the upper left corner of the first
        pixel and (0.5, 0.5) its middle. Holes are not told: a polygon is filled.

    Example:
        >>> outlines(np.array([[0, 0, 0], [0, 7, 0]]))
        [(7, array([[1.5, 1. ],
               [1. , 1.5],
               [1.5, 2. ],
               [2. , 1.5],
               [1.5, 1. ]]))]
    """
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        if box is None:
            continue
        parts, count = ndimage.label(ndimage.binary_fill_holes(labels[box] == number))
        for part in range(1, count + 1):
            mask = np.pad(parts == part, 1)
            if mask.sum() < max(min_area, 1):
                continue
            rows_columns = find_contours(mask, 0.5)[0]
            corner = np.array([box[1].start, box[0].start])
            found.append((number, rows_columns[:, ::-1] - 0.5 + corner))  # 1 of padding, half a pixel to its middle
    return found


def write_annotations(path: str | Path, polygons: Sequence[tuple[str, np.ndarray]]) -> None:
    """Write polygons, the name of a class and (N, 2) corners as x, y each, as XML of ASAP."""
    root = ElementTree.Element("ASAP_Annotations")
    annotations = ElementTree.SubElement(root, "Annotations")
    for name, corners in polygons:
        attributes = {"Name": name, "Type": "Polygon", "PartOfGroup": name, "Color": _COLOUR}
        annotation = ElementTree.SubElement(annotations, "Annotation", attributes)
        coordinates = ElementTree.SubElement(annotation, "Coordinates")
        for order, (x, y) in enumerate(corners):
            ElementTree.SubElement(coordinates, "Coordinate", {"Order": str(order), "X": f"{x:g}", "Y": f"{y:g}"})
    groups = ElementTree.SubElement(root, "AnnotationGroups")
    for name in sorted({name for name, _ in polygons}):
        ElementTree.SubElement(groups, "Group", {"Name": name, "PartOfGroup": "None", "Color": _COLOUR})
    with written_aside(path) as temporary:
        ElementTree.ElementTree(root).write(temporary, encoding="utf-8", xml_declaration=True)


def read_annotations(path: str | Path, shape: tuple[int, int], values: Mapping[str, int] | None = None) -> np.ndarray:
    """The polygons of an XML file of ASAP as a label image.

    Args:
        path: the file.
        shape: (H, W) of the image.
        values: the integer of each class, by its name in lower case; when left out, each polygon has its own number.

    Returns:
        uint16, (H, W); where polygons overlap, the last one wins. A pixel belongs to a polygon that holds its middle.

    Raises:
        ValueError: when the file is no XML, holds no polygon, or one of a class that `values` does not know.
    """
    try:
        root = ElementTree.parse(path).getroot()
    except ElementTree.ParseError as error:
        raise ValueError(f"{path} is not an XML file of annotations: {error}") from error
    labels = np.zeros(shape, np.uint16)
    number = 0
    for annotation in root.iter("Annotation"):
        points = [(float(point.attrib["Y"]), float(point.attrib["X"])) for point in annotation.iter("Coordinate")]
        name = annotation.get("Name", "").lower()
        if len(points) < 3:
            continue
        if values is not None and name not in values:
            raise ValueError(f"{path} has an annotation of class {name!r}; expected {', '.join(values)}")
        number += 1
        labels[polygon2mask(shape, np.array(points) - 0.5)] = number if values is None else values[name]
    if not number:
        raise ValueError(f"{path} has no polygons")
    return labels
