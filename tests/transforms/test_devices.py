"""What an iteration asks of a device that is not here: it never waits for it, and no double precision lies on it.

The meta device stands for it: operations run without values, and each can be looked at.
"""

import pytest
import torch
from bundle_runs import REPOSITORY
from monai.bundle import ConfigParser
from monai.transforms import RandomizableTrait
from torch.utils._python_dispatch import TorchDispatchMode

from monai_unet import to_device
from monai_unet.inferers import AutocastInferer
from monai_unet.losses import PrepareWeightedBatch, WeightedCrossEntropyLoss
from monai_unet.networks import OriginalUNet
from monai_unet.transforms import RandElasticTiled

KEYS = ["image", "label", "weight"]


class Watched(TorchDispatchMode):
    """Note what waits for the meta device, and what is double there."""

    def __init__(self):
        super().__init__()
        self.waits, self.doubles, self.seen = [], [], 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        found = func(*args, **kwargs)
        tensors = [each for each in (found if isinstance(found, tuple | list) else [found]) if torch.is_tensor(each)]
        name, on_device = str(func), [each for each in tensors if each.device.type == "meta"]
        self.seen += len(on_device)
        if name.startswith(("aten._to_copy", "aten.copy_")) and on_device and not _follows(args, kwargs):
            self.waits.append(name)
        if name.startswith(("aten._local_scalar_dense", "aten.nonzero")) and args[0].device.type == "meta":
            self.waits.append(name)
        self.doubles += [name for each in on_device if each.dtype == torch.float64]
        return found


def _follows(args, kwargs):
    """Whether a copy to the device is of pinned memory and not waited for; those on the device need no waiting."""
    (source,) = [each for each in args if torch.is_tensor(each)][-1:]
    non_blocking = kwargs.get("non_blocking", args[2] if len(args) > 2 else False)
    return source.device.type == "meta" or (non_blocking and getattr(source, "pinned", False))


@pytest.fixture
def gpu(monkeypatch):
    """The meta device, as if it were CUDA."""
    pin, seeded = torch.Tensor.clone, torch.Generator

    def pinned(tensor):
        copy = pin(tensor)
        copy.pinned = True
        return copy

    monkeypatch.setattr(to_device, "_FOLLOWING", {"meta"})
    monkeypatch.setattr(torch.Tensor, "pin_memory", pinned)
    monkeypatch.setattr(torch, "Generator", lambda device: seeded())
    return torch.device("meta")


def test_it_sees_a_wait_and_a_double(gpu):
    with Watched() as watched:
        torch.ones(3).to(gpu)
        torch.ones(3).to(gpu, non_blocking=True)
        to_device.to_device(torch.ones(3), gpu)
        to_device.to_device(torch.ones(3, dtype=torch.float64), gpu)
        torch.ones(3, device=gpu) + 1
    assert watched.waits == ["aten._to_copy.default"] * 2
    assert watched.doubles
    with pytest.raises(RuntimeError, match="meta"):  # which has no values to wait for
        float(torch.ones((), device=gpu))


@pytest.mark.parametrize("bundle", ["isbi", "dic_hela"])
def test_an_iteration_never_waits_for_the_device(gpu, bundle):
    parser = ConfigParser()
    parser.read_config(REPOSITORY / "bundles" / bundle / "configs" / "train.json")
    parser.update({"tile": 20, "features": [2, 3, 4], "device": "cpu", "dataset_dir": ".", "bundle_root": "."})
    parser.get_parsed_content("imports")
    transform = parser.get_parsed_content("train::preprocessing")
    first = transform.get_index_of_first(lambda each: isinstance(each, RandomizableTrait))
    assert isinstance(transform.transforms[first], RandElasticTiled)
    assert len(transform.transforms) - first == (3 if bundle == "isbi" else 6)
    transform.set_random_state(0)
    section = {key: torch.zeros(1, 70, 60, device=gpu) for key in KEYS}
    network = OriginalUNet(features=(2, 3, 4), normalisation="weights").to(gpu).train()
    optimizer = torch.optim.Adam(network.parameters())
    for _ in range(9):
        transform(section, start=first)  # what is kept from the first tiles on is copied here
    with Watched() as watched:
        for _ in range(12):
            tile = transform(section, start=first)
            image, (label, weight) = PrepareWeightedBatch()({key: tile[key][None] for key in KEYS}, gpu)
            logits = AutocastInferer(torch.float32)(image, network)
            WeightedCrossEntropyLoss()(logits, label, weight).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
    assert watched.seen > 1000
    assert watched.waits == []
    assert watched.doubles == []
