/* The checksum of zip archives. */
#ifndef BURIN_RUNTIME_HOSTED_CRC_H
#define BURIN_RUNTIME_HOSTED_CRC_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* CRC-32 (polynomial 0xedb88320, reflected) of what `crc` covers, 0 for nothing, followed by these bytes. */
uint32_t burin_crc32(uint32_t crc, const void *data, size_t bytes);

#ifdef __cplusplus
}
#endif
#endif
