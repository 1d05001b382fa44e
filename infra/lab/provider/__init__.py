# SPDX-License-Identifier: Apache-2.0
"""The Pulumi resource provider ``lab``: a thin servicer over the engine-free core."""
