# SPDX-License-Identifier: Apache-2.0
"""The library that knows the platform, and the programs that provision it."""
