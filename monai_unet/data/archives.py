"""Where the Cell Tracking Challenge has its training sets."""

ARCHIVES = {
    name: f"http://data.celltrackingchallenge.net/training-datasets/{title}.zip"
    for name, title in (("dic_hela", "DIC-C2DH-HeLa"), ("phc_u373", "PhC-C2DH-U373"))
}
"""By the names of `monai-unet data`; free to use for research in the challenge's context."""
