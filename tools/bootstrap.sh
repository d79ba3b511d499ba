#!/bin/sh
# This file checks that what the build needs is installed, and on Debian and Ubuntu installs what is missing when it
# may (as root, or with a sudo that asks no password). Elsewhere it names the packages and ends with status 1.
#
#   tools/bootstrap.sh [build] [pip] [clang]      default: build
#
# build   compiler, Meson, libraries      pip   for tools/fetch.py      clang   for `make fuzz`
set -u

missing='' debian='' fedora='' homebrew=''

# need WHAT DEBIAN FEDORA HOMEBREW CHECK...: when the command CHECK fails, WHAT is missing and comes with the packages
# DEBIAN, FEDORA, HOMEBREW ("-": nothing to install there).
need() {
    what=$1 deb=$2 rpm=$3 brew=$4
    shift 4
    "$@" >/dev/null 2>&1 </dev/null && return
    missing="$missing $what"
    [ "$deb" = - ] || debian="$debian $deb"
    [ "$rpm" = - ] || fedora="$fedora $rpm"
    [ "$brew" = - ] || homebrew="$homebrew $brew"
}

compiler_works() { echo '#include <stdio.h>' | ${CC:-cc} -E -x c -; }
# meson.build asks for 1.0; the sort is by version, oldest first.
meson_is_new() { [ "$(printf '1.0.0\n%s\n' "$(meson --version)" | sort -V | head -n 1)" = 1.0.0 ]; }
library() { need "$1" "$2" "$3" "$4" pkg-config --exists "$5"; }

check_build() {
    need 'C-compiler' 'gcc libc6-dev' 'gcc libasan libubsan' 'libomp' compiler_works
    need make make make make command -v make
    need 'meson>=1.0' meson meson meson meson_is_new
    need ninja ninja-build ninja-build ninja command -v ninja
    need pkg-config pkg-config pkgconf-pkg-config pkgconf command -v pkg-config
    library jansson libjansson-dev jansson-devel jansson jansson
    library pcre2 libpcre2-dev pcre2-devel pcre2 libpcre2-8
    library utf8proc libutf8proc-dev utf8proc-devel utf8proc libutf8proc
    library popt libpopt-dev popt-devel popt popt
    library cmocka libcmocka-dev libcmocka-devel cmocka cmocka
}

check_pip() { need pip python3-pip python3-pip python python3 -m pip --version; }

# Beside the compiler: its OpenMP, its runtimes (libFuzzer, sanitizers) and, for readable stacks, llvm-symbolizer.
clang_works() {
    object=$(mktemp) &&
        echo 'int LLVMFuzzerTestOneInput(const char *d, long n) { (void)d; return n < 0; }' |
        clang -fopenmp -fsanitize=fuzzer,address -x c - -o "$object"
    status=$?
    rm -f "$object"
    return "$status"
}
check_clang() {
    need clang 'clang llvm libomp-dev libclang-rt-dev' 'clang llvm libomp-devel compiler-rt' 'llvm libomp' clang_works
}

check() {
    missing='' debian='' fedora='' homebrew=''
    for group in "$@"; do
        case $group in
            build) check_build ;;
            pip) check_pip ;;
            clang) check_clang ;;
            *) echo "bootstrap: unknown group '$group' (build, pip, clang)" >&2; exit 2 ;;
        esac
    done
    [ -z "$missing" ]
}

name_packages() {
    {
        echo "tallrec needs, and did not find:$missing"
        echo "  Debian, Ubuntu   sudo apt-get install -y --no-install-recommends$debian"
        echo "  Fedora           sudo dnf install -y$fedora"
        echo "  Homebrew         brew install$homebrew"
        [ "${missing#*meson}" = "$missing" ] ||
            echo "Where the packaged Meson is older than 1.0: python3 -m pip install --user meson"
    } >&2
}

# apt as whoever may install, never asking. A fresh machine often runs its own upgrades: wait for its lock.
apt() {
    if [ "$(id -u)" -eq 0 ]; then set -- env DEBIAN_FRONTEND=noninteractive apt-get "$@"
    else set -- sudo -n env DEBIAN_FRONTEND=noninteractive apt-get "$@"; fi
    echo "+ $*" >&2
    "$@" -q -o DPkg::Lock::Timeout=300 -o Acquire::Retries=3 -o Dpkg::Use-Pty=0 </dev/null >&2
}
may_install() {
    command -v apt-get >/dev/null 2>&1 || return 1
    [ "$(id -u)" -eq 0 ] || sudo -n true >/dev/null 2>&1
}

[ $# -gt 0 ] || set -- build
check "$@" && exit 0
if may_install; then
    echo "Installing what tallrec needs and this machine lacks:$missing" >&2
    apt update || echo "apt-get update failed; trying with the lists at hand" >&2
    wanted=''
    # In some releases the runtimes are part of another package of clang.
    for package in $debian; do
        case $package in
            libclang-rt-dev) apt-cache show "$package" >/dev/null 2>&1 || continue ;;
        esac
        wanted="$wanted $package"
    done
    # shellcheck disable=SC2086  # a list of words
    apt install -y --no-install-recommends $wanted
    check "$@" && exit 0
fi
name_packages
exit 1
