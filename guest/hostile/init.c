// PID 1 of a guest that has turned against its host: it plays a script instead of being an agent. For tests only; README.md.

#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <unistd.h>

enum { HEADER_BYTES = 12, MOST_PAYLOAD = 1 << 24, MOST_FRAME = 1 << 21, MOST_SCRIPT = 1 << 16 };
enum { HELLO = 1, REQUEST = 3, RESPONSE = 4, END = 9 };

/// Room for a port of any path, for the payload of one frame of the host, and for one of ours.
static char port_path[300];
static int port = -1;
static char payload[MOST_PAYLOAD + 1];
static uint8_t frame[MOST_FRAME];

/// The request that waits for an answer.
static uint32_t current_id;
static char current_method[32];

static void fail(const char *what) {
    dprintf(2, "hostile: %s: %s\n", what, strerror(errno));
    for (;;) pause();
}

static void send_bytes(const uint8_t *bytes, size_t length) {
    while (length > 0) {
        ssize_t written = write(port, bytes, length);
        if (written < 0 && errno == EINTR) continue;
        // The host has gone: nothing is left to be said.
        if (written <= 0) fail("write");
        bytes += written;
        length -= (size_t)written;
    }
}

static void read_exactly(void *to, size_t length) {
    for (char *at = to; length > 0;) {
        ssize_t got = read(port, at, length);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) fail("read");
        at += got;
        length -= (size_t)got;
    }
}

static void put_header(uint8_t *to, unsigned type, unsigned stream, uint32_t id, uint32_t length) {
    const uint8_t start[4] = {0x58, 0x53, (uint8_t)type, (uint8_t)stream};
    memcpy(to, start, 4);
    memcpy(to + 4, &id, 4);
    memcpy(to + 8, &length, 4);
}

static void send_text(unsigned type, uint32_t id, const char *text) {
    uint8_t out[2048];
    size_t length = strlen(text);
    put_header(out, type, 0, id, (uint32_t)length);
    memcpy(out + HEADER_BYTES, text, length);
    send_bytes(out, HEADER_BYTES + length);
}

#define PROGRAM_END \
    "\"exitCode\":0,\"reason\":\"exit\",\"stdoutTruncated\":false,\"stderrTruncated\":false," \
    "\"spawnMs\":1,\"executeMs\":1,\"cpuMs\":1,\"peakBytes\":1"

/// Answers the current request as an agent would.
static void answer(void) {
    const char *result = "{\"result\":{\"guestMs\":1}}";
    if (strcmp(current_method, "start") == 0) result = "{\"result\":{\"pid\":2,\"spawnMs\":1}}";
    if (strcmp(current_method, "stop") == 0) result = "{\"result\":{\"stopped\":true}}";
    if (strcmp(current_method, "signal") == 0) result = "{\"result\":{\"delivered\":true}}";
    if (strcmp(current_method, "run") == 0 || strcmp(current_method, "exec") == 0) {
        uint8_t end[HEADER_BYTES];
        for (unsigned stream = 1; stream <= 2; stream += 1) {
            put_header(end, END, stream, current_id, 0);
            send_bytes(end, sizeof end);
        }
        result = current_method[0] == 'r' ? "{\"result\":{" PROGRAM_END ",\"state\":\"kept\"}}" : "{\"result\":{" PROGRAM_END "}}";
    }
    send_text(RESPONSE, current_id, result);
}

/// Reads the host's frames up to the next request, which becomes the current one.
static void next_request(void) {
    for (;;) {
        uint8_t header[HEADER_BYTES];
        uint32_t length;
        read_exactly(header, sizeof header);
        memcpy(&length, header + 8, 4);
        if (length > MOST_PAYLOAD) fail("a frame of the host");
        read_exactly(payload, length);
        payload[length] = '\0';
        if (header[2] != REQUEST) continue;
        memcpy(&current_id, header + 4, 4);
        const char *method = strstr(payload, "\"method\":\"");
        if (method == NULL || sscanf(method, "\"method\":\"%31[a-z]", current_method) != 1) fail("a request of the host");
        return;
    }
}

/// Answers requests until one of this method has come.
static void serve_until(const char *method) {
    for (next_request(); strcmp(current_method, method) != 0; next_request()) answer();
}

static size_t from_hex(const char *hex, uint8_t *to) {
    size_t length = 0;
    unsigned byte;
    for (; length < MOST_FRAME && sscanf(hex, "%2x", &byte) == 1; hex += 2) to[length++] = (uint8_t)byte;
    return length;
}

/// `TYPE STREAM ID LENGTH FILL [HEX]`: a frame with a header that may lie; ID `=` is the current request's, LENGTH `=` the true one.
/// FILL bytes of `7` stand behind the payload.
static size_t build_frame(const char *words) {
    unsigned type, stream;
    char id[16], length[16], hex[4096] = "";
    size_t fill;
    if (sscanf(words, "%u %u %15s %15s %zu %4095s", &type, &stream, id, length, &fill, hex) < 5) fail("a frame of the script");
    size_t bytes = from_hex(hex, frame + HEADER_BYTES);
    if (fill > MOST_FRAME - HEADER_BYTES - bytes) fail("a frame of the script");
    memset(frame + HEADER_BYTES + bytes, '7', fill);
    bytes += fill;
    put_header(frame, type, stream, id[0] == '=' ? current_id : (uint32_t)strtoul(id, NULL, 10),
               length[0] == '=' ? (uint32_t)bytes : (uint32_t)strtoul(length, NULL, 10));
    return HEADER_BYTES + bytes;
}

