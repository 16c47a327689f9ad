"""MONAI Label's web application, closed to the pages of other sites.

It answers pages of any origin, and its setting for that (MONAI_LABEL_CORS_ORIGINS) stops it from starting in 0.8.5. A
server on the loopback is within reach of every page that is open in a browser on the same machine.
"""

from fastapi.middleware.cors import CORSMiddleware
from monailabel.app import app

app.user_middleware = [middleware for middleware in app.user_middleware if middleware.cls is not CORSMiddleware]

__all__ = ["app"]
