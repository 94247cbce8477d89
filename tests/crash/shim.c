/* Records what a process writes to its data file, when it syncs, and what it acknowledges: LD_PRELOAD=shim.so.
 *
 * SHIM_TRACE names the trace: one record per call, { op, length, offset } and, for writes, the bytes. Calls on files other
 * than data.mdb and acks go through unseen. SHIM_FAIL=sync:7:5 lets the seventh sync of the data file fail with error 5,
 * and write:7:28 the seventh write with error 28. Loaded into one process with one writing thread.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

enum { WRITE = 1, SYNC = 2, ACK = 3, TRUNCATE = 4, DSYNC = 5, OTHER = 6 };

struct record {
  uint32_t op;
  uint32_t length;
  uint64_t offset;
};

static int trace = -1;
static ssize_t (*real_write)(int, const void *, size_t);

static void begin(void) {
  if (!real_write) real_write = dlsym(RTLD_NEXT, "write");
  if (trace < 0) {
    const char *path = getenv("SHIM_TRACE");
    if (path) trace = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  }
}

/* 'd' for the data file, 'a' for the acknowledgements, 0 for anything else. */
static char kind(int fd) {
  char link[64], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t n = readlink(link, path, sizeof path - 1);
  if (n < 0) return 0;
  path[n] = 0;
  const char *name = strrchr(path, '/');
  if (!name) return 0;
  return !strcmp(name, "/data.mdb") ? 'd' : !strcmp(name, "/acks") ? 'a' : 0;
}

/* Whether this call on the data file is the one that is to fail; sets errno. */
static int fails(const char *call, int *count) {
  const char *wanted = getenv("SHIM_FAIL");
  char name[16];
  int at, error;
  if (!wanted || sscanf(wanted, "%15[a-z]:%d:%d", name, &at, &error) != 3 || strcmp(name, call)) return 0;
  if (++*count != at) return 0;
  errno = error;
  return 1;
}

static int writes, syncs;

static void put(uint32_t op, uint64_t offset, const struct iovec *parts, int count, size_t length) {
  begin();
  if (trace < 0) return;
  struct record record = {op, (uint32_t)length, offset};
  real_write(trace, &record, sizeof record);
  for (int i = 0; i < count && length; i++) {
    size_t n = parts[i].iov_len < length ? parts[i].iov_len : length;
    real_write(trace, parts[i].iov_base, n);
    length -= n;
  }
}

static void wrote(int fd, uint64_t offset, const struct iovec *parts, int count, ssize_t length) {
  if (length <= 0) return;
  put(WRITE, offset, parts, count, (size_t)length);
  if (fcntl(fd, F_GETFL) & O_DSYNC) put(DSYNC, 0, 0, 0, 0);
}

ssize_t write(int fd, const void *data, size_t size) {
  begin();
  char what = fd == trace ? 0 : kind(fd);
  off_t at = what == 'd' ? lseek(fd, 0, SEEK_CUR) : 0;
  if (what == 'd' && fails("write", &writes)) return -1;
  ssize_t n = real_write(fd, data, size);
  struct iovec part = {(void *)data, size};
  if (what == 'd') wrote(fd, (uint64_t)at, &part, 1, n);
  if (what == 'a' && n > 0) put(ACK, 0, &part, 1, (size_t)n);
  return n;
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) {
  static ssize_t (*real)(int, const void *, size_t, off64_t);
  if (!real) real = dlsym(RTLD_NEXT, "pwrite64");
  char what = kind(fd);
  if (what == 'd' && fails("write", &writes)) return -1;
  ssize_t n = real(fd, data, size, offset);
  struct iovec part = {(void *)data, size};
  if (what == 'd') wrote(fd, (uint64_t)offset, &part, 1, n);
  return n;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return pwrite64(fd, data, size, offset); }

ssize_t writev(int fd, const struct iovec *parts, int count) {
  static ssize_t (*real)(int, const struct iovec *, int);
  if (!real) real = dlsym(RTLD_NEXT, "writev");
  char what = kind(fd);
  off_t at = what == 'd' ? lseek(fd, 0, SEEK_CUR) : 0;
  if (what == 'd' && fails("write", &writes)) return -1;
  ssize_t n = real(fd, parts, count);
  if (what == 'd') wrote(fd, (uint64_t)at, parts, count, n);
  return n;
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t offset) {
  static ssize_t (*real)(int, const struct iovec *, int, off64_t);
  if (!real) real = dlsym(RTLD_NEXT, "pwritev64");
  char what = kind(fd);
  if (what == 'd' && fails("write", &writes)) return -1;
  ssize_t n = real(fd, parts, count, offset);
  if (what == 'd') wrote(fd, (uint64_t)offset, parts, count, n);
  return n;
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t offset) {
  return pwritev64(fd, parts, count, offset);
}

static int synced(int fd, const char *name) {
  int (*real)(int) = dlsym(RTLD_NEXT, name);
  char what = kind(fd);
  if (what == 'd' && fails("sync", &syncs)) return -1;
  int failed = real(fd);
  if (!failed && what == 'd') put(SYNC, 0, 0, 0, 0);
  return failed;
}

int fsync(int fd) { return synced(fd, "fsync"); }
int fdatasync(int fd) { return synced(fd, "fdatasync"); }

int ftruncate64(int fd, off64_t length) {
  static int (*real)(int, off64_t);
  if (!real) real = dlsym(RTLD_NEXT, "ftruncate64");
  int failed = real(fd, length);
  if (!failed && kind(fd) == 'd') put(TRUNCATE, (uint64_t)length, 0, 0, 0);
  return failed;
}

int ftruncate(int fd, off_t length) { return ftruncate64(fd, length); }

/* A map that is written to leaves no trace of its writes: its presence is recorded, and the test refuses it. */
void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset) {
  static void *(*real)(void *, size_t, int, int, int, off64_t);
  if (!real) real = dlsym(RTLD_NEXT, "mmap64");
  if (fd >= 0 && (protection & PROT_WRITE) && (flags & MAP_SHARED) && kind(fd) == 'd') put(OTHER, 0, 0, 0, 0);
  return real(address, length, protection, flags, fd, offset);
}

void *mmap(void *address, size_t length, int protection, int flags, int fd, off_t offset) {
  return mmap64(address, length, protection, flags, fd, offset);
}
