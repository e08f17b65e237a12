"""Whole numbers in as few bytes as they need, and a reader that never reads past the end.

A varint holds seven bits per byte, the lowest seven first; the top bit says that another byte
follows (unsigned LEB128): 5 is ``05``, 127 is ``7f``, 128 is ``80 01``, 300 is ``ac 02``.
"""

from __future__ import annotations

from lwlab.packing.errors import Damage

__all__ = ["Reader", "varint"]

_MAX_VARINT_BYTES = 9  # 63 bits: the largest size that torch can name


def varint(number: int) -> bytes:
    """Return a number from 0 to 2**63 - 1 as one to nine bytes."""
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(0x80 | number & 0x7F)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)


class Reader:
    """A cursor over bytes of unknown origin: every read is checked against what is left.

    Args:
        data: the bytes.
        position: where to start, in bytes.
    """

    def __init__(self, data: memoryview, position: int = 0) -> None:
        self.data = data
        self.position = position

    @property
    def left(self) -> int:
        """Bytes not read yet."""
        return len(self.data) - self.position

    def take(self, length: int) -> memoryview:
        """Return the next ``length`` bytes without copying them.

        Raises:
            Damage: fewer are left.
        """
        if length > self.left:
            raise Damage(f"it declares {length} bytes where {self.left} are left")
        start = self.position
        self.position += length
        return self.data[start : self.position]

    def byte(self) -> int:
        """Return the next byte as a number.

        Raises:
            Damage: none is left.
        """
        return self.take(1)[0]

    def varint(self, what: str, maximum: int) -> int:
        """Return the next varint.

        Args:
            what: the number's name in the sentence of an error.
            maximum: the largest value that makes sense.

        Raises:
            Damage: it is cut off, above ``maximum``, or written in more bytes than it needs.
        """
        number = 0
        for index in range(_MAX_VARINT_BYTES):
            byte = self.byte()
            number |= (byte & 0x7F) << 7 * index
            if byte < 0x80:
                if index and not byte:
                    raise Damage(f"its {what} is not in shortest form")
                break
        else:
            raise Damage(f"its {what} is longer than {_MAX_VARINT_BYTES} bytes")
        if number > maximum:
            raise Damage(f"its {what} is {number}, above the limit of {maximum}")
        return number
