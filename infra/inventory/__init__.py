# SPDX-License-Identifier: Apache-2.0
"""One reader of the fleet document; Ansible's plugin and pyinfra's inventory stand on it."""

from infra.inventory.fleet import Fleet, FleetError, FleetHost, read_fleet

__all__ = ["Fleet", "FleetError", "FleetHost", "read_fleet"]
