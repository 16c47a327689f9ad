import pytest

from monai_unet.data.checked_images import check_images


def opened(item):
    """As a transform of MONAI's fails."""
    if "bad" in item["image"]:
        try:
            raise ValueError(f"{item['image']} is damaged")
        except ValueError as error:
            raise RuntimeError("applying transform") from error
    return item


def test_images_that_fail_are_passed_over_and_named():
    checked = check_images(["a", "bad1", "b", "bad2"], opened)
    assert checked.good == ("a", "b")
    assert checked.failed == {"bad1": "bad1 is damaged", "bad2": "bad2 is damaged"}


def test_the_process_ends_with_1_and_the_reasons():
    with pytest.raises(SystemExit, match=r"2 of 4 images could not be predicted:\n  bad1 is damaged\n  bad2") as end:
        check_images(["a", "bad1", "b", "bad2"], opened).end()
    assert isinstance(end.value.code, str)  # which Python prints, and exits with 1


def test_without_a_failure_nothing_ends():
    check_images(["a", "b"], opened).end()


def test_the_only_image_fails_with_its_own_error():
    with pytest.raises(ValueError, match=r"^bad is damaged$"):
        check_images(["bad"], opened)


def test_when_all_fail_there_is_nothing_to_predict():
    with pytest.raises(ValueError, match="none of the images can be predicted: bad1 is damaged; bad2 is damaged"):
        check_images(["bad1", "bad2"], opened)


def test_what_is_no_fault_of_a_file_is_not_caught():
    def broken(item):
        raise TypeError

    with pytest.raises(TypeError):
        check_images(["a"], broken)
