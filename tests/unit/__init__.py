# SPDX-License-Identifier: Apache-2.0
"""Fast tests without a lab."""
