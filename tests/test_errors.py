import subprocess
import sys

FAIL = """
from monai_unet.errors import end_with_the_cause
end_with_the_cause()
try:
    try:
        try:
            raise KeyError("a detail of the decoder")
        except KeyError as error:
            raise ValueError("a.tif holds colour; expected grey") from error
    except ValueError as error:
        raise RuntimeError("a transform") from error
except RuntimeError as error:
    raise RuntimeError("some expression") from error
"""


def test_the_last_line_of_a_failure_is_the_cause_that_names_the_file_and_the_traceback_stays():
    run = subprocess.run([sys.executable, "-c", FAIL], capture_output=True, text=True, timeout=60)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == "monai-unet: error: a.tif holds colour; expected grey"
    assert "RuntimeError: some expression" in run.stderr
