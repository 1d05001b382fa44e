# SPDX-License-Identifier: Apache-2.0
"""The lab substrate: full Debian systems on one Linux machine, made by Pulumi."""
