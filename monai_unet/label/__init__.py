"""The bundles in MONAI Label's server. Only `app` and `writing` import MONAI Label, and run inside it."""
