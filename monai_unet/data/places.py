"""Where the data sets lie."""

from __future__ import annotations

import os
from pathlib import Path


def datasets_root(bundle_root: str | os.PathLike[str], name: str) -> str:
    """The folder of the data sets: the project's where a bundle lies in the project, else `datasets/` in the bundle.

    Args:
        bundle_root: folder of the bundle.
        name: of a data set; the project's folder is the one that has a folder of this name.

    Example:
        >>> datasets_root("elsewhere/isbi", "isbi2012")
        'elsewhere/isbi/datasets'
    """
    project = Path(bundle_root, "..", "..", "datasets")
    return os.path.normpath(project if (project / name).is_dir() else Path(bundle_root, "datasets"))
