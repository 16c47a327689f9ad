"""Which images of a folder can be predicted, found before the first one is."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monai_unet.data.absent import NoFiles
from monai_unet.errors import cause_under_monai

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CheckedImages:
    """The images of a folder.

    Attributes:
        good: files that can be predicted.
        failed: why the others cannot, by file.
    """

    good: tuple[str, ...]
    failed: Mapping[str, str]

    def end(self) -> None:
        """End the process with exit code 1 and the reasons where an image has failed."""
        if self.failed:
            reasons = "".join(f"\n  {reason}" for reason in self.failed.values())
            number = len(self.good) + len(self.failed)
            raise SystemExit(f"monai-unet: {len(self.failed)} of {number} images could not be predicted:{reasons}")


def check_images(files: Sequence[str], preprocessing: Callable[[dict[str, Any]], Any]) -> CheckedImages:
    """Prepare each image as for its prediction, one at a time, and see which fail.

    Args:
        files: the images, or `NoFiles`.
        preprocessing: transform of `{"image": file}`.

    Raises:
        ValueError, OSError: the reason, when there is only one image and it fails.
        ValueError: with all reasons, when none is good.
    """
    if isinstance(files, NoFiles):
        return CheckedImages((), {})
    good, failed = [], {}
    for file in files:
        try:
            preprocessing({"image": file})
        except Exception as error:
            cause = cause_under_monai(error)
            if not isinstance(cause, ValueError | OSError | OverflowError):
                raise
            if len(files) == 1:
                raise cause from None
            failed[file] = str(cause)
            logger.warning(f"passed over: {cause}")
        else:
            good.append(file)
    if not good:
        raise ValueError("none of the images can be predicted: " + "; ".join(failed.values()))
    return CheckedImages(tuple(good), failed)
