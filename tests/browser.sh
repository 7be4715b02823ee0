#!/bin/sh
# Installs the browser that the report's page is tested in (as root, from Debian's packages), or says what will be skipped.
set -u
command -v chromium >/dev/null 2>&1 && command -v chromedriver >/dev/null 2>&1 && exit 0
if [ "$(id -u)" = 0 ]; then
    echo "colo-bench: installing chromium for the tests of the report's page"
    apt-get -qq update
    DEBIAN_FRONTEND=noninteractive apt-get -qq -y install --no-install-recommends chromium chromium-driver >/dev/null && exit 0
fi
echo "colo-bench: the tests of the report's page in a browser are skipped; to run them:" >&2
echo "    sudo apt-get install -y chromium chromium-driver" >&2
