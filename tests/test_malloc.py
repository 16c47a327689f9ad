import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told")

KEPT, GIVEN_BACK = "malloc.keep_freed_blocks()", "malloc.give_freed_blocks_back()"
USE_A_BLOCK = """
import resource
from monai_unet import malloc
{call}
faults = []
for _ in range(4):
    bytearray(64 << 20)
    faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
print(faults[-1] - faults[0])
"""


def new_pages(call: str) -> int:
    """Page faults of three blocks of 64 MB, one after another, in a process that has used such a block before."""
    script = USE_A_BLOCK.format(call=call)
    return int(subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout)


def test_a_kept_block_is_used_again():
    assert new_pages(KEPT) * 10 < new_pages(GIVEN_BACK)


def test_the_last_word_counts():
    assert new_pages(KEPT) * 10 < new_pages(f"{KEPT}; {GIVEN_BACK}")
