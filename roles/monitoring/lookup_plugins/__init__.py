# SPDX-License-Identifier: Apache-2.0
"""Ansible plug-ins of this role."""
