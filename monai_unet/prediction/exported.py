"""A network in a file of its own, TorchScript or ONNX, with all that prediction has to know of it inside the file."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import nn

from monai_unet.geometry import ValidGeometry
from monai_unet.inferers.rotations import check_rotations
from monai_unet.io import Exposure, fingerprint
from monai_unet.prediction.model import Model
from monai_unet.prediction.model_path import SUFFIXES, model_path
from monai_unet.transforms.decoding import Decoding
from monai_unet.transforms.restoration import Restoration

SETTINGS = "monai_unet.json"
"""Under this name the settings lie in a TorchScript archive, and in the metadata of an ONNX model."""

_SIMPLE: tuple[str, ...] = (
    *("spatial_dims", "in_channels", "out_channels", "channels", "pages"),
    *("rotations", "precision", "bytes_per_pixel"),
)


def settings_text(model: Model) -> str:
    """What an exported network carries along: a model without its network, as JSON."""
    geometry = model.geometry
    settings = {
        "depth": geometry.depth,
        "convs_per_block": geometry.convs_per_block,
        "decoding": asdict(model.decoding),
        "exposure": asdict(model.exposure),
        "value_range": model.value_range,
        **{name: getattr(model, name) for name in _SIMPLE},
    }
    return json.dumps(settings, sort_keys=True)


def load_exported(path: str | Path, device: str = "cpu") -> Model:
    """The model in a TorchScript or ONNX file that `monai_unet.export` wrote.

    A TorchScript archive holds code of PyTorch's own small language, an ONNX file operations of its own set: neither
    runs Python, but load only files that you trust.

    Raises:
        FileNotFoundError: when there is no such file.
        ValueError: when it is not such a file, or was not exported by this project.
        ImportError: for ONNX, without onnxruntime.
    """
    path = model_path(path)
    network: nn.Module
    if path.suffix.lower() in SUFFIXES["onnx"]:
        network, text = _load_onnx(path, device)
    else:
        network, text = _load_torchscript(path, device)
    if not text:
        raise ValueError(f"{path} was not exported by monai-unet: it lacks {SETTINGS}, the settings of its prediction")
    settings: dict[str, Any] = json.loads(text)
    if not {"decoding", "channels", "exposure"} <= set(settings):
        raise ValueError(f"{path} was exported by an older version of monai-unet: export its bundle again")
    check_rotations(settings["rotations"])
    simple: dict[str, Any] = {
        name: tuple(value) if isinstance(value := settings[name], list) else value for name in _SIMPLE
    }
    meaning: Any = Restoration if "std" in settings["decoding"] else Decoding
    geometry = ValidGeometry(settings["depth"], settings["convs_per_block"])
    if isinstance(network, OnnxNetwork):
        network.geometry = geometry
    return Model(
        network=network,
        geometry=geometry,
        decoding=meaning(**settings["decoding"]),
        exposure=Exposure(**settings["exposure"]),
        value_range=settings["value_range"] and tuple(settings["value_range"]),
        digest=fingerprint(path),
        **simple,
    )


class OnnxNetwork(nn.Module):
    """An ONNX model as a network of PyTorch, for inference: (B, C, *size) -> its output, computed by onnxruntime."""

    def __init__(self, path: Path, device: str) -> None:
        super().__init__()
        try:
            import onnxruntime
        except ImportError as error:
            raise ImportError(f"{path} needs onnxruntime: pip install 'monai-unet[export]'") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.enable_cpu_mem_arena = False  # it would keep what the largest tile took
        wanted = ["CUDAExecutionProvider"] if torch.device(device).type == "cuda" else []
        providers = [name for name in wanted if name in onnxruntime.get_available_providers()]
        try:
            self.session = onnxruntime.InferenceSession(path, options, providers=[*providers, "CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has an error class for each cause
            raise ValueError(f"{path} cannot be read as an ONNX model: {error}") from error
        self.settings = self.session.get_modelmeta().custom_metadata_map.get(SETTINGS, "")
        self.geometry: ValidGeometry | None = None

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """As the network that was exported, its check of the size included: an ONNX model has none."""
        if self.geometry is not None:
            for size in image.shape[2:]:
                self.geometry.output_size(size)
        name = self.session.get_inputs()[0].name
        (output,) = self.session.run(None, {name: image.contiguous().cpu().numpy()})
        return torch.from_numpy(output).to(image.device)


def _load_onnx(path: Path, device: str) -> tuple[nn.Module, str]:
    network = OnnxNetwork(path, device)
    return network, network.settings


def _load_torchscript(path: Path, device: str) -> tuple[nn.Module, str]:
    files: dict[str, Any] = {SETTINGS: ""}
    try:
        network = torch.jit.load(path, map_location=device, _extra_files=files)
    except (RuntimeError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ValueError(
            f"{path} cannot be read as TorchScript: {first}. Weights alone, as training keeps them, are predicted "
            "with their bundle: --bundle DIR --ckpt_path FILE"
        ) from error
    text = files[SETTINGS]
    return network.eval(), text.decode() if isinstance(text, bytes) else text
