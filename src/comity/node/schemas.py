# SPDX-License-Identifier: Apache-2.0
"""Shell: the STIX schemas that are installed with this program, read and compiled once in a process, when first asked.

Reading them at the start would cost every command a tenth of a second that most do not need.
"""

from collections.abc import Iterator
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable

from comity.stix.validation import Schemas, compile_schemas

__all__ = ["read_schemas"]


@cache
def read_schemas() -> Schemas:
    """The schema of every type that STIX 2.1 defines."""
    return compile_schemas(_read_files(resources.files("comity.stix") / "schemas"))


def _read_files(folder: Traversable) -> Iterator[bytes]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _read_files(item)
        elif item.name.endswith(".json"):
            yield item.read_bytes()
