"""How deep a JSON text nests, told in time that does not depend on what is in it.

A loop over its tokens takes a third of a second for a megabyte of ``[]``. Here all is done by calls
in C over a slice of the text: without strings it is ones and zeros, sixty-four of them a number.
"""

import struct
from functools import cache
from itertools import accumulate
from operator import add

from playsmart_gateway.http.turns import SLICE_BYTES, Steps, at_once

_STRUCTURE = b'"[]{}'
_OTHERS = bytes(set(range(256)) - set(_STRUCTURE))
_AS_DIGITS = bytes.maketrans(b"[]{}", b"1010")
_WORD = 64
_QUARTER = 16
_CHANGES = range(-_WORD, _WORD + 1, 2)
"""How a word changes the depth, by the number of its opening brackets."""


def nests_deeper(text: bytes, levels: int) -> bool:
    """Whether ``text``, which is valid JSON, has arrays and objects in more than ``levels``."""
    return at_once(nests_deeper_in_steps(text, levels))


def nests_deeper_in_steps(
    text: bytes, levels: int, *, slice_bytes: int = SLICE_BYTES
) -> Steps[bool]:
    """See ``nests_deeper``; a slice of the text is a step."""
    if text.count(b"{") + text.count(b"[") <= levels:
        return False
    depth, in_string = 0, False
    start, size = 0, len(text)
    while start < size:
        end = _slice_end(text, start, start + slice_bytes)
        brackets, in_string = _brackets(text[start:end], in_string=in_string)
        openings = brackets.count(b"1")
        if depth + openings > levels and _rises_over(levels, depth, brackets):
            return True
        depth += 2 * openings - len(brackets)
        start = end
        if start < size:
            yield
    return False


def _slice_end(text: bytes, start: int, end: int) -> int:
    """Return ``end``, or what is behind it if it is within an escape that begins before."""
    part = text[start:end]
    backslashes = len(part) - len(part.rstrip(b"\\"))
    return min(end + backslashes % 2, len(text))


def _rises_over(levels: int, depth: int, brackets: bytes) -> bool:
    """Whether ``brackets`` that begin at this depth go beyond ``levels``."""
    brackets += b"0" * (-len(brackets) % _WORD)
    size = len(brackets) // _WORD
    words = struct.unpack(f">{size}Q", int(brackets, 2).to_bytes(8 * size, "big"))
    openings = list(map(int.bit_count, words))
    depths = list(accumulate(map(_CHANGES.__getitem__, openings), initial=depth))
    # A word is looked at if it were too deep with all its opening brackets in front.
    near = [place for place, top in enumerate(map(add, depths, openings)) if top > levels]
    return bool(near) and _is_deeper(
        [depths[at] for at in near], [words[at] for at in near], levels
    )


def _is_deeper(depths: list[int], words: list[int], levels: int) -> bool:
    """Whether a word that begins at its depth goes beyond ``levels``."""
    changes, peaks = _tables()
    size = len(words)
    quarters = struct.unpack(f">{4 * size}H", struct.pack(f">{size}Q", *words))
    for place in range(4):
        here = quarters[place::4]
        if max(map(add, depths, map(peaks.__getitem__, here))) > levels:
            return True
        depths = list(map(add, depths, map(changes.__getitem__, here)))
    return False


def _brackets(text: bytes, *, in_string: bool) -> tuple[bytes, bool]:
    """Return the brackets outside of strings, the opening ones as 1 and the closing ones as 0.

    ``in_string`` is whether the text begins in one; with it comes whether it ends in one.
    """
    if b"\\" in text:  # without escapes every quote begins or ends a string
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    text = text.translate(_AS_DIGITS, _OTHERS)
    if in_string:
        text = b'"' + text
    if b'"' not in text:
        return text, False
    text = text.replace(b'""', b"")  # between what is left, inside is still inside
    parts = text.split(b'"')
    return b"".join(parts[::2]), len(parts) % 2 == 0


@cache
def _tables() -> tuple[list[int], list[int]]:
    """Return how sixteen brackets change the depth, and how high it rises among them."""
    changes, peaks = [0], [0]
    for _ in range(_QUARTER):  # one more bracket in front of all that are known
        changes, peaks = (
            [change - 1 for change in changes] + [change + 1 for change in changes],
            [max(0, peak - 1) for peak in peaks] + [peak + 1 for peak in peaks],
        )
    return changes, peaks
