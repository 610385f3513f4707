"""A file of test data: how it is opened, and where in it something is wrong.

A path is opened when it is read and not before, since a fork may come in between. It is plain, or
compressed with gzip, bzip2 or xz, by its name. A file that is handed over open is read at once.
A change of the file while it is in use is an error: what is read then may be half of two versions.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import os
import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NoReturn

from protouser._errors import ConfigurationError
from protouser.feeders._progress import SLICE, Progress

__all__ = ["DataFile", "Fingerprint", "complain"]

_COMPRESSED: dict[str, Callable[[str], Any]] = {
    ".gz": gzip.GzipFile,
    ".bz2": bz2.BZ2File,
    ".xz": lzma.LZMAFile,
    ".lzma": lzma.LZMAFile,
}
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BUFFER = 1 << 16
_SMALL = 64_000_000
_SMALL_PACKED = 16_000_000
_PACKED = (
    (b"\x1f\x8b\x08", "compressed with gzip; give it the suffix .gz"),
    (b"\xfd7zXZ\0", "compressed with xz; give it the suffix .xz"),
    (b"PK\x03\x04", "a zip archive or a workbook; unpack it, or save it as CSV"),
    (b"(\xb5/\xfd", "compressed with zstd; unpack it, or compress it with gzip"),
)
_BZIP2 = re.compile(rb"BZh[1-9]1AY&SY")
_BROKEN = (EOFError, zlib.error, lzma.LZMAError)

Fingerprint = tuple[int, int, int]


def complain(
    file: str, reason: str, *, line: int | None = None, column: str | int | None = None
) -> NoReturn:
    """Say what is wrong, and where.

    Raises:
        ConfigurationError: always.
    """
    place = file if line is None else f"{file}, line {line:,}"
    if column is not None:
        place += f", column {column!r}" if isinstance(column, str) else f", column {column}"
    raise ConfigurationError(f"{place}: {reason}")


class DataFile:
    """What a feeder reads from: a path, or the content of a file that was handed over open.

    Attributes:
        name: how it is called in messages, and on the wire; the path without its folders.
        encoding: as given, or None where the file's own mark decides, and else UTF-8.
        plain: True where any place of it can be read directly, because it is not compressed.
    """

    def __init__(self, source: Any, encoding: str | None = None) -> None:
        self.encoding = _known(encoding)
        self._content: bytes | None = None
        if hasattr(source, "read"):
            self._path = str(getattr(source, "name", "") or "open file")
            content = source.read()
            self._content = content if isinstance(content, bytes) else content.encode()
        else:
            self._path = os.fspath(source)
        self.name = Path(self._path).name
        self._opener = None
        if self._content is None:
            self._opener = _COMPRESSED.get(Path(self._path).suffix.lower())
        self.plain = self._opener is None

    @property
    def suffix(self) -> str:
        """The suffix that tells the format: ``.csv`` of ``a.csv.gz``."""
        path = Path(self._path)
        return (path if self.plain else path.with_suffix("")).suffix.lower()

    def fingerprint(self) -> Fingerprint | None:
        """What differs when the file was changed; None for content that is held here."""
        if self._content is not None:
            return None
        try:
            return _fingerprint_of(os.stat(self._path))
        except OSError as error:
            self._refuse(error)

    def size(self) -> int:
        """Bytes on disk, or held here."""
        fingerprint = self.fingerprint()
        return len(self._content or b"") if fingerprint is None else fingerprint[1]

    @property
    def small(self) -> bool:
        """True where it is worth reading it once to know that all is well; a second or so."""
        return self.size() <= (_SMALL if self.plain else _SMALL_PACKED)

    def verify(self, stream: IO[Any], known: Fingerprint | None) -> None:
        """Make sure that the open file is still what it was when it was first looked at.

        Raises:
            ConfigurationError: it was changed or truncated.
        """
        if known is None:
            return
        found = _fingerprint_of(os.fstat(stream.fileno()))
        if found != known:
            what = "truncated" if found[1] < known[1] else "changed"
            complain(self.name, f"the file was {what} while it was in use; restart the test")

    def position(self, text: io.TextIOWrapper) -> int:
        """How far an open text has been read, in the bytes that ``size`` counts."""
        try:
            return os.lseek(text.fileno(), 0, os.SEEK_CUR)
        except OSError:
            return self.size()  # held in memory: there is no way to wait for

    def open_binary(self) -> IO[bytes]:
        """The bytes, decompressed.

        Raises:
            ConfigurationError: it cannot be opened.
        """
        try:
            if self._content is not None:
                return io.BytesIO(self._content)
            if self._opener is not None:
                binary: IO[bytes] = self._opener(self._path)
                return binary
            return open(self._path, "rb", buffering=_BUFFER)
        except OSError as error:
            self._refuse(error)

    def open_text(self) -> io.TextIOWrapper:
        """The text, with its line ends as they are."""
        binary = self.open_binary()
        try:
            encoding = self.encoding_of(binary)
            stream: Any = binary
            if not encoding.startswith(("utf-16", "utf-32")):
                stream = io.BufferedReader(_WithoutNul(binary), _BUFFER)
            return io.TextIOWrapper(stream, encoding=encoding, newline="")
        except BaseException:
            binary.close()
            raise

    def encoding_of(self, binary: IO[bytes]) -> str:
        """The encoding: as given, or as the byte order mark says, or UTF-8."""
        with self.reading():
            head = binary.read(10)
            binary.seek(0)
        self._refuse_packed(head)
        marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
        if self.encoding in (None, "utf-8"):
            return marked or "utf-8"
        return str(self.encoding)

    def _refuse_packed(self, head: bytes) -> None:
        packed = next((what for mark, what in _PACKED if head.startswith(mark)), None)
        if _BZIP2.match(head):
            packed = "compressed with bzip2; give it the suffix .bz2"
        if packed is not None:
            complain(self.name, f"it is {packed}")

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Turn what reading raises into an error that names the place.

        Raises:
            ConfigurationError: the text is not in its encoding, or the compressed data are broken.
        """
        try:
            yield
        except _NulFound:
            line, column, _ = self._locate("\0")
            complain(
                self.name,
                "holds a NUL character, so it is no plain text in this encoding; if it is UTF-16"
                " say encoding='utf-16-le' or 'utf-16-be'",
                line=line,
                column=column,
            )
        except UnicodeDecodeError as error:
            self._refuse_undecodable(error)
        except _BROKEN as error:
            complain(self.name, f"the compressed data end too early or are broken ({error})")
        except OSError as error:
            self._refuse(error)

    def _refuse_undecodable(self, error: UnicodeDecodeError) -> NoReturn:
        line, column, found = self._locate("[\udc80-\udcff]")
        what = f"this is not {error.encoding} ({error.reason})"
        if found:
            what = f"the byte 0x{ord(found) - 0xDC00:02x} is not {error.encoding}"
        complain(
            self.name,
            f"{what}; give the encoding of the file, as in encoding='latin-1'",
            line=line,
            column=column,
        )

    def _locate(self, pattern: str) -> tuple[int | None, int | None, str]:
        """Line, column and character of the first that is wanted, read from the beginning."""
        wanted = re.compile(pattern).search
        with self.open_binary() as binary:
            encoding = self.encoding_of(binary)
            text = io.TextIOWrapper(binary, encoding, errors="surrogateescape", newline="")
            progress = Progress(f"looking for what is wrong in {self.name}", self.size())
            number = 0
            try:
                for number, line in enumerate(text, 1):
                    found = wanted(line)
                    if found is not None:
                        return number, found.start() + 1, found[0]
                    if number % SLICE == 0:
                        progress.at(self.position(text), number)
            except UnicodeDecodeError:
                return number + 1, None, ""  # an encoding that has no way to go on
        return None, None, ""

    def _refuse(self, error: OSError) -> NoReturn:
        reason = error.strerror or str(error)
        where = "" if os.path.isabs(self._path) else f"; a relative path starts at {os.getcwd()}"
        raise ConfigurationError(f"{self._path}: cannot be read: {reason}{where}") from None


class _NulFound(Exception):
    """A byte 0 came up in what should be text."""


class _WithoutNul(io.RawIOBase):
    """A file that refuses bytes 0: either its encoding is another, or it is no text."""

    def __init__(self, binary: IO[bytes]) -> None:
        self._binary: Any = binary

    def readable(self) -> bool:
        return True

    def fileno(self) -> int:
        return int(self._binary.fileno())

    def readinto(self, buffer: Any) -> int:
        length = int(self._binary.readinto(buffer))
        if b"\0" in bytes(buffer[:length]):
            raise _NulFound
        return length

    def close(self) -> None:
        self._binary.close()
        super().close()


def _fingerprint_of(status: os.stat_result) -> Fingerprint:
    return status.st_ino, status.st_size, status.st_mtime_ns


def _known(encoding: str | None) -> str | None:
    if encoding is None:
        return None
    try:
        return codecs.lookup(encoding).name
    except LookupError:
        raise ConfigurationError(f"encoding {encoding!r} is not known") from None
