# SPDX-License-Identifier: Apache-2.0
"""Pure: agreements tested like code: a story with times, and what must follow from it."""
