/* How many CPUs this process may use, and how many threads it takes without being told. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE /* sched_getaffinity */
#endif

#include <limits.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include "schuss.h"

#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

static int find_quota(void) {
    DWORD_PTR process, system;
    int cpus = 0;
    if (GetProcessAffinityMask(GetCurrentProcess(), &process, &system))
        for (; process; process &= process - 1) cpus++;
    if (cpus) return cpus;
    SYSTEM_INFO info; /* a process in several processor groups has no one mask */
    GetSystemInfo(&info);
    return (int)info.dwNumberOfProcessors;
}

#else

#include <unistd.h>

static int online_cpus(void) {
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    return cpus > 0 && cpus < INT_MAX ? (int)cpus : 1;
}

#ifdef __linux__

#include <sched.h>
#include <stdio.h>
#include <string.h>

static int affinity_cpus(void) {
    /* The kernel refuses a mask that is shorter than its own, so ask with room for 65536 CPUs. */
    union {
        cpu_set_t set;
        unsigned long words[65536 / (CHAR_BIT * sizeof(unsigned long))];
    } mask;
    memset(&mask, 0, sizeof mask);
    if (sched_getaffinity(0, sizeof mask, &mask.set)) return online_cpus();
    int cpus = CPU_COUNT_S(sizeof mask, &mask.set);
    return cpus > 0 ? cpus : 1;
}

/* Reads one or two numbers from a file; returns how many there were. "max" is none. */
static int read_numbers(const char *path, long long *first, long long *second) {
    FILE *file = fopen(path, "re");
    if (!file) return 0;
    int n = fscanf(file, "%lld %lld", first, second);
    fclose(file);
    return n;
}

static int least(int cpus, long long quota, long long period) {
    if (quota <= 0 || period <= 0) return cpus;
    long long limit = quota / period + (quota % period != 0);
    return limit < cpus ? (int)limit : cpus;
}

/* The least of `cpus` and the quotas of the group mount/path and of the groups around it. In a container the path may
 * be one of outside; then the mount itself is the group. */
static int group_cpus(int cpus, const char *mount, const char *path) {
    char group[4096], file[4200];
    int length = snprintf(group, sizeof group, "%s%s", mount, path);
    if (length < 0 || length >= (int)sizeof group) return cpus;
    for (;;) {
        long long quota, period, none;
        snprintf(file, sizeof file, "%s/cpu.max", group);
        if (read_numbers(file, &quota, &period) == 2) cpus = least(cpus, quota, period);
        snprintf(file, sizeof file, "%s/cpu.cfs_quota_us", group);
        if (read_numbers(file, &quota, &none) == 1) {
            snprintf(file, sizeof file, "%s/cpu.cfs_period_us", group);
            if (read_numbers(file, &period, &none) == 1) cpus = least(cpus, quota, period);
        }
        char *slash = strrchr(group, '/');
        if (!slash || slash < group + strlen(mount)) return cpus;
        *slash = 0;
    }
}

static int lists(const char *names, const char *name) {
    size_t length = strlen(name);
    for (;; names++) {
        if (!strncmp(names, name, length) && (names[length] == ',' || !names[length])) return 1;
        names = strchr(names, ',');
        if (!names) return 0;
    }
}

/* self: the file that lists the process's control groups, a line "number:controllers:path" each; version 2 has no
 * controllers there. */
static int cgroup_cpus(int cpus, const char *self, const char *mounts) {
    FILE *file = fopen(self, "re");
    if (!file) return cpus;
    char line[4096], mount[4096];
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *path = controllers ? strchr(++controllers, ':') : NULL;
        if (!path) continue;
        *path++ = 0;
        if (!*controllers) {
            cpus = group_cpus(cpus, mounts, path);
        } else if (lists(controllers, "cpu")) {
            snprintf(mount, sizeof mount, "%s/%s", mounts, controllers);
            cpus = group_cpus(cpus, mount, path);
            snprintf(mount, sizeof mount, "%s/cpu", mounts);
            cpus = group_cpus(cpus, mount, path);
        }
    }
    fclose(file);
    return cpus;
}

static int find_quota(void) { return cgroup_cpus(affinity_cpus(), "/proc/self/cgroup", "/sys/fs/cgroup"); }

#else

static int find_quota(void) { return online_cpus(); }

#endif
#endif

int schuss_cpu_quota(void) {
    static atomic_int known; /* 0: not yet; racing first calls find the same */
    int quota = atomic_load_explicit(&known, memory_order_relaxed);
    if (!quota) {
        quota = find_quota();
        atomic_store_explicit(&known, quota, memory_order_relaxed);
    }
    return quota;
}

/* The positive number a variable holds, 0 if it is unset or holds anything else. `list`: the first of several. */
static int environment_number(const char *name, int list) {
    const char *text = getenv(name);
    if (!text) return 0;
    char *end;
    long long number = strtoll(text, &end, 10);
    if (end == text || number < 1 || number > INT_MAX) return 0;
    while (*end == ' ') end++;
    return !*end || (list && *end == ',') ? (int)number : 0;
}

int schuss_default_threads(void) {
    static atomic_int known;
    int threads = atomic_load_explicit(&known, memory_order_relaxed);
    if (!threads) {
        threads = environment_number("SCHUSS_NUM_THREADS", 0);
        if (!threads) {
            int bound = environment_number("OMP_NUM_THREADS", 1);
            threads = schuss_cpu_quota();
            if (bound && bound < threads) threads = bound;
        }
        atomic_store_explicit(&known, threads, memory_order_relaxed);
    }
    return threads;
}
