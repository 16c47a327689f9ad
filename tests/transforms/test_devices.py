"""What an iteration asks of a device that is not here: it never waits for it, and no double precision lies on it.

The meta device stands for it: operations run without values, and each can be looked at.
"""

import pytest
import torch
from monai.transforms import Compose, RandScaleIntensityd, RandShiftIntensityd
from torch.utils._python_dispatch import TorchDispatchMode

from monai_unet.losses import WeightedCrossEntropyLoss
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
        comes = any(torch.is_tensor(each) and each.device.type == "cpu" and each.dim() > 0 for each in args)
        if name.startswith(("aten._to_copy", "aten.copy_")) and on_device and comes and not _non_blocking(args, kwargs):
            self.waits.append(name)
        if name.startswith(("aten._local_scalar_dense", "aten.nonzero")) and args[0].device.type == "meta":
            self.waits.append(name)
        self.doubles += [name for each in on_device if each.dtype == torch.float64]
        return found


def _non_blocking(args, kwargs):
    return kwargs.get("non_blocking", args[2] if len(args) > 2 else False)


def test_it_sees_a_wait_and_a_double():
    with Watched() as watched:
        torch.ones(3).to("meta")
        torch.ones(3, dtype=torch.float64).to("meta", non_blocking=True)
    assert watched.waits == ["aten._to_copy.default"]
    assert watched.doubles


@pytest.mark.parametrize("prob", [0.0, 1.0])
def test_an_iteration_never_waits_for_the_device(prob):
    transform = Compose(
        [
            RandElasticTiled(
                *(KEYS, [60, 20, 20]),
                prob=prob,
                rotate_range=0.3,
                scale_range=(-0.1, 0.1),
                quarter_turns=True,
                flip_prob=0.5,
                mode=["bicubic", "nearest", "bilinear"],
            ),
            RandScaleIntensityd("image", factors=0.4, prob=1.0),
            RandShiftIntensityd("image", offsets=0.5, prob=1.0),
        ]
    )
    transform.set_random_state(0)
    section = {key: torch.zeros(1, 50, 40, device="meta") for key in KEYS}
    network = OriginalUNet(features=(2, 3, 4), normalisation="weights").to("meta").train()
    optimizer = torch.optim.Adam(network.parameters())
    transform(section)  # what is kept from the first tile on is copied here
    with Watched() as watched:
        for _ in range(4):
            tile = transform(section)
            logits = network(tile["image"][None])
            WeightedCrossEntropyLoss()(logits, tile["label"][None], tile["weight"][None]).backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad()
    assert watched.seen > 100
    assert watched.waits == []
    assert watched.doubles == []
