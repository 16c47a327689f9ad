"""Predict images of any size from files to files, out of core, on one machine or many."""
