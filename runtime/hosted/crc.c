/* CRC-32, eight bytes a step through eight tables (Kounavis and Berry, "slicing by 8", 2005) that are made at first
 * use: zlib's come as 12 KB of every program. */
#include "runtime/hosted/crc.h"

#include <pthread.h>
#include <string.h>

static uint32_t tables[8][256];
static pthread_once_t made = PTHREAD_ONCE_INIT;

static void make_tables(void) {
  for (uint32_t i = 0; i < 256; ++i) {
    uint32_t crc = i;
    for (int bit = 0; bit < 8; ++bit)
      crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    tables[0][i] = crc;
  }
  for (int t = 1; t < 8; ++t)
    for (int i = 0; i < 256; ++i)
      tables[t][i] = tables[t - 1][i] >> 8 ^ tables[0][tables[t - 1][i] & 255];
}

uint32_t burin_crc32(uint32_t crc, const void *data, size_t bytes) {
  const unsigned char *p = data;
  pthread_once(&made, make_tables);
  crc = ~crc;
  for (; bytes >= 8; p += 8, bytes -= 8) {
    uint32_t a = crc ^ (p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);
    crc = tables[7][a & 255] ^ tables[6][a >> 8 & 255] ^ tables[5][a >> 16 & 255] ^ tables[4][a >> 24] ^
          tables[3][p[4]] ^ tables[2][p[5]] ^ tables[1][p[6]] ^ tables[0][p[7]];
  }
  for (; bytes; ++p, --bytes)
    crc = crc >> 8 ^ tables[0][(crc ^ *p) & 255];
  return ~crc;
}

#ifdef Z_PREFIX
/* zlib's inflate names this for gzip streams, which are never on here; it stands in for zlib's own. */
unsigned long z_crc32(unsigned long crc, const unsigned char *data, unsigned bytes);
unsigned long z_crc32(unsigned long crc, const unsigned char *data, unsigned bytes) {
  return burin_crc32((uint32_t)crc, data, bytes);
}
#endif
