# Compiles QEMU from the suite's own source package, with Debian's patches, as one program for both accelerators that holds
# the devices of our machine and nothing else. mmdebstrap runs this text with `sh -c` once the root with the compiler is
# made; $1 is that root, which is thrown away. The program leaves as /build/qemu-system-x86_64.
set -eu
root=$1
mkdir -p "$root/build/objects"

# By the apt outside, as mmdebstrap itself does: it checks the source's digests against the suite's signed index.
cd "$root/build"
APT_CONFIG=$MMDEBSTRAP_APT_CONFIG apt-get -q --download-only source qemu

# As nobody: root's linker would set the mode of what it is told to write to, /dev/null among it, which is the host's own.
chown -R 65534:65534 "$root/build"
HOME=/build chroot --userspec=65534:65534 "$root" sh -eu <<'IN'
cd /build
dpkg-source --no-check -x qemu_*.dsc source
cat >source/configs/devices/x86_64-softmmu/exec-sandbox.mak <<'DEVICES'
CONFIG_PCI_DEVICES=n
CONFIG_MICROVM=y
CONFIG_VIRTIO_BLK=y
CONFIG_VIRTIO_SERIAL=y
DEVICES
cd objects
# --without-default-features: no display, network back end, crypto, audio, USB, block format or loadable module that is not
# named here. Stack protector, FORTIFY, RELRO and PIE are QEMU's defaults. A trace point that cannot be turned on costs nothing.
../source/configure \
  --target-list=x86_64-softmmu --without-default-features \
  --without-default-devices --with-devices-x86_64=exec-sandbox \
  --enable-tcg --enable-kvm --enable-seccomp --enable-fdt=system --enable-coroutine-pool \
  --enable-trace-backends=nop --disable-plugins --disable-debug-info \
  --disable-tools --disable-docs --disable-install-blobs \
  --with-pkgversion="Debian $(dpkg-parsechangelog -l ../source/debian/changelog -S Version)"
nice ninja qemu-system-x86_64
strip -o /build/qemu-system-x86_64 qemu-system-x86_64
IN
