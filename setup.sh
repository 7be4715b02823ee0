#!/bin/sh
# Makes .venv with what measuring and reporting need, and installs the few system packages that are missing (as root) or
# names them. What only developing needs comes on top of it, see the Makefile.
set -eu
cd "$(dirname "$0")"
. ./apt.sh
has_apt=''
if command -v apt-get >/dev/null 2>&1; then has_apt=yes; fi

# QEMU and the guest are fetched from the Debian mirror that apt knows; on a new machine apt may not have looked yet.
if [ -n "$has_apt" ] && [ -z "${COLO_BENCH_MIRROR:-}" ]; then
    if [ "$(id -u)" = 0 ] && [ -z "$(apt-get indextargets 2>/dev/null)" ]; then
        apt_get update || true
    fi
    if command -v apt-get >/dev/null 2>&1 && ! said=$(apt-get indextargets 2>&1); then
        echo "$said" | grep '^E:' >&2 || true
        echo "colo-bench: apt on this machine cannot read its own configuration; correct what it names, and repeat" >&2
        exit 3
    fi
    # A disc is no mirror, nor is one whose way of fetching is not installed: as bench/provision/mirror.py has it.
    knows=''
    for line in $(apt-get indextargets --format '$(SITE)|$(ORIGIN)|$(LABEL)|$(COMPONENT)' 2>/dev/null); do
        case "$line" in
        cdrom:*) ;;
        *'|Debian|Debian|main') [ ! -e "/usr/lib/apt/methods/${line%%:*}" ] || knows=yes ;;
        esac
    done
    case "$knows" in
    yes) ;;
    *)
        echo "colo-bench: apt on this machine knows no Debian mirror to fetch QEMU and the guest from. On Debian:" >&2
        echo "    sudo apt-get update" >&2
        echo "Elsewhere, on Ubuntu for example, no run can start without one; see docs/provisioning.md:" >&2
        echo "    export COLO_BENCH_MIRROR=http://HOST/debian" >&2
        ;;
    esac
fi

# $PYTHON, else python3, else the newest of those that stand beside it.
suits() {
    command -v "$1" >/dev/null 2>&1 && "$1" -I -c 'import sys
sys.exit(sys.version_info < (3, 11) or sys.implementation.name != "cpython")' >/dev/null 2>&1
}
python=${PYTHON:-}
if [ -n "$python" ]; then
    suits "$python" || {
        echo "colo-bench: PYTHON=$python is no CPython of 3.11 or newer" >&2
        echo "    unset PYTHON, or name another" >&2
        exit 2
    }
else
    for name in python3 python3.19 python3.18 python3.17 python3.16 python3.15 python3.14 python3.13 python3.12 python3.11; do
        if suits "$name"; then
            python=$name
            break
        fi
    done
fi

missing=''
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need gcc gcc
need ip iproute2
[ -n "$python" ] || need python3 python3
if [ -n "$has_apt" ]; then
    need mmdebstrap mmdebstrap
    [ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
    [ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || [ -e /usr/share/keyrings/debian-archive-keyring.pgp ] ||
        missing="$missing debian-archive-keyring"
fi
"${python:-python3}" -I -c 'import ensurepip, venv' >/dev/null 2>&1 ||
    missing="$missing $(basename "${python:-python3}")-venv"
if [ -n "$missing" ] && [ -z "$has_apt" ]; then . ./elsewhere.sh; fi
[ -z "$missing" ] || install_packages $missing

python=${python:-python3}
suits "$python" || {
    echo "colo-bench: Python 3.11 or newer is needed, this is $(python3 --version 2>&1)" >&2
    echo "    install a newer one beside it, or name one: make PYTHON=/path/of/python3.12 ..." >&2
    exit 3
}
# What a shell sets for another Python has no meaning in the new one, or keeps it from being made.
unset PYTHONHOME PYTHONPATH PIP_USER PIP_TARGET PIP_PREFIX PIP_ROOT || true
"$python" -m venv --clear .venv
echo "colo-bench: installing Python packages (pinned by hash in requirements.txt) into .venv, for $("$python" --version)"
"$python" -I tools/runtime.py --build >.venv/requirements.txt
pip() {
    .venv/bin/python -m pip install -q --disable-pip-version-check --no-compile "$@" || {
        echo "colo-bench: pip, whose words are above, could not install Python packages. Mostly the network is at fault: repeat" >&2
        echo "    behind a proxy, or with certificates of your own: export PIP_PROXY=http://HOST:PORT PIP_CERT=FILE" >&2
        exit 3
    }
}
pip --require-hashes -r .venv/requirements.txt
pip --no-deps --no-build-isolation -e .
[ -n "$has_apt" ] || echo "colo-bench: there is no apt here: measure with qemu=system guest=bare (docs/install.md)"
