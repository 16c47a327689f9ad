import pytest
from ignite.engine import Engine

from monai_unet.handlers import ValidateLast


@pytest.mark.parametrize(("epochs", "interval", "validated"), [(12, 5, [12]), (10, 5, []), (3, 20, [3]), (3, 1, [])])
def test_the_last_epoch_is_validated_where_the_interval_leaves_it_out(epochs, interval, validated):
    seen = []

    class Validator:
        def run(self, epoch):
            seen.append(epoch)

    trainer = Engine(lambda engine, batch: None)
    ValidateLast(Validator(), interval).attach(trainer)
    trainer.run([0], max_epochs=epochs)
    assert seen == validated
