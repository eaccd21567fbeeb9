# Turns the freshly installed root into the root file system of the image, inside mmdebstrap's own namespaces and
# with its rights. mmdebstrap runs this text with `sh -c`; $1 is the root.
# Settings arrive in EXEC_SANDBOX_* variables; results leave through the directory /.exec-sandbox of the root.
set -eu
cd "$1"
mkdir -p .exec-sandbox

# One user, and nothing set-uid or set-gid that could make it another one.
chroot . groupadd --gid 1000 user
chroot . useradd --uid 1000 --gid 1000 --create-home --home-dir /home/user --shell /bin/bash --no-log-init user
rm -f home/user/.[!.]*
find . -xdev -perm /6000 ! -type l -exec chmod ug-s {} +

# uid 1000 must be able to run what was copied in from the host.
chmod 0755 usr/local/bin/bun usr/local/bin/uv
ln -sf bun usr/local/bin/bunx

# Debian installs git twice: git-core holds a second copy of the same program.
cmp -s usr/bin/git usr/lib/git-core/git && ln -sf ../../bin/git usr/lib/git-core/git

# What is written anew in each VM stands in /run/etc, a tmpfs that the agent owns.
for name in machine-id hostname resolv.conf hosts; do
  rm -f "etc/$name"
  ln -s "/run/etc/$name" "etc/$name"
done
rm -f var/lib/dbus/machine-id
mkdir -p proc sys dev run tmp home/user mnt
# Where a layer's JavaScript packages appear: Bun looks here from every directory.
mkdir -p node_modules

# The interpreter never writes below /usr and never needs to look at the sources' times: hashes, unchecked.
find usr/lib/python3* -name '*.pyc' -delete
for directory in usr/lib/python3 usr/lib/python3.*; do
  [ -d "$directory" ] || continue
  # -B and -f: what the compiler itself imports must not come out with a time stamp, which the image's fixed times belie.
  chroot . python3 -I -B -m compileall -q -f -j 0 --invalidation-mode unchecked-hash "/$directory" ||
    echo "warning: some files below /$directory do not compile" >&2
done

# What is in here, for the manifest.
chroot . dpkg-query -W -f '${Package} ${Version}\n' >.exec-sandbox/packages
{
  echo "python $(chroot . python3 -I -B -c 'import platform; print(platform.python_version())')"
  echo "bash $(chroot . bash -c 'echo "${BASH_VERSION%%(*}"')"
  echo "bun $(chroot . /usr/local/bin/bun --version)"
  echo "uv $(chroot . /usr/local/bin/uv --version | cut -d ' ' -f 2)"
} >.exec-sandbox/versions
tar -cf .exec-sandbox/bash-headers.tar -C usr/include bash

# Patterns are relative to the root; word splitting and globbing are wanted here.
for pattern in $EXEC_SANDBOX_REMOVE; do
  rm -rf -- ./$pattern
done
find var/cache var/log -type f -delete 2>/dev/null || true

if [ -n "$(find . -xdev -perm /6000 ! -type l -print)" ]; then
  echo "a set-uid or set-gid file is left in the root" >&2
  exit 1
fi

# No extended attributes (so no file capabilities either), all owned by root, fixed times and identity.
# mmdebstrap has proc, sys and dev mounted at this time; the directories stay, what is mounted does not count.
mkfs.erofs $EXEC_SANDBOX_EROFS --all-root -x-1 -T "$SOURCE_DATE_EPOCH" \
  -U 65786563-2d73-4e64-b26f-782d726f6f74 --exclude-path=.exec-sandbox --exclude-regex='^(proc|sys|dev|run)/' \
  .exec-sandbox/root.erofs . >.exec-sandbox/mkfs.log

# mmdebstrap removes this file of its own from the root and takes it amiss when it is gone.
mkdir -p etc/apt/apt.conf.d
: >etc/apt/apt.conf.d/00mmdebstrap
