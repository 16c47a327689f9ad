"""The bundles in MONAI Label's server. Only `app`, `asgi` and `datastore` import MONAI Label, and run inside it."""
