"""Trainings and evaluations of a bundle by a command of ours, MONAI's own underneath."""
