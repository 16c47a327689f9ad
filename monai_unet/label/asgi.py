"""MONAI Label's web application behind a guard.

It answers pages of any origin, and its setting for that (MONAI_LABEL_CORS_ORIGINS) stops it from starting in 0.8.5. Its
endpoints take what requests say as it is.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

from fastapi import HTTPException
from fastapi.middleware.cors import CORSMiddleware
from monailabel.app import app
from monailabel.endpoints import infer, wsi_infer
from monailabel.interfaces.utils.app import app_instance

from monai_unet.label.guard import Guard
from monai_unet.label.request_values import check_params
from monai_unet.label.server import HOSTS


def _checked(run: Callable[..., Any], params: Callable[..., Any]) -> Callable[..., Any]:
    """An endpoint's function that first checks the parameters, which come in a form beside a file."""

    def run_checked(*args: Any, **kwargs: Any) -> Any:
        try:
            check_params(params(*args, **kwargs) or {})
        except ValueError as error:
            raise HTTPException(422, str(error)) from error
        return run(*args, **kwargs)

    return run_checked


def _of_a_form(tasks: Any, model: str, image: str, session: str, params: str, *_: Any) -> Any:
    return params and json.loads(params)


def _of_a_region(tasks: Any, model: str, image: str, session: str, file: Any, region: Any, *_: Any) -> Any:
    return region.params


infer.run_inference = _checked(infer.run_inference, _of_a_form)
wsi_infer.run_wsi_inference = _checked(wsi_infer.run_wsi_inference, _of_a_region)
app.user_middleware = [middleware for middleware in app.user_middleware if middleware.cls is not CORSMiddleware]
app.add_middleware(Guard, hosts=json.loads(os.environ.get(HOSTS, "[]")), models=lambda: app_instance().bundles)

__all__ = ["app"]
