# Installs JavaScript packages below ~/layer, by Bun. Arguments: the specs. The registry comes as a file of npm's settings in NPMRC.
set -eu
umask 022
export BUN_INSTALL_CACHE_DIR="$HOME/.cache/bun" BUN_TMPDIR="$HOME/.cache/tmp" TMPDIR="$HOME/.cache/tmp"
mkdir -p "$TMPDIR" "$HOME/layer"
cd "$HOME/layer"
echo '{"private":true}' >package.json
printf '%s' "$NPMRC" >.npmrc
unset NPMRC
# Scripts of packages would compile, or fetch from elsewhere; neither can be done here.
exec bun add --ignore-scripts --no-progress --linker=hoisted -- "$@"
