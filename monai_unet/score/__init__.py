"""Score a proposal in files against labels in files: a report, as numbers for JSON and as text for people."""

from monai_unet.score.challenges import Report, isbi_report, seg_report
from monai_unet.score.classes import class_report
from monai_unet.score.tables import report_text, write_report

__all__ = ["Report", "class_report", "isbi_report", "report_text", "seg_report", "write_report"]
