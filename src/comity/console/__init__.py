# SPDX-License-Identifier: Apache-2.0
"""Shell: pages for this party's own people, served by the node itself on an address of its own.

A page asks operations in the name of the person who is signed in, and shows their results. Nothing is permitted or
decided here: which operation a person may ask, and what an act then needs, is decided by `operations` and `node`.
"""
