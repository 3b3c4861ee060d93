# SPDX-License-Identifier: Apache-2.0
"""Shell: the node as TAXII 2.1 shows it: `wire` holds resources, filters and cursors as values, `server` moves them."""
