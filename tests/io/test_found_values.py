import json

import pytest

from monai_unet.io import found_file, found_in_words, found_value, put_aside, read_found, write_found

FOUND = {
    "values": {"threshold": 0.6, "min_size": 100},
    "score": "SEG",
    "sections": "a, b",
    "tried": {"threshold": {"0.5": 0.8, "0.6": 0.9}},
}


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "model.pt"
    path.write_bytes(b"weights")
    return path


def test_a_value_that_was_found_comes_before_the_recipes(weights):
    write_found(weights, FOUND)
    assert found_value(weights, "threshold", 0.5) == 0.6
    assert found_value(str(weights), "min_size", 500) == 100


def test_where_nothing_was_found_the_recipes_value_stays(weights, tmp_path):
    assert found_value(weights, "threshold", 0.5) == 0.5
    assert found_value(tmp_path / "none.pt", "threshold", 0.5) == 0.5
    write_found(weights, FOUND)
    assert found_value(weights, "seed_depth", 0.1) == 0.1


def test_weights_that_are_put_aside_keep_what_was_found_for_them_and_take_no_name_that_is_taken(weights):
    for number in (1, 2):
        weights.write_bytes(b"weights")
        write_found(weights, FOUND)
        aside = put_aside(weights, "before")
        assert aside.name == f"before_{number}.pt"
        assert read_found(aside)["values"] == FOUND["values"]
        assert not weights.exists()
        assert not found_file(weights).exists()


def test_what_was_found_for_other_weights_does_not_count(weights):
    write_found(weights, FOUND)
    assert read_found(weights)["values"] == FOUND["values"]
    weights.write_bytes(b"others")
    assert read_found(weights) is None


def test_it_lies_beside_the_weights_as_json(weights):
    write_found(weights, FOUND)
    assert found_file(weights).name == "model.found.json"
    assert json.loads(found_file(weights).read_text())["values"] == FOUND["values"]


def test_a_damaged_file_is_refused_by_its_name(weights):
    found_file(weights).write_text("{")
    with pytest.raises(ValueError, match=r"model.found.json is damaged .*: delete it"):
        found_value(weights, "threshold", 0.5)


def test_the_report_has_it_in_words(weights):
    assert found_in_words(weights) == "the recipe's; none were found for these weights"
    write_found(weights, FOUND)
    assert found_in_words(weights) == "threshold 0.6 (0.5: 0.800, 0.6: 0.900); SEG on a, b"
