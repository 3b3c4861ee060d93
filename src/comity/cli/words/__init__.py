# SPDX-License-Identifier: Apache-2.0
"""Results as people read them, one module for each subject; a result in, a text out."""
