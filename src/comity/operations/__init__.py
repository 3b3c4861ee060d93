# SPDX-License-Identifier: Apache-2.0
"""Shell: what a node can be asked to do by this party's own people, on the command line or in the console."""
