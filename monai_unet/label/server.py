"""Start MONAI Label's server with an app made of bundles."""

from __future__ import annotations

import importlib.util
import ipaddress
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from monai_unet.label.guard import machine_names

SUFFIXES = ("*.png", "*.tif", "*.tiff", "*.nii", "*.nii.gz", "*.xml")
"""Of images and labels that the server looks for; QuPath's labels are XML."""

HOSTS = "MONAI_UNET_LABEL_HOSTS"
"""Environment variable with the names of this machine that requests may ask, as a JSON list."""


def check_server(studies: Path) -> None:
    """Whether a server could start here.

    Raises:
        ImportError: when MONAI Label is not installed in this environment.
        FileNotFoundError: when the folder of the images does not exist.
    """
    if importlib.util.find_spec("monailabel") is None:
        raise ImportError(
            "MONAI Label is not installed in this environment; it needs one of its own: `make label` in the "
            "repository, then .venv-label/bin/monai-unet label ...; elsewhere see docs/monai-label.md"
        )
    if not studies.is_dir():
        raise FileNotFoundError(f"{studies} does not exist; expected a folder of images")


def start_server(app: Path, studies: Path, names: Sequence[str], host: str = "127.0.0.1", port: int = 8000) -> None:
    """Become MONAI Label's server; this process ends with it.

    Args:
        app: folder of `make_app`.
        studies: folder of the images; labels go to `labels/` in it.
        names: of the bundles in the app that are served.
        host: address to listen on. The server has no authentication, and reads and writes this user's files.
        port: to listen on.
    """
    if not is_loopback(host):
        print(
            f"monai-unet: warning: listening on {host}: whoever reaches port {port} can read the images, write labels "
            "and start training, unasked",
            file=sys.stderr,
        )
    sys.stdout.flush()
    os.execve(
        sys.executable, server_command(app, studies, names, host, port), server_environment(app, os.environ, host)
    )


def server_command(app: Path, studies: Path, names: Sequence[str], host: str, port: int) -> list[str]:
    """The command line that starts the server; MONAI Label's own `monailabel` takes whatever Python is on the PATH."""
    command = [sys.executable, "-m", "monailabel.main", "start_server"]
    command += ["--app", str(app), "--studies", str(studies), "--host", host, "--port", str(port)]
    return [*command, "--uvicorn_app", "monai_unet.label.asgi:app", "--conf", "models", ",".join(names)]


def server_environment(app: Path, environment: Mapping[str, str], host: str = "127.0.0.1") -> dict[str, str]:
    """Settings of MONAI Label, and the names of this machine; what the environment says already is kept."""
    return {
        HOSTS: json.dumps(sorted(machine_names(host))),
        "MONAI_LABEL_DATASTORE_FILE_EXT": json.dumps(SUFFIXES),
        "MONAI_LABEL_SESSION_PATH": str(Path(app, "sessions").absolute()),
        "MONAI_LABEL_TRACKING_ENABLED": "false",  # it would want MLflow
        **environment,
    }


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address; "localhost" or a number."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
