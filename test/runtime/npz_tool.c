/* The npz reader and writer as a program, for npz_test.py.
 * usage: npz_tool copy IN.npz OUT.npz | load IN.npy OUT.npz | prefixes IN.npz | corrupt IN.npz SEED ROUNDS
 * prefixes: no part of the file that ends early may be read. corrupt: with bytes changed, reading may fail but not
 * crash. */
#include "runtime/hosted/file.h"
#include "runtime/hosted/npy.h"
#include "runtime/hosted/npz.h"

#include <stdlib.h>
#include <string.h>

static int parse_copy(const char *data, size_t bytes) {
  burin_arrays arrays = {0};
  burin_error error;
  char *exact = malloc(bytes + !bytes); /* so that a sanitizer sees one byte too far */
  memcpy(exact, data, bytes);
  int status = burin_npz_parse(exact, bytes, &arrays, &error);
  burin_arrays_free(&arrays);
  free(exact);
  return status;
}

static int prefixes(const char *data, size_t bytes) {
  for (size_t n = 0; n < bytes; ++n)
    if (!parse_copy(data, n)) {
      fprintf(stderr, "the first %zu of %zu bytes were read as if complete\n", n, bytes);
      return 1;
    }
  return parse_copy(data, bytes) != 0;
}

static int corrupt(char *data, size_t bytes, unsigned seed, int rounds) {
  static const unsigned char VALUES[] = {0, 1, 0x7f, 0x80, 0xff};
  srand(seed);
  for (int round = 0; round < rounds; ++round) {
    size_t at[4];
    char old[4];
    for (int i = 0; i < 4; ++i) {
      at[i] = (size_t)rand() % bytes;
      old[i] = data[at[i]];
      data[at[i]] = rand() % 2 ? (char)VALUES[rand() % 5] : (char)rand();
    }
    parse_copy(data, bytes);
    for (int i = 3; i >= 0; --i)
      data[at[i]] = old[i];
  }
  return 0;
}

int main(int argc, char **argv) {
  burin_arrays arrays = {0};
  burin_error error;
  if (argc < 3)
    return 2;
  if (!strcmp(argv[1], "copy") || !strcmp(argv[1], "load")) {
    int failed =
        (*argv[1] == 'c' ? burin_npz_read(argv[2], &arrays, &error) : burin_npy_load(argv[2], "x", &arrays, &error)) ||
        burin_npz_write(argv[3], arrays.items, arrays.count, &error);
    burin_arrays_free(&arrays);
    if (failed)
      fprintf(stderr, "%s\n", error.text);
    return failed ? 1 : 0;
  }
  void *data;
  size_t bytes;
  if (burin_file_read(argv[2], &data, &bytes, &error))
    return 2;
  int status = !strcmp(argv[1], "prefixes") ? prefixes(data, bytes)
                                            : corrupt(data, bytes, (unsigned)atoi(argv[3]), atoi(argv[4]));
  free(data);
  return status;
}
