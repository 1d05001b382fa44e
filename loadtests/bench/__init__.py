# SPDX-License-Identifier: Apache-2.0
"""`make bench`: the platform beside references of its own in one run; pages are compared as ratios."""
