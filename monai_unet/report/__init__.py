"""The page of an evaluation: pictures, learning curves and tables as one HTML file that needs nothing else."""

from monai_unet.report.classes import ClassRow, confusion_csv, draw_confusion, palette, scores_csv
from monai_unet.report.curves import draw_curve, read_curves
from monai_unet.report.folds import Fold, folds_csv, folds_page, folds_table, sections_csv
from monai_unet.report.objects import CELL_COLOUR, OBJECT_COLOUR, Cell, SizeClass, by_size, outlined, worst
from monai_unet.report.page import Column, Curve, Page, Panel, Row, Section, number, render
from monai_unet.report.pictures import (
    HIT_COLOUR,
    MERGED_COLOUR,
    MISSED_COLOUR,
    SPLIT_COLOUR,
    colour,
    distinct_colours,
    error_map,
    grey,
    lighter,
    png,
    same_colours,
    side_by_side,
    wrong_pixels,
)
from monai_unet.report.restored import psnr_and_ssim, restoration_panels

__all__ = [
    "CELL_COLOUR",
    "HIT_COLOUR",
    "MERGED_COLOUR",
    "MISSED_COLOUR",
    "OBJECT_COLOUR",
    "SPLIT_COLOUR",
    "Cell",
    "ClassRow",
    "Column",
    "Curve",
    "Fold",
    "Page",
    "Panel",
    "Row",
    "Section",
    "SizeClass",
    "by_size",
    "colour",
    "confusion_csv",
    "distinct_colours",
    "draw_confusion",
    "draw_curve",
    "error_map",
    "folds_csv",
    "folds_page",
    "folds_table",
    "grey",
    "lighter",
    "number",
    "outlined",
    "palette",
    "png",
    "psnr_and_ssim",
    "read_curves",
    "render",
    "restoration_panels",
    "same_colours",
    "scores_csv",
    "sections_csv",
    "side_by_side",
    "worst",
    "wrong_pixels",
]
