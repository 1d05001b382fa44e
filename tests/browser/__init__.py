# SPDX-License-Identifier: Apache-2.0
"""The running site as people meet it; `make verify` runs these against an environment that is up."""
