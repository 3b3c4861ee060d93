# SPDX-License-Identifier: Apache-2.0
"""Shell: a witness that is no node: it cosigns the heads of the logs that it was given, and does nothing else."""
