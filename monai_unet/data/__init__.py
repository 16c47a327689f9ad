"""Fetch, check and generate data sets; the data set of sections that the bundles train on."""

from monai_unet.colours import colours_of_classes
from monai_unet.data.absent import files_if_there, need
from monai_unet.data.fetch import download, install_files
from monai_unet.data.isbi2012 import StackSummary, check_isbi2012, default_dataset, prepare_isbi2012
from monai_unet.data.labelled_files import folds_of, labelled_files, named, paths, shared, split_files
from monai_unet.data.noisy import noisy_dataset
from monai_unet.data.places import datasets_root
from monai_unet.data.restoration_files import restoration_files, scored_targets
from monai_unet.data.split import check_processes, split_sections
from monai_unet.data.synthetic import synthetic_sections, write_synthetic
from monai_unet.data.unpack import safe_extract

__all__ = [
    "StackSummary",
    "check_isbi2012",
    "check_processes",
    "colours_of_classes",
    "datasets_root",
    "default_dataset",
    "download",
    "files_if_there",
    "folds_of",
    "install_files",
    "labelled_files",
    "named",
    "need",
    "noisy_dataset",
    "paths",
    "prepare_isbi2012",
    "restoration_files",
    "safe_extract",
    "scored_targets",
    "shared",
    "split_files",
    "split_sections",
    "synthetic_sections",
    "write_synthetic",
]
