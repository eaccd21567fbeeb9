# Makes the disk /tmp/layer.erofs of what was installed in ~/layer. Arguments: the time stamp of every file, and the options of
# mkfs.erofs.
set -eu
cd "$HOME"
rm -rf .cache layer/package.json layer/bun.lock layer/.npmrc layer/usr/local/.lock
# Debian's Python looks for what was installed locally in dist-packages, where uv knows only the standard name.
for library in layer/usr/local/lib/python3.*; do
  [ -d "$library/site-packages" ] || continue
  mkdir -p "$library/dist-packages"
  cp -al "$library/site-packages/." "$library/dist-packages/"
  rm -rf "$library/site-packages"
done
if [ -d layer/usr/local/lib ]; then
  # As in the image: the disk's fixed times must not matter, and sources are never compared. Tests are seldom imported,
  # and half of all files. A file that does not compile is the package's affair.
  find layer/usr/local/lib -name '*.pyc' -delete
  python3 -I -B -m compileall -q -j 0 --invalidation-mode unchecked-hash -x '/tests?/' -s layer -p / layer/usr/local/lib \
    >/dev/null 2>&1 || true
fi
time=$1
shift
exec mkfs.erofs "$@" --all-root -x-1 -T "$time" -U 65786563-2d73-4e64-b26f-782d6c617972 --quiet /tmp/layer.erofs layer >/dev/null
