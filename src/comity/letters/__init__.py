# SPDX-License-Identifier: Apache-2.0
"""Pure: letters: signed statements about objects that one party of an agreement sends another."""
