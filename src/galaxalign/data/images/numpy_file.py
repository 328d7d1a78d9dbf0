"""NumPy arrays (.npy) as images."""

from __future__ import annotations

from typing import BinaryIO

import numpy as np

from galaxalign.data.images.arrays import Planes, ReadOptions, bands_first, check_size
from galaxalign.data.images.locations import Place
from galaxalign.errors import InputError


def is_npy(head: bytes) -> bool:
    """Tell from its first bytes whether a file is a NumPy array."""
    return head.startswith(b"\x93NUMPY")


def read_npy(file: BinaryIO, place: Place, options: ReadOptions) -> Planes:
    """Return the image in a .npy file; nothing is ever unpickled."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    if dtype.hasobject:
        raise InputError(f"{place.name} holds Python objects and no numbers; save a plain array")
    check_size(shape, place.name)
    file.seek(0)
    return Planes(bands_first(np.load(file, allow_pickle=False), place.name))
