# SPDX-License-Identifier: Apache-2.0
"""What can be typed, one module for each subject. A module here imports click and words, and nothing of a node."""
