"""Challenges' metrics: plain functions on arrays, and MONAI classes for configs around them."""

from monai_unet.metrics.iou import ForegroundIou, ForegroundIouHandler, ForegroundIous, foreground_iou
from monai_unet.metrics.isbi2012 import THRESHOLDS, IsbiScore, IsbiScoreHandler, IsbiScores, isbi2012_scores
from monai_unet.metrics.seg import SegScore, SegScoreHandler, SegScores, seg_score

__all__ = [
    "THRESHOLDS",
    "ForegroundIou",
    "ForegroundIouHandler",
    "ForegroundIous",
    "IsbiScore",
    "IsbiScoreHandler",
    "IsbiScores",
    "SegScore",
    "SegScoreHandler",
    "SegScores",
    "foreground_iou",
    "isbi2012_scores",
    "seg_score",
]
