/*
 * What a QEMU would try that a guest has taken over: runs in QEMU's place, in its jail, with its descriptors, and writes one line of JSON for each
 * attempt to stderr: {"name": …, "answer": …}. The answer is "done" when the attempt got through, else the name of the
 * error. Statically linked: it needs nothing of what is around it.
 *
 * Arguments after "--": victim's pid, TCP port, abstract socket's name, path of a socket, path of a secret, "jail" or "free". In "free", outside of
 * any jail, only what harms nobody is tried: the control that each attempt can get through.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <arpa/inet.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(const char *name, long result)
{
	dprintf(2, "{\"name\":\"%s\",\"answer\":\"%s\"}\n", name, result < 0 ? strerrorname_np(errno) : "done");
}

#define TRY(name, call) do { errno = 0; tell(name, (long)(call)); } while (0)

static long connect_to(int family, const void *address, socklen_t size)
{
	int fd = socket(family, SOCK_STREAM, 0);

	return fd < 0 ? -1 : connect(fd, address, size);
}

/* The whole of the path counts as an abstract name, zeros and all: so Node makes them. */
static long connect_unix(const char *name, int abstract)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path + abstract, name, strlen(name));
	return connect_to(AF_UNIX, &address, sizeof(address));
}

static long connect_tcp(int port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };

	inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
	return connect_to(AF_INET, &address, sizeof(address));
}

/* Sends over a socket that exists already, as far as it can be turned to another peer. */
static long reconnect(int fd, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	memcpy(address.sun_path + 1, name, strlen(name));
	return connect(fd, (void *)&address, sizeof(address));
}

static long read_memory(pid_t pid)
{
	char byte;
	struct iovec here = { &byte, 1 }, there = { (void *)0x400000, 1 };
	long got = process_vm_readv(pid, &here, 1, &there, 1, 0);

	/* Nothing stands at that address; to be told so is to be allowed to look. */
	return got < 0 && errno == EFAULT ? 0 : got;
}

/* Any process but this one and the first of its namespace. */
static long signal_anyone(void)
{
	for (pid_t pid = 2; pid < 70000; pid++)
		if (pid != getpid() && kill(pid, 0) == 0)
			return 0;
	return -1;
}

/* In a process of its own: it must not change what the attempts after it can do. */
static long in_child(long (*attempt)(void))
{
	pid_t pid = fork();
	int status;

	if (pid < 0)
		return -1;
	if (pid == 0)
		_exit(attempt() < 0 ? errno : 0);
	waitpid(pid, &status, 0);
	errno = WEXITSTATUS(status);
	return errno == 0 ? 0 : -1;
}

static long nothing(void) { return 0; }
static long new_user(void) { return unshare(CLONE_NEWUSER); }
static long new_user_then_mount(void)
{
	if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
		return -1;
	return mount("none", "/", "tmpfs", 0, NULL);
}

static int found_writable, seen;

/* Every name below a directory: none may be opened for writing, and in no directory may one be made. */
static void walk(const char *directory)
{
	DIR *open_directory = opendir(directory);
	char path[4096];

	snprintf(path, sizeof(path), "%s/made-by-qemu", directory);
	int made = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	if (made >= 0) {
		found_writable++;
		dprintf(2, "{\"name\":\"writable\",\"answer\":\"%s\"}\n", path);
		close(made);
		unlink(path);
	}
	for (struct dirent *entry; open_directory && (entry = readdir(open_directory));) {
		struct stat status;

		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(path, sizeof(path), "%s/%s", strcmp(directory, "/") ? directory : "", entry->d_name);
		seen++;
		if (lstat(path, &status) < 0)
			continue;
		if (S_ISDIR(status.st_mode)) {
			walk(path);
		} else if (!S_ISLNK(status.st_mode)) {
			int fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);

			if (fd >= 0 || !S_ISREG(status.st_mode)) {
				found_writable++;
				dprintf(2, "{\"name\":\"writable\",\"answer\":\"%s\"}\n", path);
			}
			close(fd);
			if (chmod(path, 0777) == 0 || chown(path, getuid(), getgid()) == 0 || unlink(path) == 0)
				dprintf(2, "{\"name\":\"changeable\",\"answer\":\"%s\"}\n", path);
		}
	}
	if (open_directory)
		closedir(open_directory);
}

