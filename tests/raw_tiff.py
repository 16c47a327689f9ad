"""TIFF written tag by tag, for what no writer would write."""

import struct

import numpy as np

DATA = 8
"""The byte at which the pixels of `write_tiff` begin."""


def page(height, width, bits=8, compression=1, photometric=1, num_bytes=64):
    """Tags of a grey page in one strip."""
    return {
        **{256: width, 257: height, 258: bits, 259: compression, 262: photometric},
        **{273: DATA, 277: 1, 278: height, 279: num_bytes},
    }


def write_tiff(path, *pages, data=bytes(64), next_page=None):
    """Pages of tags, each a number or an array of them; `next_page` is what the last one calls the next, from 0."""
    pages = list(pages)
    if isinstance(pages[-1], bytes):
        data = pages.pop()
    data += bytes(len(data) % 2)
    starts, at, behind = [], DATA + len(data), []
    for tags in pages:
        starts.append(at)
        at += 2 + 12 * len(tags) + 4
    body = b""
    for index, tags in enumerate(pages):
        body += struct.pack("<H", len(tags))
        for tag, value in sorted(tags.items()):
            if isinstance(value, np.ndarray):
                body += struct.pack("<HHII", tag, 3, value.size, at + sum(map(len, behind)))
                behind.append(value.astype("<u2").tobytes())
            elif isinstance(value, tuple):  # a count that is not true, and a value
                body += struct.pack("<HHII", tag, 4, *value)
            else:
                body += struct.pack("<HHII", tag, 4, 1, value)
        following = starts[index + 1] if index + 1 < len(starts) else 0 if next_page is None else starts[next_page]
        body += struct.pack("<I", following)
    path.write_bytes(b"II*\0" + struct.pack("<I", starts[0]) + data + body + b"".join(behind))
    return path
