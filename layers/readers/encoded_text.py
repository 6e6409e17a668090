"""Bytes of a text file as UTF-8, whatever its encoding: looked through in blocks, never held whole."""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from layers.errors import DeliveryError

SAMPLE_BYTES = 2**20
"""Beginning of the file that its header and dialect are read from."""

_BLOCK_BYTES = 2**20
_SLICE_BYTES = 2**15
_SLICE_EVERY = 16
_MAX_SLICES = 64
_END_BYTES = 2**16
_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_GZIP_MARK = b"\x1f\x8b"
_MAX_GZIP_RATIO = 200
"""Text packs 5 to 20 times; far beyond, and large, is a trap rather than a delivery."""
_MIN_BOMB_BYTES = 2**28


class Bytes(Protocol):
    """A file that is read from its beginning."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes; none at the end."""


@dataclass(frozen=True, slots=True)
class TextFile:
    """What a look through a text file told. ``slices`` are samples of the rest of the file (bytes, not whole lines)."""

    path: Path
    encoding: str
    sample: str
    slices: tuple[bytes, ...]
    has_nul: bool


def look_through(path: Path, declared: str | None) -> TextFile:
    """Read a file once: is it text, in which encoding, and what does it look like.

    Without a declared encoding: UTF-16 by its mark (or by the zeros of every other byte), UTF-8 when every byte
    of the file agrees, else Windows-1252, else ISO-8859-1. The whole file is looked at: the first accented letter may
    be its last.

    Raises
    ------
    DeliveryError
        If the encoding is not known, or most of the file is UTF-8 and some of it is not.
    """
    with open_bytes(path) as file:
        sample = file.read(SAMPLE_BYTES)
        encoding = _declared(declared, path.name) if declared else _sniffed_by_zeros(sample)
        wide = encoding is not None and "16" in encoding
        judge = _Utf8Judge() if encoding in {None, "utf-8"} else None
        slices: list[bytes] = []
        has_nul, block, last, number = False, sample, b"", 0
        while block:
            has_nul = has_nul or (b"\0" in block and not wide)
            if judge is not None:
                judge.take(block)
            if number % _SLICE_EVERY == 0 and len(slices) < _MAX_SLICES:
                slices.append(block[:_SLICE_BYTES])
            last, block, number = block, file.read(_BLOCK_BYTES), number + 1
        slices.append(last[-_SLICE_BYTES:])
    if judge is not None:
        judge.finish()
        if judge.fault is not None and encoding == "utf-8":
            raise DeliveryError(f"{path.name}: is not UTF-8 text: {_placed(judge, path)}")
        encoding = encoding or (_single_byte(path, judge) if judge.fault is not None else "utf-8")
    assert encoding is not None
    text = codecs.getincrementaldecoder(encoding)().decode(sample, final=len(sample) < SAMPLE_BYTES)
    return TextFile(path, encoding, text, tuple(slices), has_nul)


def _declared(name: str, file_name: str) -> str:
    try:
        io.TextIOWrapper(io.BytesIO(), encoding=name)  # refuses codecs of bytes, which lookup does not
        return codecs.lookup(name).name.removesuffix("-sig")
    except LookupError as error:
        raise DeliveryError(f"{file_name}: the encoding {name!r} is not known") from error


