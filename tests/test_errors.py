"""How a command ends, in a process of its own."""

import os
import subprocess
import sys

import pytest

FAIL = """
from monai_unet.errors import end_with_the_cause
end_with_the_cause()
try:
    try:
        try:
            raise KeyError("a detail of the decoder")
        except KeyError as error:
            raise {cause} from error
    except Exception as error:
        raise RuntimeError("a transform") from error
except RuntimeError as error:
    raise RuntimeError("some expression") from error
"""


def fail(cause, **environment):
    line = [sys.executable, "-c", FAIL.format(cause=cause)]
    return subprocess.run(
        line, capture_output=True, text=True, timeout=60, env={**os.environ, "MONAI_UNET_DEBUG": "", **environment}
    )


@pytest.mark.parametrize("kind", ["ValueError", "FileNotFoundError", "ImportError", "OverflowError"])
def test_what_the_user_can_put_right_ends_with_one_line_and_2(kind):
    run = fail(f"{kind}('a.tif holds colour;\\nexpected grey')")
    assert (run.returncode, run.stderr) == (2, "monai-unet: error: a.tif holds colour; expected grey\n")


def test_the_traceback_is_shown_to_whom_asks_for_it():
    run = fail("ValueError('colour')", MONAI_UNET_DEBUG="1")
    assert run.returncode == 2
    assert "RuntimeError: some expression" in run.stderr
    assert run.stderr.splitlines()[-1] == "monai-unet: error: colour"


def test_any_other_error_shows_its_traceback_and_then_the_cause():
    run = fail("ZeroDivisionError('of ours')")
    assert run.returncode == 1
    assert "RuntimeError: some expression" in run.stderr
    assert run.stderr.splitlines()[-1] == "monai-unet: error: of ours"


def test_ctrl_c_ends_with_one_line_and_130():
    code = "from monai_unet.errors import end_with_the_cause\nend_with_the_cause()\nraise KeyboardInterrupt"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stderr) == (130, "monai-unet: interrupted\n")


@pytest.mark.parametrize(("error", "lines"), [("ValueError", 0), ("KeyboardInterrupt", 0), ("ZeroDivisionError", 1)])
def test_what_the_command_ends_with_is_not_logged_by_the_engine_too(error, lines):
    code = (
        "import logging, sys; from monai_unet.errors import end_with_the_cause; end_with_the_cause()\n"
        "logging.basicConfig(stream=sys.stdout)\n"
        f"try: raise {error}\n"
        "except BaseException: logging.getLogger('validate').exception('Exception: x')"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert run.stdout.count("Exception: x") == lines
