/* Image files to pixels: BMP, PNM, TIFF (strips, not compressed or deflated) by own code; JPEG, PNG, WebP and JPEG 2000
 * by libraries (image_files.c).
 * Files are untrusted: sizes are checked before memory is asked for, reads before they are made. */
#ifndef BURIN_RUNTIME_HOSTED_IMAGE_H
#define BURIN_RUNTIME_HOSTED_IMAGE_H

#include "burin/runtime.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { BURIN_IMAGE_MAX_PIXELS = 1 << 28 };

typedef struct burin_image {
  int64_t height, width;
  uint8_t *pixels; /* height x width x 3, red first; from malloc; NULL where only the size was asked for */
} burin_image;

/* 1, or 0 for a file that is broken or of another kind; then nothing is held. */
int burin_image_decode(const uint8_t *bytes, uint64_t length, int only_size, burin_image *image);

/* The parts by libraries, for at least 12 bytes that begin as such a file does. */
int burin_jpeg_decode(const uint8_t *bytes, uint64_t length, int only_size, burin_image *image);
int burin_png_decode(const uint8_t *bytes, uint64_t length, int only_size, burin_image *image);
int burin_webp_decode(const uint8_t *bytes, uint64_t length, int only_size, burin_image *image);
int burin_j2k_decode(const uint8_t *bytes, uint64_t length, int only_size, burin_image *image);

/* For each format: memory for the pixels of a size that it has set; 0 where the size is out of bounds. */
int burin_image_allocate(burin_image *image, int only_size);

/* ONNX's ImageDecoder (burin_function); attribute pixel_format. Its dims can be asked for. */
int32_t burin_decode_image(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                           burin_tensor *outputs, uint32_t num_outputs);

#ifdef __cplusplus
}
#endif
#endif
