/* Stands between a process and libc: the n-th writing call below a folder fails or kills, and the clock can be shifted.
 *
 * fault_arm(root, nth, error): error 0 counts only, -1 kills, else the n-th call and all after it fail with that errno where `lasting`.
 * FAULT_CLOCK_OFFSET: seconds added to the clock of the whole process. A deadline that a thread reckons from it is taken back to the kernel's clock:
 * behind, each wait ended at once and threads spun (66 CPU s for a run of 17), ahead, none ever did.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static char root[4096];
static long nth = 0, calls = 0;
static int error = 0, lasting = 0, armed = 0;

void fault_arm(const char *folder, long n, int e, int keeps) {
    strncpy(root, folder, sizeof root - 1);
    nth = n; error = e; lasting = keeps; calls = 0; armed = 1;
}
long fault_calls(void) { return calls; }
void fault_disarm(void) { armed = 0; }

static int below(const char *path) { return path && !strncmp(path, root, strlen(root)); }
static int fd_below(int fd) {
    char name[64], path[4096];
    snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(name, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return below(path);
}
static int place_below(int dir, const char *path) {
    return path && path[0] == '/' ? below(path) : dir == AT_FDCWD ? 0 : fd_below(dir);
}
static int fails(void) {
    long now = __atomic_add_fetch(&calls, 1, __ATOMIC_SEQ_CST);
    if (!error || (now != nth && !(lasting && now > nth))) return 0;
    if (error == -1) { kill(getpid(), SIGKILL); pause(); }
    errno = error;
    return 1;
}
#define REAL(name, result, args) static result (*real) args; if (!real) real = (result (*) args)dlsym(RTLD_NEXT, name)
#define GUARD(condition) do { int kept = errno; if (armed && (condition) && fails()) return -1; errno = kept; } while (0)

#define FD_CALL(name, args, pass, result) \
    result name args { REAL(#name, result, args); GUARD(fd_below(fd)); return real pass; }
FD_CALL(write, (int fd, const void *b, size_t n), (fd, b, n), ssize_t)
FD_CALL(pwrite, (int fd, const void *b, size_t n, off_t o), (fd, b, n, o), ssize_t)
FD_CALL(pwrite64, (int fd, const void *b, size_t n, off64_t o), (fd, b, n, o), ssize_t)
FD_CALL(writev, (int fd, const struct iovec *v, int n), (fd, v, n), ssize_t)
FD_CALL(fsync, (int fd), (fd), int)
FD_CALL(fdatasync, (int fd), (fd), int)
FD_CALL(ftruncate, (int fd, off_t n), (fd, n), int)
FD_CALL(ftruncate64, (int fd, off64_t n), (fd, n), int)

#define PATH_CALL(name, args, pass, path) \
    int name args { REAL(#name, int, args); GUARD(below(path)); return real pass; }
PATH_CALL(mkdir, (const char *p, mode_t m), (p, m), p)
PATH_CALL(rmdir, (const char *p), (p), p)
PATH_CALL(unlink, (const char *p), (p), p)
PATH_CALL(rename, (const char *p, const char *q), (p, q), q)
PATH_CALL(link, (const char *p, const char *q), (p, q), q)
int mkdirat(int d, const char *p, mode_t m) { REAL("mkdirat", int, (int, const char *, mode_t)); GUARD(place_below(d, p)); return real(d, p, m); }
int unlinkat(int d, const char *p, int f) { REAL("unlinkat", int, (int, const char *, int)); GUARD(place_below(d, p)); return real(d, p, f); }
int renameat(int d, const char *p, int e, const char *q) { REAL("renameat", int, (int, const char *, int, const char *)); GUARD(place_below(e, q)); return real(d, p, e, q); }
int linkat(int d, const char *p, int e, const char *q, int f) { REAL("linkat", int, (int, const char *, int, const char *, int)); GUARD(place_below(e, q)); return real(d, p, e, q, f); }

static int writes(int flags) { return (flags & O_ACCMODE) != O_RDONLY || (flags & O_CREAT); }
#define OPEN_CALL(name) \
    int name(const char *p, int flags, ...) { \
        REAL(#name, int, (const char *, int, ...)); \
        va_list list; va_start(list, flags); mode_t mode = va_arg(list, mode_t); va_end(list); \
        GUARD(writes(flags) && below(p)); return real(p, flags, mode); }
OPEN_CALL(open)
OPEN_CALL(open64)
#define OPENAT_CALL(name) \
    int name(int d, const char *p, int flags, ...) { \
        REAL(#name, int, (int, const char *, int, ...)); \
        va_list list; va_start(list, flags); mode_t mode = va_arg(list, mode_t); va_end(list); \
        GUARD(writes(flags) && place_below(d, p)); return real(d, p, flags, mode); }
OPENAT_CALL(openat)
OPENAT_CALL(openat64)

static long offset(void) {
    static long seconds = 0; static int known = 0;
    if (!known) { const char *text = getenv("FAULT_CLOCK_OFFSET"); seconds = text ? atol(text) : 0; known = 1; }
    return seconds;
}
int clock_gettime(clockid_t clock, struct timespec *at) {
    REAL("clock_gettime", int, (clockid_t, struct timespec *));
    int result = real(clock, at);
    if (!result && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) at->tv_sec += offset();
    return result;
}
int gettimeofday(struct timeval *at, void *zone) {
    REAL("gettimeofday", int, (struct timeval *, void *));
    int result = real(at, zone);
    if (!result && at) at->tv_sec += offset();
    return result;
}
time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at) *at = now.tv_sec;
    return now.tv_sec;
}

static const struct timespec *by_the_kernel(const struct timespec *until, struct timespec *moved) {
    struct timespec now;
    if (!offset() || !until) return until;
    clock_gettime(CLOCK_REALTIME, &now);
    long ahead = until->tv_sec - now.tv_sec;
    if (ahead < -86400 || ahead > 86400) return until; /* of another clock */
    *moved = *until;
    moved->tv_sec -= offset();
    return moved;
}
int sem_timedwait(sem_t *s, const struct timespec *until) {
    struct timespec moved;
    REAL("sem_timedwait", int, (sem_t *, const struct timespec *));
    return real(s, by_the_kernel(until, &moved));
}
int pthread_cond_timedwait(pthread_cond_t *c, pthread_mutex_t *m, const struct timespec *until) {
    static int (*real)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    struct timespec moved;
    if (!real) real = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!real) real = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    return real(c, m, by_the_kernel(until, &moved));
}
