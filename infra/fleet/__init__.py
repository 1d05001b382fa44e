# SPDX-License-Identifier: Apache-2.0
"""Operations on a live fleet: select, run, drain, silence, lock, health, journal, and the one rolling engine.

Libraries default to dry run; reading is kept apart from changing; zero hosts matched is an error.
"""
