"""Challenges' metrics: plain functions on arrays, and MONAI classes for configs around them."""

from monai_unet.metrics.classes import ClassScoreHandler, ClassScoreMetric
from monai_unet.metrics.iou import ForegroundIouHandler, ForegroundIouMetric, ForegroundIous, foreground_iou
from monai_unet.metrics.isbi2012 import THRESHOLDS, IsbiMetric, IsbiScoreHandler, IsbiScores, isbi2012_scores
from monai_unet.metrics.seg import SegMetric, SegScoreHandler, SegScores, seg_score

__all__ = [
    "THRESHOLDS",
    "ClassScoreHandler",
    "ClassScoreMetric",
    "ForegroundIouHandler",
    "ForegroundIouMetric",
    "ForegroundIous",
    "IsbiMetric",
    "IsbiScoreHandler",
    "IsbiScores",
    "SegMetric",
    "SegScoreHandler",
    "SegScores",
    "foreground_iou",
    "isbi2012_scores",
    "seg_score",
]
