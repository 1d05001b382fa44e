# SPDX-License-Identifier: Apache-2.0
"""Rules of the repository as tests; each is a function over a tree, and has been seen red."""
