"""A disk that is full, for tests of what is left then."""

import resource
from contextlib import contextmanager


@contextmanager
def full_disk(size=1000):
    """No file of this process gets longer than this many bytes: the system answers as where there is no room left."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))  # Python ignores the signal, so writing raises an error
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
