# SPDX-License-Identifier: Apache-2.0
"""Shell: `python -m comity`, for where the program itself is not on the path."""

from comity.cli import main

__all__: list[str] = []

main()
