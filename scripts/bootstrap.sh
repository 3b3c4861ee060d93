#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Sourced by ./check and ./demo, from the repository's root. Offers one function:
#
#   bootstrap dev|demo    makes .venv hold exactly what requirements/<that>.txt locks, and comity itself, editable
#
# It needs a Python of 3.11 or later, and the internet or a mirror that pip knows. On a machine whose Python cannot make
# virtual environments it installs python3-venv with apt; for dev, also what tests need of the
# system: Pango and a font for printed documents, nginx to stand in front of a node, strace to let
# its file calls fail, iproute2 to put nodes into network namespaces, Go to read its log, and Chromium
# to click through the console (with libatomic1, which what drives it needs). When nothing has changed
# since the last time it does nothing:
# .venv/comity-stamp holds the kind and a digest of everything that decides what is installed.

say() { printf '▸ %s\n' "$*" >&2; }
die() {
  printf '✗ %s\n' "$*" >&2
  exit 1
}

find_python() { # prints the first Python of 3.11 or later
  local candidate
  for candidate in ${COMITY_PYTHON:+"$COMITY_PYTHON"} python3 python3.11 python3.12 python3.13 python3.14; do
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      command -v "$candidate"
      return
    fi
  done
  die "no Python of 3.11 or later found; install one (Debian 12: apt-get install python3) or name it in COMITY_PYTHON"
}

install_debian() { # install_debian WHY PACKAGE…: with apt, as root or through sudo
  local why=$1 as_root=()
  shift
  if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || die "$why; as root, run: apt-get install $*   (then run this again)"
    as_root=(sudo)
  fi
  say "installing $* with apt ($why)"
  { "${as_root[@]}" apt-get update -qq &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -qq -y -o Dpkg::Use-Pty=0 --no-install-recommends "$@" >/dev/null; } ||
    die "apt could not install $*; as root, run: apt-get install $*   (then run this again)"
}

install_venv_module() { # Debian ships Python without ensurepip; the package is named for the interpreter's own version
  local python=$1
  command -v apt-get >/dev/null ||
    die "$python cannot make a virtual environment; install its venv and ensurepip modules, then run this again"
  install_debian "this Python cannot make a virtual environment without it" \
    "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
}

install_for_tests() { # only what is missing; elsewhere than on Debian the tests say what they lack
  local package missing=()
  command -v dpkg-query >/dev/null && command -v apt-get >/dev/null || return 0
  for package in libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0 fonts-dejavu-core nginx-light golang-go \
    golang-golang-x-mod-dev strace iproute2 chromium libatomic1; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [ "${#missing[@]}" -eq 0 ] || install_debian "tests need it" "${missing[@]}"
}

make_venv() {
  local python
  python=$(find_python) || exit 1
  "$python" -c 'import ensurepip, venv' 2>/dev/null || install_venv_module "$python"
  say "making .venv with $("$python" --version)"
  "$python" -m venv --clear .venv || die "$python -m venv failed; the lines above say why"
}

venv_works() { # one that was moved does not: its commands still name the Python of the old place
  .venv/bin/python -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null &&
    grep -qsF -e "!$PWD/.venv/bin/" -e "\"$PWD/.venv/bin/" .venv/bin/pip
}

digest_of_inputs() {
  { printf '%s\n' "$PWD" "$(.venv/bin/python --version)" &&
    cat pyproject.toml requirements/uv.txt "requirements/$1.txt" scripts/bootstrap.sh; } | sha256sum | cut -d ' ' -f 1
}

install_locked() { # install_locked KIND: exactly the lock; with pip, slower, where only pip knows the way to a mirror
  local lock=requirements/$1.txt pip=(.venv/bin/python -m pip --disable-pip-version-check --quiet)
  say "installing what $lock locks"
  if ! "${pip[@]}" install --require-hashes -r requirements/uv.txt; then
    die "pip could not install uv; is there a way to a package index (the internet, or a mirror in pip's settings)?"
  fi
  if ! UV_PYTHON_DOWNLOADS=never .venv/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes "$lock"; then
    say "uv could not (see above); trying pip, which takes longer"
    "${pip[@]}" install --require-hashes -r "$lock" || die "neither uv nor pip could install what $lock locks"
  fi
  "${pip[@]}" install --no-deps --no-build-isolation --no-index --editable . || die "comity itself could not be installed"
}

bootstrap_locked() {
  local kind=$1 stamp=.venv/comity-stamp
  [ "$kind" != dev ] || install_for_tests
  venv_works || make_venv
  if [ "$kind" = demo ] && grep -qs '^dev ' "$stamp"; then
    kind=dev # the developer's set holds the demonstration's
  fi
  [ "$(cat "$stamp" 2>/dev/null)" != "$kind $(digest_of_inputs "$kind")" ] || return 0
  printf '%s incomplete\n' "$kind" >"$stamp" # an installation cut short must not look finished
  install_locked "$kind"
  printf '%s %s\n' "$kind" "$(digest_of_inputs "$kind")" >"$stamp"
}

bootstrap() { # one at a time: the lock is on the repository's own directory, so it leaves no file
  (
    if ! flock --nonblock 9; then
      say "waiting for another ./check or ./demo that prepares .venv"
      flock 9
    fi
    bootstrap_locked "$1"
  ) 9<. || exit 1
  keep_compiled
}

keep_compiled() { # programs start by the hundred: where nothing may be kept beside the code, each would compile all of it
  [ -n "${PYTHONDONTWRITEBYTECODE:-}" ] || return 0
  unset PYTHONDONTWRITEBYTECODE
  export PYTHONPYCACHEPREFIX=$PWD/.venv/compiled
}
