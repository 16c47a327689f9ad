import torch
from ignite.engine import Engine
from monai.transforms import RandScaleIntensity

from monai_unet.handlers import EpochSeed


def draws(seed, epochs, first_epoch=0):
    transform, drawn = RandScaleIntensity(0.5, prob=1.0), []
    engine = Engine(lambda engine, batch: drawn.append((torch.rand(1).item(), transform.R.rand())))
    EpochSeed(seed, transform).attach(engine)
    engine.load_state_dict({"iteration": 2 * first_epoch, "epoch_length": 2, "max_epochs": epochs})
    engine.run([0, 1])
    return drawn


def test_an_epoch_draws_the_same_whether_the_run_came_to_it_or_started_there():
    assert draws(0, 3)[4:] == draws(0, 3, first_epoch=2)


def test_epochs_and_seeds_draw_differently():
    one = draws(0, 2)
    assert one[:2] != one[2:]
    assert one != draws(1, 2)
