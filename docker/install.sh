#!/usr/bin/env bash
# Installs streamproc on a bare Debian 12: what the image's build does, and what a box without containers runs.
# Run as root in the checkout. Leaves:
#   /opt/streamproc            the environment (bin/streamproc; linked as /usr/local/bin/streamproc), owned by root
#   user streamproc            without a shell; home /var/lib/streamproc, the only place the daemon writes besides /tmp and /run
#   /etc/streamproc            an example box config and its processors/ folder (kept where they exist)
#
#   docker/install.sh [runtime|build|all]     runtime: Debian packages and the user; build: the environment; all (default): both
# STREAMPROC_BAKE_MODELS=1 also fetches the default models into /opt/streamproc/models, for sites without a network.
set -euo pipefail
cd "$(dirname "$0")/.."
prefix=/opt/streamproc
state=/var/lib/streamproc
part=${1:-all}

install_runtime() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    # ca-certificates: TLS to brokers and stores; the rest is Python itself. Media and inference libraries come in the wheels.
    apt-get install -q -y --no-install-recommends python3 ca-certificates
    if ! id streamproc >/dev/null 2>&1; then
        useradd --system --user-group --home-dir "$state" --shell /usr/sbin/nologin streamproc
    fi
    install -d -m 0750 -o streamproc -g streamproc "$state"
    install -d -m 0755 /etc/streamproc /etc/streamproc/processors
    [ -e /etc/streamproc/streamproc.yaml ] || install -m 0644 docker/streamproc.yaml /etc/streamproc/streamproc.yaml
}

install_environment() {
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -q -y --no-install-recommends python3-venv python3-pip
    python3 -m venv --clear "$prefix"
    local tools
    tools=$(mktemp -d)
    python3 -m venv "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check 'uv>=0.6'
    # What the daemon and the demo need, at the versions and hashes of the lock file.
    "$tools/bin/uv" pip install --quiet --compile-bytecode --python "$prefix/bin/python" --no-cache --constraint requirements.lock ".[demo]"
    rm -rf "$tools"
    ln -sf "$prefix/bin/streamproc" /usr/local/bin/streamproc
    if [ "${STREAMPROC_BAKE_MODELS:-0}" = 1 ]; then
        STREAMPROC_MODELS="$prefix/models" "$prefix/bin/streamproc" models pull
        chmod -R a+rX "$prefix/models"
    fi
}

case "$part" in
    runtime) install_runtime ;;
    build) install_environment ;;
    all)
        install_runtime
        install_environment
        ;;
    *)
        echo "usage: docker/install.sh [runtime|build|all]" >&2
        exit 2
        ;;
esac
