#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Checks every shell or PHP file of the checkout: by name, and programs without an ending by their first line.
# Usage: infra/toolchain/lint.sh shell|php
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# Prints the checkout's files, tracked or new, that match the name pattern $1 or whose first line matches $2.
files() {
    local file first
    while IFS= read -r -d '' file; do
        [[ -f $file && ! -L $file && $file != *.j2 ]] || continue
        if [[ $file =~ $1 ]]; then
            printf '%s\0' "$file"
        elif [[ ${file##*/} != *.* ]]; then
            IFS= read -r first <"$file" 2>/dev/null || continue
            [[ ! $first =~ $2 ]] || printf '%s\0' "$file"
        fi
    done < <(git ls-files -z --cached --others --exclude-standard)
}

case ${1:-} in
shell) files '\.sh$' '^#!.*[/ ](ba|da)?sh( |$)' | xargs -0 -r shellcheck ;;
php) files '\.php$' '^#!.*[/ ]php' | xargs -0 -r -n1 php -d display_errors=stderr -l >/dev/null ;;
*)
    echo "usage: ${0##*/} shell|php" >&2
    exit 64
    ;;
esac
