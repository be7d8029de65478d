/* Image files that libraries read: JPEG (libjpeg-turbo with its defaults, the accurate DCT and smooth chroma), PNG
 * (libpng), WebP (libwebp) and JPEG 2000 (openjpeg). Each reader sets the size, asks for pixels through
 * burin_image_allocate, and gives 0 for what its library refuses; none of them prints or exits. */
#include "runtime/hosted/image.h"

#include <setjmp.h>
#include <stdio.h> /* for jpeglib.h */
#include <stdlib.h>
#include <string.h>

#include <jerror.h>
#include <jpeglib.h>
#include <openjpeg.h>
#include <png.h>
#include <webp/decode.h>

/* A file in memory, for libraries that ask for its bytes. */
typedef struct source {
  const uint8_t *begin, *at, *end;
} source;

/* --- JPEG ----------------------------------------------------------------------------------------------------------
 */

/* A progressive file may repeat a scan without end. */
enum { MAX_SCANS = 100 };

typedef struct jpeg_reader {
  struct jpeg_decompress_struct info;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  jmp_buf out;
} jpeg_reader;

static void stop_jpeg(j_common_ptr info) { longjmp(((jpeg_reader *)info)->out, 1); }

static void hear_jpeg(j_common_ptr info, int level) {
  if (level < 0 && info->err->msg_code == JWRN_JPEG_EOF)
    stop_jpeg(info); /* cut short */
}

static void follow_jpeg(j_common_ptr info) {
  if (((j_decompress_ptr)info)->input_scan_number > MAX_SCANS)
    stop_jpeg(info);
}

int burin_jpeg_decode(const uint8_t *bytes, uint64_t length, int only_size, burin_image *image) {
  jpeg_reader r;
  memset(&r, 0, sizeof r);
  r.info.err = jpeg_std_error(&r.errors);
  r.errors.error_exit = stop_jpeg;
  r.errors.emit_message = hear_jpeg;
  r.progress.progress_monitor = follow_jpeg;
  if (setjmp(r.out)) {
    jpeg_destroy_decompress(&r.info);
    return 0;
  }
  jpeg_create_decompress(&r.info);
  r.info.progress = &r.progress;
  jpeg_mem_src(&r.info, bytes, (unsigned long)length);
  jpeg_read_header(&r.info, TRUE);
  image->width = r.info.image_width;
  image->height = r.info.image_height;
  int done = r.info.num_components != 4 && burin_image_allocate(image, only_size);
  if (done && !only_size) {
    r.info.out_color_space = JCS_RGB;
    jpeg_start_decompress(&r.info);
    while (r.info.output_scanline < r.info.output_height) {
      JSAMPROW row = image->pixels + (size_t)3 * r.info.output_scanline * (size_t)image->width;
      jpeg_read_scanlines(&r.info, &row, 1);
    }
  }
  jpeg_destroy_decompress(&r.info);
  return done;
}

/* --- PNG -----------------------------------------------------------------------------------------------------------
 */

static void read_png(png_structp png, png_bytep to, size_t size) {
  source *file = png_get_io_ptr(png);
  if (size > (size_t)(file->end - file->at))
    png_error(png, "cut short");
  memcpy(to, file->at, size);
  file->at += size;
}

static void stop_png(png_structp png, png_const_charp text) {
  (void)text;
  png_longjmp(png, 1);
}

static void ignore_png(png_structp png, png_const_charp text) { (void)png, (void)text; }

int burin_png_decode(const uint8_t *bytes, uint64_t length, int only_size, burin_image *image) {
  source file = {bytes, bytes, bytes + length};
  png_bytep *volatile rows = NULL;
  png_infop info = NULL;
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, NULL, stop_png, ignore_png);
  if (!png || !(info = png_create_info_struct(png)) || setjmp(png_jmpbuf(png))) {
    png_destroy_read_struct(&png, &info, NULL);
    free((void *)rows);
    return 0;
  }
  png_set_read_fn(png, &file, read_png);
  png_set_user_limits(png, BURIN_IMAGE_MAX_PIXELS, BURIN_IMAGE_MAX_PIXELS);
  png_read_info(png, info);
  image->width = png_get_image_width(png, info);
  image->height = png_get_image_height(png, info);
  int done = burin_image_allocate(image, only_size);
  if (done && !only_size) {
    /* Eight bits of red, green and blue each, as stored: no gamma, no blending. */
    png_set_strip_16(png);
    png_set_expand(png);
    png_set_gray_to_rgb(png);
    png_set_strip_alpha(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    rows = malloc((size_t)image->height * sizeof *rows);
    done = rows && png_get_rowbytes(png, info) == (size_t)image->width * 3;
    for (int64_t y = 0; y < image->height && done; ++y)
      rows[y] = image->pixels + y * image->width * 3;
    if (done)
      png_read_image(png, rows);
  }
  png_destroy_read_struct(&png, &info, NULL);
  free((void *)rows);
  return done;
}

