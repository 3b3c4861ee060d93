# SPDX-License-Identifier: Apache-2.0
"""Long inputs that make careless parsers slow: nesting, repetition, endless words, numbers and lists."""

from collections.abc import Callable, Mapping

__all__ = ["STRAINS"]


def _repeat(part: bytes, before: bytes = b"", after: bytes = b"") -> Callable[[int], bytes]:
    return lambda size: before + part * max(1, (size - len(before) - len(after)) // len(part)) + after


def _count(form: str, before: str, after: str) -> Callable[[int], bytes]:
    def make(size: int) -> bytes:
        parts = [form.format(number) for number in range(size // (len(form) + 4))]
        return (before + "".join(parts) + after).encode()

    return make


STRAINS: Mapping[str, Callable[[int], bytes]] = {
    "letters": _repeat(b"a"),
    "digits": _repeat(b"9"),
    "spaces": _repeat(b" "),
    "lines": _repeat(b"\n"),
    "zeros": _repeat(b"\0"),
    "not UTF-8": _repeat(b"\xff"),
    "lone surrogates": _repeat(b"\xed\xa0\x80"),
    "commas": _repeat(b","),
    "equals": _repeat(b"="),
    "backslashes": _repeat(b"\\"),
    "JSON: arrays in arrays": _repeat(b"["),
    "JSON: objects in objects": _repeat(b'{"a":'),
    "JSON: a long array": _repeat(b"0,", b"[", b"0]"),
    "JSON: many arrays": _repeat(b"[],", b"[", b"[]]"),
    "JSON: many names": _count('"k{}":0,', "{", '"z":0}'),
    "JSON: one name again": _repeat(b'"a":0,', b"{", b'"a":0}'),
    "JSON: a long string": _repeat(b"\\u00e9", b'"', b'"'),
    "JSON: a string without end": _repeat(b'\\"', b'"'),
    "JSON: a long number": _repeat(b"1", b"0."),
    "JSON: a long exponent": _repeat(b"1", b"1e"),
    "JSON: objects of a bundle": _repeat(b'{"type":"a","id":"a--1"},', b'{"type":"bundle","objects":[', b"0]}"),
    "JSON: an envelope's ends": _repeat(b"]}", b'{"objects":['),
    "TOML: dotted": _repeat(b"a.", b"", b"a=1"),
    "TOML: many keys": _count("k{}=1\n", "", ""),
    "TOML: tables": _repeat(b"[[a]]\n"),
    "TOML: tables below": _repeat(b"a.", b"[", b"a]"),
    "TOML: inline": _repeat(b"{a=", b"a="),
    "TOML: arrays": _repeat(b"[", b"a="),
    "TOML: a string": _repeat(b"\\\n ", b'a="""', b'"""'),
    "TOML: many bases": _repeat(b'[[legal_bases]]\nparty="aurelia"\nkind="treaty"\n'),
    "YAML: lists in lists": _repeat(b"- "),
    "YAML: maps in maps": lambda size: b"".join(b" " * depth + b"a:\n" for depth in range(int((2 * size) ** 0.5) - 2)),
    "YAML: flow": _repeat(b"{a: ["),
    "YAML: aliases": _count("a{0}: &a{0} [*a, *a]\n", "a: &a [x]\n", ""),
    "YAML: aliases of aliases": lambda size: (
        b"a0: &a0 [x, x]\n" + b"".join(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]\n".encode() for n in range(1, size // 28))
    ),
    "YAML: one key": _repeat(b"? a\n"),
    "YAML: documents": _repeat(b"---\n"),
    "note: signature lines": _repeat("— a AAAAAAA=\n".encode(), b"a\n\n"),
    "note: empty lines": _repeat(b"\n\n", b"a", b"\n"),
    "query": _repeat(b"match[type]=a&"),
    "query: a list": _repeat(b"a,", b"match[id]="),
    "header: weights": _repeat(b"a;q=0.5, "),
    "header: parameters": _repeat(b";a=b", b"application/taxii+json"),
    "header: Basic": _repeat(b"QUFB", b"Basic "),
    "path: slashes": _repeat(b"/", b"/taxii2"),
    "path: tiles": _repeat(b"x000/", b"tile/0/", b"000"),
    "path: a collection": _repeat(b"objects/", b"/taxii2/a/collections/"),
    "durations": _repeat(b"1Y", b"P"),
    "dashes": _repeat(b"a-", b"", b"--"),
    "groups": _repeat(b"a \\s\n", b"subjects\n"),
    "bundle": _repeat(b"\x00\x01a"),
}
"""By what each is, from the number of bytes that are wanted."""
