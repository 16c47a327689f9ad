"""The paper's weight map: w(x) = w_c(x) + w0 exp(-(d1(x) + d2(x))^2 / (2 sigma^2)).

By its definition the second term takes one Euclidean distance transform of the whole image for each cell. Here the two
nearest cells of all pixels are found together, axis by axis, as a separable distance transform finds the nearest one.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from monai.config import KeysCollection, NdarrayOrTensor
from monai.transforms import MapTransform, Transform
from monai.utils import TransformBackends, convert_data_type, convert_to_dst_type, ensure_tuple_rep
from scipy import ndimage

# A border term below this is taken as 0: a tenth of the 1e-4 that is promised against the definition.
_TOLERANCE = 1e-5


def border_weight_map(labels: np.ndarray, w0: float = 10.0, sigma: float = 5.0) -> np.ndarray:
    """Weight that grows where two cells almost touch.

    Terms below 1e-5 (below a millionth of `w0` where that is less) are taken as 0, which bounds the search for the
    second cell to some 5 `sigma`; all others are exact. Time and memory do not depend on the number of cells.

    Args:
        labels: one integer per cell, 0 for background; shape (H, W) or (D, H, W), pixels as long as they are wide.
            The numbers need not be consecutive, nor a cell in one piece.
        w0: weight of a gap of width zero, 0 or more; no unit.
        sigma: how fast the weight falls with the two distances, in pixels, above 0.

    Returns:
        float32, same shape; 0 inside cells and wherever there are fewer than two cells. A distance is measured from the
        centre of a pixel to the centre of the nearest pixel of a cell, so that it is 1 beside the cell.

    Raises:
        TypeError: when `labels` is not of an integer type.
        ValueError: when `labels` is of another shape or has negative values, or `w0` or `sigma` is out of range.

    Source: Ronneberger et al. (2015), Eq. 2, second term. The class balance w_c is not part of it.

    Example:
        >>> border_weight_map(np.array([[1, 1, 0, 2, 2]])).round(2)
        array([[0.  , 0.  , 9.23, 0.  , 0.  ]], dtype=float32)
    """
    labels = np.asarray(labels)
    _check_labels(labels)
    _check_parameters(w0, sigma)
    weight = np.zeros(labels.shape, np.float32)
    if w0 == 0 or labels.size == 0:
        return weight
    # d1 + d2 at which the term falls to the tolerance; d1 is 1 or more, so d2 matters up to `reach`
    cutoff = sigma * np.sqrt(2 * max(np.log(1e6), np.log(w0 / _TOLERANCE)))
    if cutoff < 2:
        return weight
    diagonal = np.linalg.norm(labels.shape)
    reach = int(np.ceil(min(cutoff - 1, diagonal)))
    half = int(np.ceil(min(cutoff / 2, diagonal)))  # d1 is the smaller one: above half the cut-off nothing is left

    state = _along_first_axis(labels, reach)
    # A volume goes on plane by plane, so that the arrays of the search are those of one plane.
    planes = (array.reshape(-1, *array.shape[-2:]) for array in (labels, *state, weight))
    for plane_labels, near, far, owner, plane_weight in zip(*planes, strict=True):
        if labels.ndim == 3:
            everywhere = np.ones(near.T.shape, bool)
            found = _along_rows(near.T, far.T, owner.T, everywhere, reach)
            near, far, owner = (array.reshape(everywhere.shape).T for array in found)
        nearest_in_row = ndimage.minimum_filter1d(near, 2 * half + 1, axis=1, mode="nearest")
        wanted = (plane_labels == 0) & (nearest_in_row <= half**2)
        d1_squared, d2_squared, _ = _along_rows(near, far, owner, wanted, reach)
        total = np.sqrt(d1_squared, dtype=np.float64) + np.sqrt(d2_squared, dtype=np.float64)
        plane_weight[wanted] = np.where(d2_squared > reach**2, 0, w0 * np.exp(-(total**2) / (2 * sigma**2)))
    return weight


def _check_labels(labels: np.ndarray) -> None:
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(
            f"labels are {labels.dtype}, expected an integer type with one number per cell; labels.astype(np.int32), "
            "or EnsureTyped(keys=..., dtype=torch.int32) in a MONAI pipeline, makes them so"
        )
    if labels.ndim not in (2, 3):
        raise ValueError(f"labels of shape {labels.shape}: expected (H, W) or (D, H, W), without a channel")
    if labels.size and labels.min() < 0:
        raise ValueError(f"labels go down to {labels.min()}: expected 0 for background and positive numbers for cells")


def _check_parameters(w0: float, sigma: float) -> None:
    if not (np.isfinite(w0) and w0 >= 0):
        raise ValueError(f"w0 is {w0}, expected 0 or more (10 in the paper)")
    if not (np.isfinite(sigma) and sigma > 0):
        raise ValueError(f"sigma is {sigma}, expected more than 0 pixels (5 in the paper)")


# What is known of a pixel is (near, far, owner): the distance to its nearest cell, the distance to the nearest of all
# other cells, and the label of the nearest. What two parts of the image say, (n, f, o) and (n', f', o'), merges into
#     near = min(n, n'),   far = min(f, f', max(n, n') if o != o'),   owner = that of the smaller of n and n'.
# Whose distance f is need not be known. For different owners and n <= n': f' may be a distance to o, but it is never
# below n', which is there as well. So the triple can be carried along one axis after the other, in any number of axes.


def _along_first_axis(labels: np.ndarray, reach: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Squared distances to the two nearest cells and the nearest label, looking along axis 0 only.

    Distances beyond `reach` come back as reach + 1 (squared), with any owner.
    """
    beyond = reach + 1
    # The largest number that occurs is a sum of two squares: int16 at the paper's sigma, which halves the time.
    dtype = np.min_scalar_type(-2 * beyond**2)
    near = np.where(labels != 0, 0, beyond).astype(dtype)
    far = np.full(labels.shape, beyond, dtype)
    owner = labels.copy()
    num_lines = len(labels)
    for lines, step in ((range(1, num_lines), 1), (range(num_lines - 2, -1, -1), -1)):
        for line in lines:
            before = line - step
            other_near = near[before] + 1  # on one axis distances add up
            other_far = far[before] + 1
            _merge(near[line], far[line], owner[line], other_near, other_far, owner[before], beyond)
    near *= near
    far *= far
    return near, far, owner


