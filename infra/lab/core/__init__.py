# SPDX-License-Identifier: Apache-2.0
"""The engine-free core of the lab provider: it knows hosts, images, networks and volumes, but not Pulumi."""
