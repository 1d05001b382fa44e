# SPDX-License-Identifier: Apache-2.0
"""The make targets that act on an environment: up, converge, down, verify, bench, drill."""
