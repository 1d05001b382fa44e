# SPDX-License-Identifier: Apache-2.0
"""`make bench`: the platform measured beside references of its own, in one run, as ratios where pages are concerned."""
