# SPDX-License-Identifier: Apache-2.0
"""Shell: libraries that read foreign formats, each in a process of its own, bounded in memory, time and answer."""
