# SPDX-License-Identifier: Apache-2.0
"""Pure: the signed document, the state that signed events give it, and each party's own recognition."""
