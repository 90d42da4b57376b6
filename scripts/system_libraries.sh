#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Provide LLVM 19 and libatomic, which Mitsuba's CPU renderer loads and no Python package carries:
# by apt as root, otherwise unpacked into VENV/endoforge-libs, otherwise named in one sentence.
set -euo pipefail
venv="${1:?usage: scripts/system_libraries.sh VENV}"
packages=(libllvm19 libatomic1)
advice="The CPU renderer needs LLVM 17 or newer and libatomic; install them with: sudo apt-get install ${packages[*]}"
mkdir -p "$venv"
venv="$(cd "$venv" && pwd)"
folder="$venv/endoforge-libs"

present() {  # true when the loader, or an earlier run of this script, already has both
  local known
  known="$( { PATH="$PATH:/sbin:/usr/sbin" ldconfig -p; ls "$folder"; } 2>/dev/null || true)"
  grep -Eq 'libLLVM(-|\.so\.)(1[7-9]|[2-9][0-9])' <<<"$known" && grep -q 'libatomic\.so\.1' <<<"$known"
}

install_as_root() {
  [ "$(id -u)" = 0 ] || return 1
  apt-get update -qq >/dev/null 2>&1 || true  # the lists at hand may do
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${packages[@]}" >/dev/null
}

# Package lists and downloads live in a folder of our own: the system's may be empty or not ours.
unpack_without_root() {
  local work="$venv/endoforge-libs.part" names
  rm -rf "$work"
  mkdir -p "$work"/{lists,cache/archives}/partial "$work/debs" "$work/tree"
  local -a options=(-q -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache"
    -o Debug::NoLocking=1 -o APT::Sandbox::User= -o APT::Update::Post-Invoke-Success::=)
  apt-get "${options[@]}" update >/dev/null 2>&1 || true
  names="$(apt-get "${options[@]}" install -q -q --no-install-recommends --print-uris \
    "${packages[@]}" | awk '{ sub(/_.*/, "", $2); print $2 }')" || return 1
  [ -n "$names" ] || return 1
  # shellcheck disable=SC2086  # one name per word
  (cd "$work/debs" && apt-get "${options[@]}" download $names >/dev/null) || return 1
  local deb
  for deb in "$work"/debs/*.deb; do dpkg -x "$deb" "$work/tree"; done
  mkdir -p "$work/libs"
  find "$work/tree" -path '*/lib/*-linux-gnu*/*.so*' -prune -exec cp -a {} "$work/libs/" \;
  rm -rf "$folder"
  mv "$work/libs" "$folder"
  rm -rf "$work"
}

present && exit 0
if command -v apt-get >/dev/null; then
  install_as_root || unpack_without_root || true
fi
present || echo "$advice" >&2