def _sniffed_by_zeros(sample: bytes) -> str | None:
    if sample.startswith(_UTF16_MARKS):
        return "utf-16"
    zeros = np.frombuffer(sample[: len(sample) // 2 * 2], np.uint8) == 0
    if len(zeros) < 4:
        return None
    even, odd = zeros[::2].mean(), zeros[1::2].mean()
    if odd > 0.5 and even < 0.1:
        return "utf-16-le"
    return "utf-16-be" if even > 0.5 and odd < 0.1 else None


class _Utf8Judge:
    """Says where a file that comes in blocks stops being UTF-8: ``fault`` and its place in bytes."""

    def __init__(self) -> None:
        self.fault: str | None = None
        self.place = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")()
        self._taken = 0

    def take(self, block: bytes, *, final: bool = False) -> None:
        """Judge the next block."""
        if self.fault is not None:
            return
        held = len(self._decoder.getstate()[0])
        if final or held or not block.isascii():
            try:
                self._decoder.decode(block, final=final)
            except UnicodeDecodeError as error:
                self.fault, self.place = error.reason, self._taken - held + error.start
        self._taken += len(block)

    def finish(self) -> None:
        """Judge the end: it may cut a letter in two."""
        self.take(b"", final=True)


def _placed(judge: _Utf8Judge, path: Path) -> str:
    with open_bytes(path) as file:
        line, left = 1, judge.place
        while left and (block := file.read(min(left, _BLOCK_BYTES))):
            line, left = line + block.count(b"\n"), left - len(block)
    return f"{judge.fault} in line {line}"


def _single_byte(path: Path, judge: _Utf8Judge) -> str:
    """Encoding of a file that is not UTF-8.

    Raises
    ------
    DeliveryError
        If most of what is not ASCII is UTF-8 all the same: read otherwise, every accent of the file would be garbled.
    """
    high = pairs = 0
    undefined = False
    with open_bytes(path) as file:
        while block := file.read(_BLOCK_BYTES):
            if block.isascii():
                continue
            codes = np.frombuffer(block, np.uint8)
            high += int((codes >= 0x80).sum())
            pairs += int(((codes[:-1] >= 0xC2) & (codes[1:] >= 0x80) & (codes[1:] < 0xC0)).sum())
            undefined = undefined or bool(np.isin(codes, (0x81, 0x8D, 0x8F, 0x90, 0x9D)).any())
    if 2 * pairs > high / 2:
        raise DeliveryError(
            f"{path.name}: is UTF-8 text with damage ({_placed(judge, path)}): correct it, or declare "
            "read.encoding if it is another"
        )
    # cp1252 leaves five bytes undefined; ISO-8859-1 has control characters there.
    return "iso-8859-1" if undefined else "cp1252"


@contextmanager
def open_bytes(path: Path) -> Iterator[Bytes]:
    """Open a file, unpacked when it is gzip.

    Raises
    ------
    OSError
        If it cannot be read, also while it is read.
    """
    with path.open("rb") as plain:
        packed = plain.read(2) == _GZIP_MARK
        plain.seek(0)
        if not packed:
            yield plain
            return
        with gzip.GzipFile(fileobj=plain) as unpacked:
            yield _Unpacked(unpacked, path.stat().st_size)


class _Unpacked:
    """A gzip file whose faults are faults of a file."""

    def __init__(self, file: gzip.GzipFile, packed_bytes: int) -> None:
        self._file, self._packed_bytes = file, packed_bytes

    def read(self, size: int) -> bytes:
        try:
            data = self._file.read(size)
        except (EOFError, zlib.error) as error:
            raise OSError(f"its gzip data are cut short or damaged: {error}") from error
        if self._file.tell() > max(_MIN_BOMB_BYTES, _MAX_GZIP_RATIO * self._packed_bytes):
            raise OSError(f"unpacks to more than {_MAX_GZIP_RATIO} times its size")
        return data


class Utf8Stream:
    """Binary file of the text in UTF-8, for Arrow: reads as much as is asked for, except at the end."""

    closed = False
    end = b""
    """The last bytes that were read, some kilobytes."""

    def __init__(self, file: Bytes, encoding: str, skip_bytes: int) -> None:
        """Begin after the first ``skip_bytes`` bytes of the text in UTF-8."""
        self._file = file
        plain = encoding == "utf-8"
        self._decoder = None if plain else codecs.getincrementaldecoder(encoding)()
        self._held = b""
        while skip_bytes > 0:
            skipped = len(self.read(min(skip_bytes, _BLOCK_BYTES)))
            if not skipped:
                break
            skip_bytes -= skipped

    def at_end(self) -> bool:
        """Whether nothing is left to read."""
        if not self._held:
            first = self.read(1)
            self._held = first + self._held
        return not self._held

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes; none at the end."""
        data = self._next(size)
        if data:
            self.end = (self.end + data if len(data) < _END_BYTES else data)[-_END_BYTES:]
        return data

    def _next(self, size: int) -> bytes:
        if self._decoder is None and not self._held:
            return self._file.read(size)
        parts, have = [self._held], len(self._held)
        while have < size:
            block = self._file.read(max(size - have, 2))
            text = block if self._decoder is None else self._decoder.decode(block, final=not block).encode()
            parts.append(text)
            have += len(text)
            if not block:
                break
        data = b"".join(parts)
        self._held = data[size:]
        return data[:size]

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def seekable(self) -> bool:
        """Say that it only goes forward."""
        return False

    def close(self) -> None:
        """Leave the file to who opened it."""
        self.closed = True
