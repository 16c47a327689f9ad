import torch

from monai_unet.to_device import to_device


def test_on_the_cpu_nothing_is_copied():
    values = torch.rand(3)
    assert to_device(values, "cpu") is values


def test_only_from_pinned_memory_a_copy_is_not_waited_for():
    asked = []

    class Spied(torch.Tensor):
        def pin_memory(self):
            asked.append("pinned")
            return self

        def to(self, device, non_blocking=False):
            asked.append(non_blocking)
            return self

    values = torch.rand(3).as_subclass(Spied)
    to_device(values, "mps")
    to_device(values, torch.device("xpu"))
    to_device(values, "cuda:1")
    assert asked == [False, False, "pinned", True]
