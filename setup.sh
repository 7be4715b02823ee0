#!/bin/sh
# Makes .venv with everything installed, and installs the few system packages that are missing (as root) or names them.
set -eu
cd "$(dirname "$0")"

# QEMU and the guest are fetched from the Debian mirror that apt knows; on a new machine apt may not have looked yet.
if [ -z "${COLO_BENCH_MIRROR:-}" ]; then
    if [ "$(id -u)" = 0 ] && [ -z "$(apt-get indextargets 2>/dev/null)" ]; then
        apt-get -qq update
    fi
    case "$(apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(COMPONENT)' 2>/dev/null)" in
    *'Debian|Debian|main'*) ;;
    *)
        echo "colo-bench: apt on this machine knows no Debian mirror to fetch QEMU and the guest from. On Debian:" >&2
        echo "    sudo apt-get update" >&2
        echo "Elsewhere, on Ubuntu for example, no run can start without one; see docs/provisioning.md:" >&2
        echo "    export COLO_BENCH_MIRROR=http://HOST/debian" >&2
        ;;
    esac
fi

missing=''
need() { command -v "$1" >/dev/null 2>&1 || missing="$missing $2"; }
need mmdebstrap mmdebstrap
need gcc gcc
need ip iproute2
need python3 python3
[ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
[ -e /usr/share/keyrings/debian-archive-keyring.gpg ] || [ -e /usr/share/keyrings/debian-archive-keyring.pgp ] ||
    missing="$missing debian-archive-keyring"
python3 -c 'import ensurepip, venv' >/dev/null 2>&1 || missing="$missing python3-venv"

if [ -n "$missing" ]; then
    if [ "$(id -u)" = 0 ]; then
        echo "colo-bench: installing$missing"
        apt-get -qq update
        DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends $missing >/dev/null
    else
        echo "colo-bench: missing system packages; install them and repeat:" >&2
        echo "    sudo apt-get update && sudo apt-get install -y$missing" >&2
        exit 3
    fi
fi

python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo "colo-bench: Python 3.11 or newer is needed, this is $(python3 --version)" >&2; exit 3; }
python3 -m venv --clear .venv
echo "colo-bench: installing the Python packages of requirements.txt (pinned by hash) into .venv"
.venv/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
.venv/bin/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
