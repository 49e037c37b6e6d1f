"""Names that tell nothing: opaque ids, and the months as text."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from cxresearch.errors import UsageError

HEX = np.frombuffer(b"0123456789abcdef", dtype=np.uint8)
MIX = np.uint64(2654435761)  # odd, so that multiplying modulo 2**32 maps no two numbers to one


def opaque(letter: str, numbers: NDArray[np.integer], seed: int) -> NDArray[np.bytes_]:
    """A letter and eight hex digits for each number: distinct, in no visible order, as bytes of width 9."""
    shift = np.uint64((seed * 40503 + ord(letter) * 10**7) % 2**32)
    mixed = (numbers.astype(np.uint64) * MIX + shift) & np.uint64(0xFFFFFFFF)
    text = np.empty((len(numbers), 9), dtype=np.uint8)
    text[:, 0] = ord(letter)
    for digit in range(8):
        text[:, digit + 1] = HEX[(mixed >> np.uint64(28 - 4 * digit)) & np.uint64(15)]
    return text.reshape(-1).view("S9")


def months_until(last: str, months: int) -> list[str]:
    """The months that end with `last`, as text: `2025-11`, `2025-12`, ..., `2026-10`."""
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", last):
        raise UsageError(f"simulate: last={last!r} is not a month; write it as 2026-10")
    end = int(last[:4]) * 12 + int(last[5:]) - 1
    if end - months + 1 < 12:
        raise UsageError(f"simulate: {months} months until {last} starts before the year 1; give fewer or a later one")
    return [f"{m // 12:04d}-{m % 12 + 1:02d}" for m in range(end - months + 1, end + 1)]
