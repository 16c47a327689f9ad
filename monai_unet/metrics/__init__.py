"""The challenge's metrics: plain functions on arrays, and MONAI classes for configs around them."""

from monai_unet.metrics.isbi2012 import THRESHOLDS, IsbiScore, IsbiScoreHandler, IsbiScores, isbi2012_scores

__all__ = ["THRESHOLDS", "IsbiScore", "IsbiScoreHandler", "IsbiScores", "isbi2012_scores"]