def _along_rows(
    near: np.ndarray, far: np.ndarray, owner: np.ndarray, wanted: np.ndarray, reach: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The state of the `wanted` pixels (1-D, in array order) after looking along axis 1 of a plane as well.

    Pixels leave the search as soon as nothing further along the row can be nearer than the second cell they know, so
    the time goes with the width of the gaps rather than with `reach`.
    """
    beyond = (reach + 1) ** 2
    margin = min(reach, near.shape[1] - 1)
    # Beside the row there is no cell: a margin of `beyond` saves the search from asking where the row ends.
    pad = ((0, 0), (margin, margin))
    all_near = np.pad(near, pad, constant_values=beyond).ravel()
    all_far = np.pad(far, pad, constant_values=beyond).ravel()
    all_owner = np.pad(owner, pad).ravel()
    everyone = np.flatnonzero(np.pad(wanted, pad))

    pixel = everyone
    near, far, owner = all_near[pixel], all_far[pixel], all_owner[pixel]
    done_near, done_far, done_owner = np.empty_like(all_near), np.empty_like(all_far), np.empty_like(all_owner)
    for offset in range(1, margin + 1):
        searching = far > offset**2
        done = ~searching
        left = pixel[done]
        done_near[left], done_far[left], done_owner[left] = near[done], far[done], owner[done]
        pixel, near, far, owner = pixel[searching], near[searching], far[searching], owner[searching]
        if not pixel.size:
            break
        for neighbour in (pixel - offset, pixel + offset):
            other_near = all_near[neighbour] + offset**2
            other_far = all_far[neighbour] + offset**2
            _merge(near, far, owner, other_near, other_far, all_owner[neighbour], beyond)
    done_near[pixel], done_far[pixel], done_owner[pixel] = near, far, owner
    return done_near[everyone], done_far[everyone], done_owner[everyone]


def _merge(
    near: np.ndarray,
    far: np.ndarray,
    owner: np.ndarray,
    other_near: np.ndarray,
    other_far: np.ndarray,
    other_owner: np.ndarray,
    beyond: int,
) -> None:
    """Merge the other state into the first one, in place; `beyond` is what stands for no cell."""
    second = np.maximum(near, other_near)
    second[owner == other_owner] = beyond
    np.minimum(far, second, out=far)
    np.minimum(far, other_far, out=far)
    np.copyto(owner, other_owner, where=other_near < near)
    np.minimum(near, other_near, out=near)


def class_balance(classes: np.ndarray, ignore: np.ndarray | None = None) -> np.ndarray:
    """The w_c of the weight map: all classes together weigh the same.

    The paper says that w_c balances the class frequencies, not how. Here a pixel of a class that covers the share f of
    the known pixels weighs 1 / (n f), with n the number of classes that occur: inversely proportional to the frequency,
    and 1 on average over the known pixels, so that the learning rate means the same with and without the balance.
    Frequencies are those of the one image. Where one class alone occurs it weighs 1.

    Args:
        classes: class of each pixel, as true or false (or 0 and 255), or one number a class; any shape.
        ignore: true (or not 0) at pixels whose class is not known; same shape. They are not counted and weigh 0.

    Returns:
        float32, same shape.

    Raises:
        ValueError: when the two shapes differ.

    Source: Ronneberger et al. (2015), Eq. 2, first term; the normalisation is ours.

    Example:
        >>> class_balance(np.array([[1, 1, 1, 0]])).round(2)
        array([[0.67, 0.67, 0.67, 2.  ]], dtype=float32)
    """
    classes = np.asarray(classes)
    known = np.ones(classes.shape, bool) if ignore is None else np.asarray(ignore) == 0
    if known.shape != classes.shape:
        raise ValueError(f"ignore has shape {known.shape}, expected that of the classes, {classes.shape}")
    weight = np.zeros(classes.shape, np.float32)
    _, of_pixel, counts = np.unique(classes[known], return_inverse=True, return_counts=True)
    weight[known] = (of_pixel.size / (len(counts) * counts))[of_pixel.ravel()]
    return weight


class WeightMap(Transform):
    """Class balance plus border term of a label image; (1, H, W) or (1, D, H, W) in, float32 of that shape out.

    NumPy arrays, tensors and MetaTensors come back as what they are, a MetaTensor with the metadata of the labels.
    Weights are found on the CPU.

    Args:
        w0: weight of a gap of width zero, 0 or more; no unit. 0 leaves the class balance alone.
        sigma: how fast the border term falls with the two distances, in pixels.
        balance: whether w_c balances the classes, see `class_balance`; if not, w_c is 1.
        components: for labels that say only where cells are (0 and 1, or 0 and 255): takes each connected part of what
            is above 0 as one cell (connected over edges in 2-D, over faces in 3-D). If not, each integer is a cell.

    Raises:
        ValueError: when `w0` or `sigma` is out of range.

    Source: Ronneberger et al. (2015), Eq. 2.

    Example:
        >>> WeightMap(balance=False)(np.array([[[1, 1, 0, 2, 2]]])).round(2)
        array([[[ 1.  ,  1.  , 10.23,  1.  ,  1.  ]]], dtype=float32)
    """

    backend = [TransformBackends.NUMPY, TransformBackends.TORCH]  # noqa: RUF012 - MONAI's attribute

    def __init__(self, w0: float = 10.0, sigma: float = 5.0, balance: bool = True, components: bool = False) -> None:
        _check_parameters(w0, sigma)
        self.w0 = w0
        self.sigma = sigma
        self.balance = balance
        self.components = components

    def __call__(
        self,
        labels: NdarrayOrTensor,
        ignore: NdarrayOrTensor | None = None,
        classes: NdarrayOrTensor | None = None,
    ) -> NdarrayOrTensor:
        """The weight map of `labels`; 0 where `ignore` (same shape, optional) is not 0.

        The classes to balance are those of `classes` (same shape), or background and cells when it is left out.

        Raises:
            TypeError: when `components` is off and `labels` is not of an integer type.
            ValueError: when the shape is not that of one channel, or `ignore` has another.
        """
        array = convert_data_type(labels, np.ndarray)[0]
        if array.ndim not in (3, 4) or len(array) != 1:
            raise ValueError(f"labels of shape {tuple(array.shape)}: expected one channel, (1, H, W) or (1, D, H, W)")
        unknown = None if ignore is None else convert_data_type(ignore, np.ndarray)[0]
        if unknown is not None and unknown.shape != array.shape:
            raise ValueError(f"ignore has shape {unknown.shape}, expected that of the labels, {array.shape}")
        cells = ndimage.label(array[0] > 0)[0] if self.components else array[0]
        weight = border_weight_map(cells, self.w0, self.sigma)[None]
        balanced = cells[None] > 0 if classes is None else convert_data_type(classes, np.ndarray)[0]
        weight += class_balance(balanced, unknown) if self.balance else 1
        if unknown is not None:
            weight[unknown != 0] = 0
        return convert_to_dst_type(weight, labels, dtype=np.float32)[0]


class WeightMapd(MapTransform):
    """Put the weight map of a sample's labels into the sample; see `WeightMap`.

    Args:
        keys: of the labels, each (1, H, W) or (1, D, H, W).
        weight_key: where the weight map goes, float32 of the same shape; one for each of `keys`.
        w0: weight of a gap of width zero, 0 or more; no unit.
        sigma: how fast the border term falls with the two distances, in pixels.
        balance: whether w_c balances the classes; if not, w_c is 1.
        components: whether the labels are 0 and 1 (or 255), of which each connected part is one cell.
        ignore_key: of a mask of the same shape that is not 0 where the class of a pixel is not known: its weight is 0.
        class_key: of a map of classes of the same shape, to be balanced; background and cells when left out.
        allow_missing_keys: whether a sample may lack the labels.

    Example:
        >>> sample = WeightMapd(keys="label", components=True)({"label": np.array([[[255, 0, 0, 255]]])})
        >>> sample["weight"].round(2)
        array([[[1.  , 9.35, 9.35, 1.  ]]], dtype=float32)
    """

    backend = WeightMap.backend

    def __init__(
        self,
        keys: KeysCollection = "label",
        weight_key: KeysCollection = "weight",
        w0: float = 10.0,
        sigma: float = 5.0,
        balance: bool = True,
        components: bool = False,
        ignore_key: Hashable | None = None,
        class_key: Hashable | None = None,
        allow_missing_keys: bool = False,
    ) -> None:
        super().__init__(keys, allow_missing_keys)
        self.weight_key = ensure_tuple_rep(weight_key, len(self.keys))
        self.ignore_key = ignore_key
        self.class_key = class_key
        self.weight_map = WeightMap(w0, sigma, balance, components)

    def __call__(self, data: Mapping[Hashable, Any]) -> dict[Hashable, Any]:
        """A copy of the sample with the weight maps added; errors are those of `WeightMap`."""
        sample = dict(data)
        ignore, classes = (None if key is None else sample[key] for key in (self.ignore_key, self.class_key))
        for key, weight_key in self.key_iterator(sample, self.weight_key):
            sample[weight_key] = self.weight_map(sample[key], ignore, classes)
        return sample
