/* One image stage: a camera's frame to a network's tensor. Plain C, the door between the compiler and the library that
 * holds Halide (libBurinImage.so), which is opened only when a model has a stage.
 *
 *   decode    bytes of the frame -> red, green, blue (or grey) from 0 to 255, not rounded
 *   turn      columns become rows where `is_turned`; each axis of the frame runs backwards where `is_mirrored`
 *   resize    the region to `resized`, half-pixel centres, samples outside the region are those of its edge
 *   place     the result at `offset` of the output; what it leaves open is `pad`
 *   finish    (x - mean) / scale, rounded to even and clamped where the type is whole
 */
#ifndef BURIN_LIB_IMAGE_STAGE_H
#define BURIN_LIB_IMAGE_STAGE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum burin_image_format {
  BURIN_NV12, /* a plane of luma, below it one of interleaved chroma halved both ways */
  BURIN_I420, /* planes of luma, U and V; those of chroma have half the stride */
  BURIN_YUYV,
  BURIN_RGB,
  BURIN_BGR,
  BURIN_RGBA,
  BURIN_GRAY
} burin_image_format;

typedef enum burin_image_resize { BURIN_NEAREST, BURIN_LINEAR, BURIN_CUBIC, BURIN_AREA } burin_image_resize;

typedef enum burin_image_type { BURIN_IMAGE_F32, BURIN_IMAGE_F16, BURIN_IMAGE_U8, BURIN_IMAGE_I8 } burin_image_type;

/* Pairs are x, y. */
typedef struct burin_image_stage {
  int32_t format, width, height, stride; /* bytes from row to row of the first plane */
  int32_t is_709, is_full_range;         /* of formats with chroma */
  int32_t region[4];                     /* x, y, width, height of the part that is taken */
  int32_t is_turned, is_mirrored[2];     /* the latter of the frame's x and y */
  int32_t resized[2], offset[2];         /* of the output, as is all below */
  int32_t size[2], channels;             /* of the output: 1 or 3 channels */
  int32_t is_bgr, is_planar;             /* order of channels; channels outermost (NCHW) */
  int32_t type, resize;
  double pad, mean[3], scale[3]; /* in the order of the output's channels */
} burin_image_stage;

/* Planes of a frame: bytes from its start, rows, bytes of a row that count, and from row to row. */
typedef struct burin_image_plane {
  int64_t offset;
  int32_t rows, bytes, stride;
} burin_image_plane;

/* Makes LLVM bitcode of functions without runtime, allocation and checks. NAME_picture(planes..., output) writes the
 * picture; where some of the output is left open, NAME_bars(output) writes that. Arguments are Halide's buffers, of
 * which only the host pointer (at byte 16) is read. `target` as Halide spells it. 0, or 1 with an error text. */
typedef int burin_image_build(const burin_image_stage *stage, const burin_image_plane *planes, int num_planes,
                              const char *name, const char *target, void (*write)(void *to, const char *, size_t),
                              void *to, char *error, size_t room);

#define BURIN_IMAGE_BUILD                                                                                              \
  "burin_image_build_2" /* the name of that function in the library: 2 is this header's version */

#ifdef __cplusplus
}
#endif
#endif
