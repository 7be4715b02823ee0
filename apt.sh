# Sourced by setup.sh and tests/programs.sh: what they have in common when they need system packages.

# `su` without a dash leaves these out, and ip and tc are there.
PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"

# apt-get, which waits while another one is at work (a fresh machine upgrades itself at first boot) and says so.
# Its own waiting is for the lock of dpkg alone: those of the lists and of the archives are refused at once.
apt_get() {
    end=$(($(date +%s) + 900))
    told=''
    while ! said=$(LC_ALL=C DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=5 "$@" 2>&1); do
        case "$said" in
        *'Could not get lock'* | *'nable to acquire the dpkg frontend lock'* | *'nable to lock'*) ;;
        *)
            echo "$said" >&2
            return 1
            ;;
        esac
        if [ "$(date +%s)" -ge "$end" ]; then
            echo "$said" >&2
            echo "colo-bench: another program has held apt's lock for 15 minutes; see who it is, and repeat" >&2
            return 1
        fi
        [ -n "$told" ] || echo "colo-bench: waiting for another apt: $(echo "$said" | sed -n 's/^E: //p' | head -n 1)" >&2
        told=yes
        sleep 2
    done
}

# Installs system packages as root; as another user it names them and ends with status 3.
install_packages() {
    if ! command -v apt-get >/dev/null 2>&1; then
        echo "colo-bench: missing, and there is no apt here to get them with; Debian calls them: $*" >&2
        exit 3
    elif [ "$(id -u)" = 0 ]; then
        echo "colo-bench: installing $*"
        apt_get update && apt_get -y install --no-install-recommends "$@" || {
            echo "colo-bench: could not be installed, for the reason above: $*" >&2
            exit 3
        }
    else
        echo "colo-bench: missing system packages; install them and repeat:" >&2
        echo "    sudo apt-get update && sudo apt-get install -y $*" >&2
        exit 3
    fi
}
