# SPDX-License-Identifier: Apache-2.0
"""How images are built. Another recipe version makes other hashes, so that every image is built again."""

from __future__ import annotations

import hashlib
import json

from infra.lab.core.model import ImageSpec

RECIPE = 1

# What the provider itself needs in a host: an init, a way in, and Python for Ansible and pyinfra.
BASE_PACKAGES = (
    "ca-certificates",
    "dbus",
    "iproute2",
    "iputils-ping",
    "nftables",
    "openssh-server",
    "openssl",
    "procps",
    "python3",
    "python3-apt",
    "sudo",
    "systemd",
    "systemd-sysv",
)

# $1 target, $2 suite, $3 proxy, $4 packages joined by commas. Without a mirror argument mmdebstrap takes
# Debian's own. Nobody needs the files of an interrupted build, so dpkg need not wait for the disk.
BUILD_BASE = r"""
exec mmdebstrap --quiet --variant=minbase --mode=root --dpkgopt=force-unsafe-io \
  --aptopt="Acquire::http::Proxy \"$3\"" \
  --aptopt='Apt::Install-Recommends "false"' --aptopt='Acquire::Retries "3"' \
  --include="$4" "$2" "$1" >&2
"""

# $1 tree. Runs once on a base image: the operator's account, services, and nothing that hosts would share
# by mistake.
FINISH_BASE = r"""
cd "$1"
rm -f etc/ssh/ssh_host_* etc/apt/apt.conf.d/99mmdebstrap etc/dpkg/dpkg.cfg.d/99mmdebstrap
rm -f etc/hostname var/lib/dbus/machine-id
: > etc/machine-id
: > etc/resolv.conf
chroot . useradd --create-home --shell /bin/bash --user-group ops
chroot . passwd --quiet --lock root
printf 'ops ALL=(ALL:ALL) NOPASSWD: ALL\n' > etc/sudoers.d/ops
chmod 0440 etc/sudoers.d/ops
install -d -m 0755 etc/ssh/sshd_config.d etc/systemd/journald.conf.d var/log/journal
printf '%s no\n' PermitRootLogin PasswordAuthentication KbdInteractiveAuthentication \
  > etc/ssh/sshd_config.d/00-lab.conf
printf '[Journal]\nStorage=persistent\n' > etc/systemd/journald.conf.d/00-lab.conf
chroot . systemctl --quiet enable systemd-networkd.service ssh.service
chroot . systemctl --quiet disable systemd-networkd-wait-online.service
chroot . systemctl --quiet mask systemd-firstboot.service console-getty.service
"""

# $1 base tree, $2 upper, $3 work, $4 mount point, $5 proxy, the rest packages. Services that the packages
# bring are left disabled: an unconfigured one that fails would make every new host of this image look broken.
BUILD_LAYER = r"""
base=$1 upper=$2 work=$3 merged=$4 proxy=$5; shift 5
mount -t overlay overlay -o "lowerdir=$base,upperdir=$upper,workdir=$work" "$merged"
mount -t proc proc "$merged/proc"
mount --rbind /dev "$merged/dev"
printf '#!/bin/sh\nexit 101\n' > "$merged/usr/sbin/policy-rc.d"
chmod 0755 "$merged/usr/sbin/policy-rc.d"
apt() { DEBIAN_FRONTEND=noninteractive LC_ALL=C chroot "$merged" apt-get --quiet=2 \
  -o Acquire::http::Proxy="$proxy" -o Acquire::Retries=3 \
  -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-unsafe-io "$@" >&2; }
system=$merged/etc/systemd/system
wants() { find "$system" -path '*.target.wants/*.service' -printf '%P\n' | sort; }
before=$(wants)
apt update
apt install --yes --no-install-recommends "$@"
apt clean
wants | while read -r unit; do
  case "$before" in *"$unit"*) ;; *) rm "$system/$unit" ;; esac
done
find "$merged/var/lib/apt/lists" -type f -delete
rm -f "$merged/usr/sbin/policy-rc.d" "$merged"/etc/ssh/ssh_host_*
rm -f "$merged"/etc/ssl/private/ssl-cert-snakeoil.key "$merged"/etc/ssl/certs/ssl-cert-snakeoil.pem
: > "$merged/etc/machine-id"
umount --lazy --recursive "$merged"
"""


def definition_hash(spec: ImageSpec) -> str:
    """The image's name: 24 hexadecimal digits of SHA-256 over everything that decides its content."""
    script = BUILD_LAYER if spec.base else BUILD_BASE + FINISH_BASE
    provider = [] if spec.base else BASE_PACKAGES
    parts = [RECIPE, script, spec.suite, sorted({*spec.packages, *provider}), spec.base]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:24]
