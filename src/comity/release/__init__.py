# SPDX-License-Identifier: Apache-2.0
"""Pure: the answer to "may this leave?", what leaves, and the record of it."""
