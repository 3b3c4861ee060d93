# SPDX-License-Identifier: Apache-2.0
"""Small PDFs made of text: one font, lines broken at a width, as many pages as it takes."""

import textwrap
import zlib

__all__ = ["make_pdf"]

_LINES = 44


def make_pdf(text: str, *, width: int = 88, packed: bool = True, pages: int | None = None) -> bytes:
    """A PDF of a text whose paragraphs have an empty line between; `pages` repeats the first page so often."""
    lines = [
        line for block in text.strip().split("\n\n") for line in [*textwrap.wrap(" ".join(block.split()), width), ""]
    ]
    sheets = [lines[at : at + _LINES] for at in range(0, len(lines), _LINES)]
    streams = [_write_page(sheet) for sheet in sheets] * (1 if pages is None else pages)
    return assemble([_pack(stream) if packed else (stream, b"") for stream in streams])


def assemble(streams: list[tuple[bytes, bytes]]) -> bytes:
    """A PDF whose pages have these contents, each with what its dictionary says besides the length."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = list[bytes]()
    for stream, filters in streams:
        objects.append(
            b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(stream), filters, stream),
        )
        content = len(objects)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % content
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), b" ".join(kids))
    out, places = bytearray(b"%PDF-1.4\n"), list[int]()
    for number, content_of in enumerate(objects, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, content_of)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


def _write_page(lines: list[str]) -> bytes:
    shown = b"".join(b"(%s) Tj T*\n" % _escape(line) for line in lines)
    return b"BT /F1 11 Tf 14 TL 60 780 Td\n" + shown + b"ET"


def _escape(line: str) -> bytes:
    return line.encode("cp1252", "replace").replace(b"\\", b"\\\\").replace(b"(", b"\\(").replace(b")", b"\\)")


def _pack(stream: bytes) -> tuple[bytes, bytes]:
    return zlib.compress(stream), b"/Filter /FlateDecode"
