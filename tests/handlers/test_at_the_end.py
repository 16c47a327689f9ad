import pytest
from ignite.engine import Engine

from monai_unet.handlers.at_the_end import at_the_end


def run(step, *do):
    engine = Engine(lambda engine, batch: step())
    for each in do:
        at_the_end(engine, each)
    engine.run([0])


def fail():
    raise ValueError("a bad section")


def test_after_an_error_all_are_asked_and_it_is_raised():
    seen = []
    with pytest.raises(ValueError, match="a bad section"):
        run(fail, lambda engine, error: seen.append(error), lambda engine, error: seen.append(error))
    assert [str(error) for error in seen] == ["a bad section"] * 2


def test_at_a_good_end_there_is_no_error():
    seen = []
    run(lambda: None, lambda engine, error: seen.append(error))
    assert seen == [None]


def test_what_one_raises_takes_the_place_of_the_error():
    def instead(engine, error):
        raise OSError("the disk is full")

    seen = []
    with pytest.raises(OSError, match="full"):
        run(fail, instead, lambda engine, error: seen.append(str(error)))
    assert seen == ["the disk is full"]
