"""How deep a JSON text nests, told in time that does not depend on what is in it.

A loop over its tokens takes a third of a second for a megabyte of ``[]``. Here every step is one
call in C over the whole text: without strings it is ones and zeros, sixty-four of them a number.
"""

import struct
from functools import cache
from itertools import accumulate
from operator import add

_STRUCTURE = b'"[]{}'
_OTHERS = bytes(set(range(256)) - set(_STRUCTURE))
_AS_DIGITS = bytes.maketrans(b"[]{}", b"1010")
_WORD = 64
_QUARTER = 16
_CHANGES = range(-_WORD, _WORD + 1, 2)
"""How a word changes the depth, by the number of its opening brackets."""


def nests_deeper(text: bytes, levels: int) -> bool:
    """Whether ``text``, which is valid JSON, has arrays and objects in more than ``levels``."""
    if text.count(b"{") + text.count(b"[") <= levels:
        return False
    brackets = _brackets(text)
    if brackets.count(b"1") <= levels:
        return False
    brackets += b"0" * (-len(brackets) % _WORD)
    size = len(brackets) // _WORD
    words = struct.unpack(f">{size}Q", int(brackets, 2).to_bytes(8 * size, "big"))
    openings = list(map(int.bit_count, words))
    depths = list(accumulate(map(_CHANGES.__getitem__, openings), initial=0))
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


def _brackets(text: bytes) -> bytes:
    """Return the brackets outside of strings, the opening ones as 1 and the closing ones as 0."""
    if b"\\" in text:  # without escapes every quote begins or ends a string
        text = text.replace(b"\\\\", b"").replace(b'\\"', b"")
    text = text.translate(_AS_DIGITS, _OTHERS)
    if b'"' in text:
        text = text.replace(b'""', b"")  # between what is left, inside is still inside
        text = b"".join(text.split(b'"')[::2])
    return text


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
