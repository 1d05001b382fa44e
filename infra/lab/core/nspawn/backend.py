# SPDX-License-Identifier: Apache-2.0
"""The lab backend of this machine."""

from __future__ import annotations

import os

from infra.lab.core.errors import LabError
from infra.lab.core.nspawn.host import Hosts
from infra.lab.core.nspawn.image import Images
from infra.lab.core.nspawn.network import Networks
from infra.lab.core.nspawn.paths import Paths
from infra.lab.core.nspawn.volume import Volumes


class NspawnBackend:
    """All resources of the labs on this machine; satisfies ``LabBackend``.

    Args:
        paths: where the files are; tests give other directories.
    """

    def __init__(self, paths: Paths | None = None) -> None:
        if os.geteuid() != 0:
            raise LabError("the lab needs root: it mounts file systems and makes network links; run as root")
        where = paths or Paths()
        self.images = Images(where)
        self.networks = Networks(where)
        self.volumes = Volumes(where)
        self.hosts = Hosts(where, self.images)
