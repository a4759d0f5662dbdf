#!/bin/sh
# system_package.sh PROGRAM "DEBIAN PACKAGES" "WHY": installs the packages if the program is missing.
# Exits 0 always: whatever needs the program says so itself.
program=$1 packages=$2 why=$3
command -v "$program" >/dev/null 2>&1 && exit 0

as_root=
if [ "$(id -u)" != 0 ]; then
  if sudo -n true >/dev/null 2>&1; then as_root="sudo -n"; else as_root=cannot; fi
fi
if [ "$as_root" != cannot ] && command -v apt-get >/dev/null 2>&1; then
  echo "Installing $packages ($why)"
  export DEBIAN_FRONTEND=noninteractive
  { $as_root apt-get -qq update && $as_root apt-get -qq install -y --no-install-recommends $packages; } \
    </dev/null >/dev/null 2>&1
fi
command -v "$program" >/dev/null 2>&1 ||
  echo "$program is not installed and could not be; $why: sudo apt-get install $packages"
exit 0
