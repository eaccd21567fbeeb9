# Installs Python packages below ~/layer, by uv. Arguments: the specs. The index comes in uv's own variables.
set -eu
umask 022
# Both on the file system of the target, so that uv links instead of copying; and what is built may be run there.
export UV_CACHE_DIR="$HOME/.cache/uv" TMPDIR="$HOME/.cache/tmp" UV_LINK_MODE=hardlink
export UV_NO_CONFIG=1 UV_PYTHON_DOWNLOADS=never UV_SYSTEM_CERTS=1 UV_NO_PROGRESS=1
mkdir -p "$TMPDIR" "$HOME/layer/usr/local"
exec uv pip install --python /usr/bin/python3 --prefix "$HOME/layer/usr/local" -- "$@"
