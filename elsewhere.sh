# Sourced by setup.sh where there is no apt: names the packages as this distribution calls them, and ends with status 3.
# Nothing of Debian is needed there: qemu=system takes the distribution's QEMU, guest=bare a guest that gcc makes.

release=${COLO_BENCH_OS_RELEASE:-/etc/os-release}
kinds=$(if [ -r "$release" ]; then . "$release" && echo "${ID:-} ${ID_LIKE:-}"; fi)
case " $kinds " in
*' fedora '* | *' rhel '*) install='sudo dnf install qemu-system-x86-core qemu-img gcc glibc-static iproute python3' ;;
*' arch '*) install='sudo pacman -S qemu-system-x86 qemu-img gcc iproute2 python' ;;
*' nixos '*) install='nix-shell -p qemu gcc glibc.static iproute2 python3' ;;
*' suse '* | *' opensuse '*) install='sudo zypper install qemu-x86 qemu-img gcc glibc-devel-static iproute2 python3' ;;
*) install='its packages of: QEMU for x86-64, qemu-img, gcc, a static C library, iproute2, Python 3.11 or newer with venv' ;;
esac
echo "colo-bench: no apt here, and missing:$missing; install them and repeat:" >&2
echo "    $install" >&2
echo "Then measure with qemu=system guest=bare, which need nothing of Debian (docs/install.md)." >&2
exit 3
