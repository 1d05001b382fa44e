# SPDX-License-Identifier: Apache-2.0
"""The backend that boots Debian systems with systemd-nspawn on this machine."""
