/* Whole files: read at once; written under another name in the same folder and renamed when complete. */
#define _GNU_SOURCE
#include "runtime/hosted/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int burin_file_read(const char *path, void **data, size_t *bytes, burin_error *error) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0)
    return burin_fail(error, "cannot read '%s': %s", path, strerror(errno));
  struct stat status;
  /* The size is a first guess only: pipes have none, and a file may grow while it is read. */
  size_t capacity =
      !fstat(file, &status) && S_ISREG(status.st_mode) && status.st_size > 0 ? (size_t)status.st_size + 1 : 65536;
  size_t used = 0;
  char *buffer = malloc(capacity);
  while (buffer) {
    ssize_t got = read(file, buffer + used, capacity - used);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0) {
      burin_fail(error, "cannot read '%s': %s", path, strerror(errno));
      break;
    }
    if (got == 0) {
      close(file);
      *data = buffer;
      *bytes = used;
      return 0;
    }
    used += (size_t)got;
    if (used == capacity) {
      char *larger = capacity > SIZE_MAX / 2 ? NULL : realloc(buffer, capacity *= 2);
      if (!larger) {
        burin_fail(error, "no memory for '%s'", path);
        break;
      }
      buffer = larger;
    }
  }
  if (!buffer)
    burin_fail(error, "no memory for '%s'", path);
  free(buffer);
  close(file);
  return -1;
}

static void release(burin_output *output) {
  free(output->path);
  free(output->temporary);
  memset(output, 0, sizeof *output);
}

static int open_failed(burin_output *output, const char *path, burin_error *error) {
  burin_fail(error, "cannot write '%s': %s", path, strerror(errno));
  release(output);
  return -1;
}

int burin_output_open(burin_output *output, const char *path, burin_error *error) {
  memset(output, 0, sizeof *output);
  struct stat status;
  int exists = stat(path, &status) == 0;
  /* Renaming over a link would replace the link, not the file that it names. */
  output->path = exists ? realpath(path, NULL) : strdup(path);
  if (!output->path)
    return open_failed(output, path, error);
  if (exists && !S_ISREG(status.st_mode)) {
    output->stream = fopen(output->path, "wb");
    return output->stream ? 0 : open_failed(output, path, error);
  }
  if (exists && access(output->path, W_OK))
    return open_failed(output, path, error);
  if (asprintf(&output->temporary, "%s.%ld.tmp", output->path, (long)getpid()) < 0) {
    output->temporary = NULL;
    return open_failed(output, path, error);
  }
  int file = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  if (file < 0)
    return open_failed(output, path, error);
  if (exists)
    (void)!fchmod(file, status.st_mode & 07777);
  output->stream = fdopen(file, "wb");
  if (!output->stream) {
    int reason = errno;
    close(file);
    unlink(output->temporary);
    errno = reason;
    return open_failed(output, path, error);
  }
  return 0;
}

int burin_output_commit(burin_output *output, burin_error *error) {
  int failed = fflush(output->stream) || ferror(output->stream);
  int reason = errno;
  if (fclose(output->stream) && !failed) {
    failed = 1;
    reason = errno;
  }
  if (!failed && output->temporary && rename(output->temporary, output->path)) {
    failed = 1;
    reason = errno;
  }
  if (failed) {
    burin_fail(error, "cannot write '%s': %s", output->path, strerror(reason));
    if (output->temporary)
      unlink(output->temporary);
  }
  release(output);
  return failed ? -1 : 0;
}

void burin_output_discard(burin_output *output) {
  if (output->stream)
    fclose(output->stream);
  if (output->temporary)
    unlink(output->temporary);
  release(output);
}
