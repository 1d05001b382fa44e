#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# First half of `make setup`: Debian packages, by purpose. The second half needs Python: infra/toolchain/setup.py.
# Usage: infra/toolchain/setup.sh [PURPOSE...]   (up, check, test; see packages.txt; nothing named: up and check)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../.." && pwd)
cd "$root"
purposes=${*:-up check}

installed() {
    [[ $(dpkg-query -W -f '${Status}' "$1" 2>/dev/null) == "install ok installed" ]]
}

# Prints the packages of the purposes that are missing, one a line.
missing_packages() {
    local purpose package command
    while read -r purpose package command; do
        [[ " $purposes " == *" $purpose "* ]] || continue
        [[ -n $command ]] && command -v "$command" >/dev/null && continue
        installed "$package" || printf '%s\n' "$package"
    done < <(grep -v '^#' "$here/packages.txt")
}

# Keeps the package cache from being started as a service of the machine: a lab starts one of its own.
policy=/usr/sbin/policy-rc.d
mark='Made by a running "make setup", which removes it.'
remove_policy() { if grep -qsF "$mark" "$policy"; then rm -f "$policy"; fi; }
hold_services() {
    [[ ! -e $policy ]] || return 0 # the administrator's own
    cat >"$policy" <<EOF
#!/bin/sh
# $mark
[ "\$1" != apt-cacher-ng ] || exit 101
EOF
    chmod 755 "$policy"
}

install_packages() {
    echo "setup: installing with apt-get: $*"
    echo "setup: to undo later: apt-get purge $*"
    export DEBIAN_FRONTEND=noninteractive
    local options=(-q -o DPkg::Lock::Timeout=120)
    remove_policy # one that a killed run left
    trap remove_policy EXIT
    hold_services
    dpkg --configure -a
    apt-get "${options[@]}" update
    apt-get "${options[@]}" install -y --no-install-recommends "$@" </dev/null
    remove_policy
    trap - EXIT
    if [[ " $* " == *" apt-cacher-ng "* ]]; then
        update-rc.d apt-cacher-ng disable # the lab runs its own; the machine's service was not there before us
    fi
}

if ! command -v dpkg-query >/dev/null; then
    echo "setup: this machine is not Debian (no dpkg); Debian 12 or 13 is needed" >&2
    exit 64
fi
mapfile -t missing < <(missing_packages)
if ((${#missing[@]})); then
    if ((EUID)); then
        echo "setup: root is needed to install: ${missing[*]}" >&2
        echo "setup: run: apt-get install --no-install-recommends ${missing[*]}   (or make setup) as root" >&2
        exit 64
    fi
    install_packages "${missing[@]}"
fi
python=/usr/bin/python3 # Debian's own: the virtual environment must not depend on a personal one
[[ -x $python ]] || python=$(command -v python3)
exec env PYTHONPATH="$root" "$python" -m infra.toolchain.setup "$purposes"
