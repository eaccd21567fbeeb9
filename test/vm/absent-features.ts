/** A feature that the guest's kernel is built without. */
export interface AbsentFeature {
  /** What it would offer to a program, or to whoever gets further. */
  readonly offers: string
  /**
   * What a kernel with the feature, or with one that comes beneath it, shows to any program: a path, a line of /proc/filesystems, or the number of an address family. The
   * kernel itself answers here, never the filter of system calls. Without it, `unseen` says why only the configuration can tell.
   */
  readonly shows?: { readonly path: string } | { readonly filesystem: string } | { readonly family: number }
  readonly unseen?: string
}

const DRIVER = 'code of drivers for devices that are not there'
const IDLE = 'a driver without a device shows nothing; A12 looks at the devices'
const REFUSED = 'programs are refused the call before the kernel could tell (A06)'

/** Every option that `guest/image/kernel.config` has off, by its name. */
export const ABSENT_FEATURES: Readonly<Record<string, AbsentFeature>> = {
  CONFIG_ACPI: { offers: 'an interpreter of byte code from the firmware', shows: { path: '/sys/firmware/acpi' } },
  CONFIG_COREDUMP: { offers: 'files of memory', shows: { path: '/proc/sys/kernel/core_pattern' } },
  CONFIG_SYSFS_SYSCALL: { offers: 'an old call', unseen: REFUSED },
  CONFIG_CROSS_MEMORY_ATTACH: { offers: 'memory of other processes', unseen: REFUSED },
  CONFIG_RD_GZIP: { offers: 'a decompressor for the initramfs', unseen: 'it has worked before the first program runs' },
  CONFIG_DEVMEM: { offers: 'physical memory as a file', shows: { path: '/sys/devices/virtual/mem/mem' } },
  CONFIG_NAMESPACES: { offers: 'root within a namespace', shows: { path: '/proc/self/timens_offsets' } },
  CONFIG_TASKSTATS: { offers: 'what other tasks do', shows: { path: '/proc/self/io' } },
  CONFIG_KALLSYMS: { offers: 'addresses of the kernel', shows: { path: '/proc/kallsyms' } },
  CONFIG_MAGIC_SYSRQ: { offers: 'commands to the kernel', shows: { path: '/proc/sysrq-trigger' } },
  CONFIG_PERF_EVENTS_INTEL_RAPL: {
    offers: 'power as a side channel',
    shows: { path: '/sys/bus/event_source/devices/power' },
  },
  CONFIG_IO_URING: { offers: 'system calls past every filter', shows: { path: '/proc/sys/kernel/io_uring_disabled' } },
  CONFIG_TRANSPARENT_HUGEPAGE: {
    offers: 'nothing, at the cost of a restored VM’s memory',
    shows: { path: '/sys/kernel/mm/transparent_hugepage' },
  },
  CONFIG_SERIAL_8250_PNP: { offers: DRIVER, shows: { path: '/sys/bus/pnp' } },
  CONFIG_INPUT: { offers: DRIVER, shows: { path: '/sys/class/input' } },
  CONFIG_VT: { offers: 'terminals with fonts and keyboards', shows: { path: '/sys/class/vtconsole' } },
  CONFIG_USB_SUPPORT: { offers: DRIVER, shows: { path: '/sys/bus/usb' } },
  CONFIG_HID_SUPPORT: { offers: DRIVER, shows: { path: '/sys/bus/hid' } },
  CONFIG_PCI: { offers: DRIVER, shows: { path: '/sys/bus/pci' } },
  CONFIG_ETHERNET: { offers: DRIVER, unseen: IDLE },
  CONFIG_WIRELESS: { offers: DRIVER, unseen: IDLE },
  CONFIG_WLAN: { offers: DRIVER, unseen: IDLE },
  CONFIG_MODULES: { offers: 'code for the kernel', shows: { path: '/proc/modules' } },
  CONFIG_BPF_SYSCALL: {
    offers: 'programs in the kernel',
    shows: { path: '/proc/sys/kernel/unprivileged_bpf_disabled' },
  },
  CONFIG_USERFAULTFD: {
    offers: 'a hold on the kernel in the middle of a copy',
    shows: { path: '/proc/sys/vm/unprivileged_userfaultfd' },
  },
  CONFIG_KEXEC: { offers: 'another kernel', shows: { path: '/sys/kernel/kexec_loaded' } },
  CONFIG_KEXEC_FILE: { offers: 'another kernel', shows: { path: '/sys/kernel/kexec_loaded' } },
  CONFIG_DEBUG_FS: { offers: 'the insides of drivers', shows: { filesystem: 'debugfs' } },
  CONFIG_BLK_DEV_LOOP: {
    offers: 'file systems made by users',
    shows: { path: '/sys/devices/virtual/misc/loop-control' },
  },
  CONFIG_NETFILTER: {
    offers: 'tables of rules, with a long record of defects',
    shows: { path: '/proc/sys/net/netfilter' },
  },
  CONFIG_VSOCKETS: { offers: 'a way to the host', shows: { family: 40 } },
  CONFIG_PACKET: { offers: 'frames of the network', shows: { family: 17 } },
  CONFIG_FUSE_FS: { offers: 'file systems that stand still', shows: { filesystem: 'fuse' } },
  CONFIG_KEYS: { offers: 'rings of keys', shows: { path: '/proc/keys' } },
  CONFIG_IA32_EMULATION: { offers: 'a second set of system calls', shows: { path: '/proc/sys/abi/vsyscall32' } },
  CONFIG_X86_X32_ABI: { offers: 'a third set of system calls', unseen: REFUSED },
  CONFIG_MODIFY_LDT_SYSCALL: { offers: 'segments of one’s own', unseen: REFUSED },
  CONFIG_SOUND: { offers: DRIVER, shows: { path: '/sys/class/sound' } },
  CONFIG_DRM: { offers: DRIVER, shows: { path: '/sys/class/drm' } },
  CONFIG_SCSI: { offers: DRIVER, shows: { path: '/sys/bus/scsi' } },
  CONFIG_CGROUPS: { offers: 'a tree of groups', shows: { filesystem: 'cgroup2' } },
  CONFIG_USER_NS: { offers: 'root within a namespace', shows: { path: '/proc/self/uid_map' } },
  CONFIG_PROC_KCORE: { offers: 'memory of the kernel', shows: { path: '/proc/kcore' } },
  CONFIG_PROFILING: { offers: 'where the kernel spends its time', shows: { path: '/sys/kernel/profiling' } },
  CONFIG_HIBERNATION: { offers: 'memory on a disk', shows: { path: '/sys/power' } },
  CONFIG_SUSPEND: { offers: 'a machine that stands still', shows: { path: '/sys/power' } },
  CONFIG_VIRTUALIZATION: { offers: 'guests within the guest', shows: { path: '/sys/devices/virtual/misc/kvm' } },
}
