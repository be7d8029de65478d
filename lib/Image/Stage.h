/* Image stages: a camera's frame to a network's tensor, and a network's tensor to what is shown. Plain C, the door
 * between the compiler and the library that holds Halide (libBurinImage.so), which is opened only when a model has a
 * stage.
 *
 *   decode    bytes of the frame -> red, green, blue (or grey) from 0 to 255, not rounded
 *   turn      columns become rows where `is_turned`; each axis of the frame runs backwards where `is_mirrored`
 *   resize    the region to `resized`: sample i of an axis lies at (i + shift) * step + origin of the region's; samples
 *             outside the region are those of its edge
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
  BURIN_GRAY,
  BURIN_RGGB, /* raw Bayer mosaics, named by their first four pixels; what a pixel lacks is the mean of the nearest that
               */
  BURIN_GRBG, /* have it, and frames go on beyond their edges as mirrored about the outermost pixel */
  BURIN_GBRG,
  BURIN_BGGR
} burin_image_format;

typedef enum burin_image_resize { BURIN_NEAREST, BURIN_LINEAR, BURIN_CUBIC, BURIN_AREA } burin_image_resize;

/* Which sample a place between two is: the nearest, of halves the lower or upper, or always one side. */
typedef enum burin_image_rounding {
  BURIN_ROUND_PREFER_FLOOR,
  BURIN_ROUND_PREFER_CEIL,
  BURIN_FLOOR,
  BURIN_CEIL
} burin_image_rounding;

typedef enum burin_image_fit { BURIN_STRETCH, BURIN_LETTERBOX, BURIN_CROP } burin_image_fit;

/* Where the samples of a resized axis lie on the region's, and how many of those one covers. */
typedef struct burin_image_axis {
  double shift, step, origin, cover;
} burin_image_axis;

/* How samples are weighted. */
typedef struct burin_image_kernel {
  int32_t resize;         /* burin_image_resize */
  int32_t rounding;       /* of BURIN_NEAREST */
  int32_t is_antialiased; /* the kernel is as wide as what a sample of the result covers */
  int32_t is_exclusive;   /* samples outside the region count nothing */
  double cubic;           /* the coefficient of BURIN_CUBIC */
} burin_image_kernel;

typedef enum burin_image_type { BURIN_IMAGE_F32, BURIN_IMAGE_F16, BURIN_IMAGE_U8, BURIN_IMAGE_I8 } burin_image_type;

/* Pairs are x, y. */
typedef struct burin_image_stage {
  int32_t format, width, height, stride; /* bytes from row to row of the first plane */
  int32_t is_709, is_full_range;         /* of formats with chroma */
  int32_t region[4];                     /* x, y, width, height of the part that is taken */
  int32_t is_region_given, fit;          /* each run says the region, and `fit` then decides `resized` and `offset` */
  int32_t is_turned, is_mirrored[2];     /* the latter of the frame's x and y */
  int32_t resized[2], offset[2];         /* of the output, as is all below */
  int32_t size[2], channels;             /* of the output: 1 or 3 channels */
  int32_t is_bgr, is_planar;             /* order of channels; channels outermost (NCHW) */
  int32_t type;
  burin_image_kernel kernel;
  burin_image_axis axis[2];      /* of the output; not of a region that each run says: those have half-pixel centres */
  double pad, mean[3], scale[3]; /* in the order of the output's channels */
} burin_image_stage;

/* What comes of a network's floats, at the other end:
 *
 *   shuffle   the phases of `block` by `block` pixels are channels, as DepthToSpace has them; or
 *   resize    as above, from all of the tensor to all of the result; then
 *   steps     arithmetic with numbers, each step rounded; then
 *   finish    floats, a picture of bytes (what is left behind the point is dropped), or for each pixel the number or
 * the colour of the channel that is largest
 */
typedef enum burin_image_result { BURIN_FLOATS, BURIN_PICTURE, BURIN_LABELS, BURIN_COLORS } burin_image_result;

typedef enum burin_image_operation {
  BURIN_ADD,
  BURIN_MUL,
  BURIN_DIV,
  BURIN_ROUND, /* to even */
  BURIN_CLAMP
} burin_image_operation;

typedef struct burin_image_step {
  int32_t operation;
  float a, b;
} burin_image_step;

enum { BURIN_MOST_STEPS = 8, BURIN_MOST_COLORS = 256 };

typedef struct burin_image_output {
  int32_t channels, tensor[2], is_planar; /* of the floats; pairs are x, y */
  int32_t block, is_crd;                  /* 1: no phases; channels of a pixel lie together */
  int32_t size[2], is_resized, is_interleaved;
  burin_image_kernel kernel;
  burin_image_axis axis[2];
  int32_t result, label_bytes; /* of a number: 1, 4 or 8 */
  int32_t num_steps, num_colors;
  burin_image_step steps[BURIN_MOST_STEPS];
  uint32_t colors[BURIN_MOST_COLORS]; /* red lowest */
} burin_image_output;

/* Planes of a frame: bytes from its start, rows, bytes of a row that count, and from row to row. */
typedef struct burin_image_plane {
  int64_t offset;
  int32_t rows, bytes, stride;
} burin_image_plane;

/* One of both stages, the other null; planes of the first's frame. */
typedef struct burin_image_job {
  const burin_image_stage *stage;
  const burin_image_output *output;
  const burin_image_plane *planes;
  int num_planes;
} burin_image_job;

/* Makes LLVM bitcode of functions without runtime, allocation and checks. NAME_picture(planes..., output) writes the
 * picture, NAME_picture(tensor, output) what comes of a network's floats; where some of the output is left open,
 * NAME_bars(output) writes that. Arguments are Halide's buffers, of which only the host pointer (at byte 16) is read;
 * where each run says the region, four int32s before the output hold it. `target` as Halide spells it. 0, or 1 with an
 * error text. */
typedef int burin_image_build(const burin_image_job *job, const char *name, const char *target,
                              void (*write)(void *to, const char *, size_t), void *to, char *error, size_t room);

#define BURIN_IMAGE_BUILD                                                                                              \
  "burin_image_build_4" /* the name of that function in the library: 4 is this header's version */

#ifdef __cplusplus
}
#endif
#endif
