# SPDX-License-Identifier: Apache-2.0
"""Shell: text that came from elsewhere, made plain: nothing in it steers a terminal or the order of a page."""

__all__ = ["printable"]


def printable(text: str) -> str:
    """The text in one line, with every character that does not show made visible: much of it comes from others."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)