/* Everything below the root, by the first parts of its names. */
static void tell_top(void)
{
	DIR *root = opendir("/");

	for (struct dirent *entry; root && (entry = readdir(root));)
		if (strcmp(entry->d_name, ".") && strcmp(entry->d_name, ".."))
			dprintf(2, "{\"name\":\"top\",\"answer\":\"%s\"}\n", entry->d_name);
	if (root)
		closedir(root);
}

static void tell_descriptors(void)
{
	for (int fd = 0; fd < 1024; fd++) {
		struct stat status;

		if (fstat(fd, &status) < 0)
			continue;
		const char *kind = S_ISSOCK(status.st_mode) ? "socket" : status.st_rdev == makedev(1, 3) ? "null" : S_ISCHR(status.st_mode) ? "device" : S_ISREG(status.st_mode) ? "file" : "other";
		dprintf(2, "{\"name\":\"descriptor\",\"answer\":\"%d %s\"}\n", fd, kind);
	}
}

static long read_file(const char *path)
{
	char byte;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long got = fd < 0 ? -1 : read(fd, &byte, 1);

	if (fd >= 0)
		close(fd);
	return got < 0 ? -1 : 0;
}

static long execute_memory(void)
{
	int fd = memfd_create("program", 0);

	return fd < 0 ? -1 : 0;
}

static long all_capabilities(void)
{
	struct __user_cap_header_struct header = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2] = { { ~0U, ~0U, 0 }, { ~0U, ~0U, 0 } };

	return syscall(SYS_capset, &header, data);
}

/* To what it is. */
static long set_clock(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return clock_settime(CLOCK_REALTIME, &now);
}

static long raise_limit(int which)
{
	struct rlimit limit = { RLIM_INFINITY, RLIM_INFINITY };

	return setrlimit(which, &limit);
}

static long lease(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -1 : fcntl(fd, F_SETLEASE, F_RDLCK);
}

static long lock(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -1 : flock(fd, LOCK_EX | LOCK_NB);
}

static long handle_of_root(void)
{
	struct { struct file_handle handle; char room[128]; } at = { .handle.handle_bytes = 128 };
	int mount_id;

	if (name_to_handle_at(AT_FDCWD, "/", &at.handle, &mount_id, 0) < 0)
		return -1;
	int root = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return open_by_handle_at(root, &at.handle, O_RDONLY);
}

/* What a control outside may try as well. */
static void try_harmless(char **arguments)
{
	pid_t victim = atoi(arguments[0]);
	const char *secret = arguments[4];

	TRY("read a file of the host", read_file(secret));
	TRY("connect to 127.0.0.1", connect_tcp(atoi(arguments[1])));
	TRY("connect to an abstract socket", connect_unix(arguments[2], 1));
	TRY("connect to a socket of the host", connect_unix(arguments[3], 0));
	TRY("make a datagram socket", socket(AF_INET, SOCK_DGRAM, 0));
	TRY("make a netlink socket", socket(AF_NETLINK, SOCK_RAW, 0));
	TRY("signal another process", kill(victim, 0));
	TRY("signal any process", signal_anyone());
	TRY("name another process by descriptor", syscall(SYS_pidfd_open, victim, 0));
	TRY("trace another process", ptrace(PTRACE_SEIZE, victim, 0, 0));
	TRY("read another process's memory", read_memory(victim));
	TRY("lock a file", lock(secret));
	TRY("make a process", in_child(nothing));
	TRY("make memory that can be executed as a file", execute_memory());
	TRY("join a keyring", syscall(SYS_keyctl, 1, NULL));
	TRY("look at file events", syscall(SYS_inotify_init1, 0));
}