static void find_port(void) {
    DIR *ports = opendir("/sys/class/virtio-ports");
    if (ports == NULL) fail("virtio-ports");
    for (struct dirent *entry; (entry = readdir(ports)) != NULL;) {
        char path[400], name[32] = "";
        snprintf(path, sizeof path, "/sys/class/virtio-ports/%s/name", entry->d_name);
        int file = open(path, O_RDONLY);
        if (file < 0) continue;
        if (read(file, name, sizeof name - 1) > 0 && strcmp(name, "exec-sandbox\n") == 0)
            snprintf(port_path, sizeof port_path, "/dev/%s", entry->d_name);
        close(file);
    }
    closedir(ports);
}

/// The port has a name only when a message of QEMU's has come.
static void open_port(void) {
    for (int tries = 0; port_path[0] == '\0' && tries < 5000; tries += 1) {
        find_port();
        usleep(1000);
    }
    port = open(port_path, O_RDWR);
    if (port < 0) fail("opening the port");
}

static void storm(unsigned long times) {
    for (; times > 0; times -= 1) {
        close(port);
        port = open(port_path, O_RDWR);
        if (port < 0) fail("opening the port again");
    }
}

static void write_console(unsigned long kilobytes) {
    char noise[1024];
    for (size_t at = 0; at < sizeof noise; at += 1) noise[at] = (char)(at * 7);
    for (; kilobytes > 0; kilobytes -= 1)
        if (write(2, noise, sizeof noise) < 0) return;
}

static void play(char *script);

static void step(char *line) {
    char word[16] = "";
    int used = 0;
    unsigned long number = 0;
    sscanf(line, " %15s %n", word, &used);
    const char *rest = line + used;
    if (word[0] == '\0') return;
    if (strcmp(word, "hello") == 0) send_text(HELLO, 0, "{\"generation\":2,\"agent\":\"hostile\"}");
    else if (strcmp(word, "ok") == 0) answer();
    else if (strcmp(word, "until") == 0) serve_until(rest);
    else if (strcmp(word, "frame") == 0) send_bytes(frame, build_frame(rest));
    else if (strcmp(word, "bytes") == 0) send_bytes(frame, from_hex(rest, frame));
    else if (strcmp(word, "half") == 0) send_bytes(frame, build_frame(rest) / 2);
    else if (strcmp(word, "flood") == 0) for (size_t length = build_frame(rest);;) send_bytes(frame, length);
    else if (strcmp(word, "times") == 0 && sscanf(rest, "%lu %n", &number, &used) == 1)
        for (size_t length = build_frame(rest + used); number > 0; number -= 1) send_bytes(frame, length);
    else if (strcmp(word, "storm") == 0) storm(strtoul(rest, NULL, 10));
    else if (strcmp(word, "console") == 0) write_console(strtoul(rest, NULL, 10));
    else if (strcmp(word, "silence") == 0) for (;;) pause();
    else if (strcmp(word, "spin") == 0) for (;;) __asm__ volatile("");
    else if (strcmp(word, "panic") == 0) _exit(1);
    else if (strcmp(word, "reset") == 0) reboot(RB_AUTOBOOT);
    else if (strcmp(word, "off") == 0) reboot(RB_POWER_OFF);
    else if (strcmp(word, "close") == 0) close(port);
    else fail(word);
}

static void play(char *script) {
    for (char *line; (line = strsep(&script, ";")) != NULL;) step(line);
}

/// What the host has put behind `"SCRIPT":"` into the environment of a `resume`; empty when it has put nothing there.
static void take_script(char *script) {
    const char *found = strstr(payload, "\"SCRIPT\":\"");
    script[0] = '\0';
    if (found != NULL) sscanf(found, "\"SCRIPT\":\"%65535[^\"]", script);
}

int main(void) {
    static char script[MOST_SCRIPT];
    const char *const trees[][2] = {{"devtmpfs", "/dev"}, {"sysfs", "/sys"}, {"proc", "/proc"}};
    for (size_t index = 0; index < 3; index += 1) {
        mkdir(trees[index][1], 0755);
        if (mount(trees[index][0], trees[index][1], trees[index][0], 0, NULL) != 0) fail("mount");
    }
    open_port();
    // The script of the boot. One without an end goes on as an agent that looks for a script in each `resume`.
    int file = open("/script", O_RDONLY);
    ssize_t length = file < 0 ? 0 : read(file, script, sizeof script - 1);
    script[length < 0 ? 0 : length] = '\0';
    play(script);
    for (;;) {
        next_request();
        if (strcmp(current_method, "resume") == 0) take_script(script);
        else script[0] = '\0';
        if (script[0] == '\0') answer();
        else play(script);
    }
}
