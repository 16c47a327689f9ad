import pytest

from monai_unet.memory import memory_in_words, parse_memory


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("2GB", 2 * 10**9),
        ("1.5 GiB", 1610612736),
        ("500M", 5 * 10**8),
        ("64", 64),
        (7, 7),
        (".5kB", 500),
        ("1MB", 10**6),
    ],
)
def test_memory_is_said_as_people_say_it(text, number):
    assert parse_memory(text) == number


@pytest.mark.parametrize("text", ["much", "0MB", "-5GB", 0, -1, "", "nanGB", "1.2.3GB", True, 2.5, "0.1", None])
def test_what_is_no_memory_is_refused(text):
    with pytest.raises(ValueError, match="as 2GB"):
        parse_memory(text)


@pytest.mark.parametrize(
    ("number", "words"),
    [(2, "2 bytes"), (1_000, "1 kB"), (340_500, "341 kB"), (1_230_000, "1.3 MB"), (450_900_000, "451 MB")],
)
def test_an_amount_in_words_is_never_less(number, words):
    assert memory_in_words(number) == words