static void try_harmful(void)
{
	TRY("read /etc/shadow", read_file("/etc/shadow"));
	TRY("read /proc/self/status", read_file("/proc/self/status"));
	TRY("read /sys/kernel/notes", read_file("/sys/kernel/notes"));
	TRY("open /dev/kvm", open("/dev/kvm", O_RDWR));
	TRY("open /dev/null", open("/dev/null", O_RDWR));
	TRY("open /dev/tty", open("/dev/tty", O_RDWR));
	TRY("connect to docker", connect_unix("/run/docker.sock", 0));
	TRY("connect to D-Bus", connect_unix("/run/dbus/system_bus_socket", 0));
	TRY("make a packet socket", socket(AF_PACKET, SOCK_RAW, 0));
	TRY("make a raw socket", socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
	TRY("make a vsock socket", socket(AF_VSOCK, SOCK_STREAM, 0));
	TRY("make a crypto socket", socket(AF_ALG, SOCK_SEQPACKET, 0));
	TRY("become another user", setuid(getuid() == 0 ? 1 : 0));
	TRY("become another user by all ids", setresuid(getuid() == 0 ? 1 : 0, -1, -1));
	TRY("take another group", setgid(getgid() == 0 ? 1 : 0));
	TRY("take all capabilities", all_capabilities());
	TRY("mount a file system", mount("none", "/", "tmpfs", 0, NULL));
	TRY("make a mount writable", mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
	TRY("unmount the kernel", umount2("/run/vm/kernel", MNT_DETACH));
	TRY("change the root", chroot("/run"));
	TRY("make a device", mknod("/run/device", S_IFBLK | 0600, makedev(8, 0)));
	TRY("take a lease", lease("/run/vm/kernel"));
	TRY("open by handle", handle_of_root());
	TRY("load a program into the kernel", syscall(SYS_bpf, 5, NULL, 0));
	TRY("count events", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
	TRY("handle page faults", syscall(SYS_userfaultfd, 0));
	TRY("make a ring", syscall(SYS_io_uring_setup, 1, NULL));
	TRY("watch the file system", syscall(SYS_fanotify_init, 0, 0));
	TRY("read the kernel's log", syscall(SYS_syslog, 3, NULL, 0));
	TRY("load a module", syscall(SYS_init_module, NULL, 0, ""));
	TRY("start another kernel", syscall(SYS_kexec_load, 0, 0, NULL, 0));
	TRY("reboot", syscall(SYS_reboot, 0, 0, 0, NULL));
	TRY("set the clock", set_clock());
	TRY("have a higher priority", setpriority(PRIO_PROCESS, 0, -20));
	TRY("run in real time", sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 }));
	TRY("have more descriptors", raise_limit(RLIMIT_NOFILE));
	TRY("write larger files", raise_limit(RLIMIT_FSIZE));
	TRY("lock memory", raise_limit(RLIMIT_MEMLOCK));
	TRY("leave a core", raise_limit(RLIMIT_CORE));
	TRY("turn the channel to another peer", reconnect(5, "nobody"));
	TRY("type into a terminal", ioctl(0, TIOCSTI, "x"));
	TRY("make a user namespace", in_child(new_user));
	TRY("mount in a namespace of its own", in_child(new_user_then_mount));
}

int main(int count, char **values)
{
	char **arguments = values + 1;

	while (*arguments && strcmp(*arguments, "--"))
		arguments++;
	if (values + count - arguments < 7)
		return 2;
	arguments++;
	tell_descriptors();
	try_harmless(arguments);
	if (!strcmp(arguments[5], "jail")) {
		try_harmful();
		tell_top();
		walk("/");
		dprintf(2, "{\"name\":\"names seen\",\"answer\":\"%d\"}\n", seen);
	}
	return 0;
}
