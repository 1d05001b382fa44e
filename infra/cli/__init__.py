# SPDX-License-Identifier: Apache-2.0
"""The command `perennial`: operates a live platform. `make` builds and tests this repository."""
