"""`bioimageio.core`, which reads BioImage.IO packages: imported where it is needed, and quiet."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def imported() -> Any:
    """The module; ImportError, with the extra to install, without it."""
    try:
        import bioimageio.core
    except ImportError as error:
        raise ImportError("a BioImage.IO package needs more packages: pip install 'monai-unet[export]'") from error
    return bioimageio.core


@contextmanager
def quiet() -> Iterator[None]:
    """Without a cache on disk, and without what the packages tell; what is wrong they raise or report."""
    from bioimageio.spec import ValidationContext
    from loguru import logger

    logger.disable("bioimageio")
    try:
        with warnings.catch_warnings(), ValidationContext(disable_cache=True, progressbar=False):
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.enable("bioimageio.spec")  # as it was: bioimageio.core is silent by itself