/* --- WebP ----------------------------------------------------------------------------------------------------------
 */

int burin_webp_decode(const uint8_t *bytes, uint64_t length, int only_size, burin_image *image) {
  int width, height;
  if (!WebPGetInfo(bytes, length, &width, &height))
    return 0;
  image->width = width;
  image->height = height;
  if (!burin_image_allocate(image, only_size))
    return 0;
  return only_size || WebPDecodeRGBInto(bytes, length, image->pixels, (size_t)width * 3 * (size_t)height, width * 3);
}

/* --- JPEG 2000 -----------------------------------------------------------------------------------------------------
 */

static OPJ_SIZE_T read_j2k(void *to, OPJ_SIZE_T size, void *data) {
  source *file = data;
  OPJ_SIZE_T left = (OPJ_SIZE_T)(file->end - file->at), taken = size < left ? size : left;
  if (!taken)
    return (OPJ_SIZE_T)-1;
  memcpy(to, file->at, taken);
  file->at += taken;
  return taken;
}

static OPJ_OFF_T skip_j2k(OPJ_OFF_T size, void *data) {
  source *file = data;
  if (size < 0 || size > file->end - file->at)
    return -1;
  file->at += size;
  return size;
}

static OPJ_BOOL seek_j2k(OPJ_OFF_T to, void *data) {
  source *file = data;
  if (to < 0 || to > file->end - file->begin)
    return OPJ_FALSE;
  file->at = file->begin + to;
  return OPJ_TRUE;
}

/* Samples of any depth and sign, to eight bits. */
static uint8_t sample_of(const opj_image_comp_t *part, int64_t i) {
  int64_t v = part->data[i] + (part->sgnd ? (int64_t)1 << (part->prec - 1) : 0);
  v = part->prec > 8 ? v >> (part->prec - 8) : v * 255 / ((1 << part->prec) - 1);
  return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v);
}

static int copy_j2k(const opj_image_t *from, burin_image *image) {
  int parts = from->numcomps < 3 ? 1 : 3;
  if (from->color_space == OPJ_CLRSPC_SYCC || from->color_space == OPJ_CLRSPC_EYCC ||
      from->color_space == OPJ_CLRSPC_CMYK)
    return 0;
  for (int k = 0; k < parts; ++k) {
    const opj_image_comp_t *part = &from->comps[k];
    if (!part->data || part->w != image->width || part->h != image->height || part->prec < 1 || part->prec > 31)
      return 0;
  }
  for (int64_t i = 0; i < image->height * image->width; ++i)
    for (int k = 0; k < 3; ++k)
      image->pixels[3 * i + k] = sample_of(&from->comps[parts == 3 ? k : 0], i);
  return 1;
}

int burin_j2k_decode(const uint8_t *bytes, uint64_t length, int only_size, burin_image *image) {
  source file = {bytes, bytes, bytes + length};
  int boxed = bytes[0] == 0; /* a .jp2 file begins with a box, a bare stream with its marker */
  opj_dparameters_t parameters;
  opj_set_default_decoder_parameters(&parameters);
  opj_codec_t *codec = opj_create_decompress(boxed ? OPJ_CODEC_JP2 : OPJ_CODEC_J2K);
  opj_stream_t *stream = opj_stream_default_create(OPJ_TRUE);
  opj_image_t *found = NULL;
  int done = 0;
  if (codec && stream) {
    opj_stream_set_read_function(stream, read_j2k);
    opj_stream_set_skip_function(stream, skip_j2k);
    opj_stream_set_seek_function(stream, seek_j2k);
    opj_stream_set_user_data(stream, &file, NULL);
    opj_stream_set_user_data_length(stream, length);
    done = opj_setup_decoder(codec, &parameters) && opj_decoder_set_strict_mode(codec, OPJ_TRUE) &&
           opj_read_header(stream, codec, &found) && found->x1 > found->x0 && found->y1 > found->y0 &&
           found->numcomps >= 1 && found->numcomps <= 4;
    if (done) {
      image->width = (int64_t)found->x1 - found->x0;
      image->height = (int64_t)found->y1 - found->y0;
      done = burin_image_allocate(image, only_size);
    }
    if (done && !only_size)
      done = opj_decode(codec, stream, found) && opj_end_decompress(codec, stream) && copy_j2k(found, image);
  }
  opj_image_destroy(found);
  opj_stream_destroy(stream);
  opj_destroy_codec(codec);
  return done;
}
