#!/usr/bin/env bash
# Finds a Chromium for the tests that look at a page, or installs Debian's where that needs no password.
# Prints the path of the browser; where none can be had, says what to type and fails.
set -eu

find_browser() {
    for name in chromium chromium-browser google-chrome; do
        if command -v "$name"; then return 0; fi
    done
    return 1
}

if find_browser; then exit 0; fi

packages="chromium fonts-dejavu-core"
if ! command -v apt-get >/dev/null; then
    echo "browser: no Chromium on the PATH and no apt-get here; install Chromium with this system's package manager" >&2
    exit 1
fi
if [ "$(id -u)" -ne 0 ]; then
    echo "browser: no Chromium on the PATH; to install it: sudo apt-get install --no-install-recommends $packages" >&2
    exit 1
fi
# apt's own chatter goes to stderr: stdout carries the path alone.
apt-get update -qq >&2
# shellcheck disable=SC2086  # two package names, split on purpose
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages >&2
find_browser
