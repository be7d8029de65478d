/* See image.h. Each decoder here reads through a bounds-checked cursor or checks a whole row before it copies one. */
#include "runtime/hosted/image.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

int burin_image_allocate(burin_image *image, int only_size) {
  if (image->height < 1 || image->width < 1 || image->height > BURIN_IMAGE_MAX_PIXELS / image->width)
    return 0;
  if (only_size)
    return 1;
  image->pixels = calloc((size_t)(image->height * image->width), 3);
  return image->pixels != NULL;
}

static uint32_t little(const uint8_t *p, int bytes) {
  uint32_t v = 0;
  for (int i = bytes; i-- > 0;)
    v = v << 8 | p[i];
  return v;
}

static uint32_t big(const uint8_t *p, int bytes) {
  uint32_t v = 0;
  for (int i = 0; i < bytes; ++i)
    v = v << 8 | p[i];
  return v;
}

static void put(uint8_t *to, uint8_t r, uint8_t g, uint8_t b) {
  to[0] = r;
  to[1] = g;
  to[2] = b;
}

/* --- BMP: BITMAPFILEHEADER of 14 bytes, a BITMAPINFOHEADER or a longer one, a palette, rows from the bottom ---------
 */

static int decode_bmp(const uint8_t *b, uint64_t length, int only_size, burin_image *image) {
  if (length < 54)
    return 0;
  uint32_t data = little(b + 10, 4), header = little(b + 14, 4), bits = little(b + 28, 2), packing = little(b + 30, 4),
           colors = little(b + 46, 4);
  int32_t rows = (int32_t)little(b + 22, 4);
  int upwards = rows > 0;
  image->width = (int32_t)little(b + 18, 4);
  image->height = upwards ? rows : -(int64_t)rows;
  if (header < 40 || header > length || packing != 0 || (bits != 8 && bits != 24 && bits != 32))
    return 0;
  if (!colors || colors > 256)
    colors = 256;
  const uint8_t *palette = b + 14 + header;
  uint64_t stride = ((uint64_t)image->width * bits + 31) / 32 * 4;
  if (!burin_image_allocate(image, only_size))
    return 0;
  if (only_size)
    return 1;
  if (data > length || (length - data) / stride < (uint64_t)image->height ||
      (bits == 8 && 14 + (uint64_t)header + 4 * (uint64_t)colors > length))
    return 0;
  for (int64_t y = 0; y < image->height; ++y) {
    const uint8_t *row = b + data + stride * (uint64_t)(upwards ? image->height - 1 - y : y);
    uint8_t *to = image->pixels + y * image->width * 3;
    for (int64_t x = 0; x < image->width; ++x, to += 3) {
      const uint8_t *p = bits == 8 ? palette + 4 * (row[x] < colors ? row[x] : 0) : row + x * (bits / 8);
      put(to, p[2], p[1], p[0]);
    }
  }
  return 1;
}

/* --- PNM: "P6 width height maxval" in text, then samples; P5 grey; P2 and P3 with samples in text -------------------
 */

typedef struct cursor {
  const uint8_t *at, *end;
} cursor;

static int64_t next_number(cursor *c) {
  for (; c->at < c->end; ++c->at) {
    if (*c->at == '#')
      while (c->at < c->end && *c->at != '\n')
        ++c->at;
    else if (*c->at >= '0' && *c->at <= '9')
      break;
    else if (*c->at > ' ')
      return -1;
    if (c->at == c->end)
      return -1;
  }
  int64_t value = -1;
  for (; c->at < c->end && *c->at >= '0' && *c->at <= '9' && value < (int64_t)1 << 40; ++c->at)
    value = (value < 0 ? 0 : value) * 10 + (*c->at - '0');
  return value;
}

static int decode_pnm(const uint8_t *b, uint64_t length, int only_size, burin_image *image) {
  cursor c = {b + 2, b + length};
  int kind = b[1] - '0', isText = kind <= 3, channels = kind == 3 || kind == 6 ? 3 : 1;
  image->width = next_number(&c);
  image->height = next_number(&c);
  int64_t most = next_number(&c);
  if (most < 1 || most > 65535 || !burin_image_allocate(image, only_size))
    return 0;
  if (only_size)
    return 1;
  ++c.at; /* one space */
  int64_t count = image->height * image->width, size = most > 255 ? 2 : 1;
  if (!isText && (c.at > c.end || c.end - c.at < count * channels * size))
    return 0;
  for (int64_t i = 0; i < count; ++i) {
    uint8_t v[3];
    for (int k = 0; k < channels; ++k) {
      int64_t sample = isText ? next_number(&c) : (int64_t)big(c.at, (int)size);
      if (sample < 0)
        return 0;
      c.at += isText ? 0 : size;
      sample = sample > most ? most : sample;
      v[k] = (uint8_t)(most == 255 ? sample : (sample * 255 + most / 2) / most);
    }
    put(image->pixels + 3 * i, v[0], v[channels > 1], v[channels > 1 ? 2 : 0]);
  }
  return 1;
}

/* --- TIFF 6.0: one directory of 12-byte entries, strips of rows
 * ------------------------------------------------------- */

/* A zlib stream; 0 where it does not give exactly `wanted` bytes. */
static int inflate_all(const uint8_t *from, uint64_t size, uint8_t *to, uint64_t wanted) {
  z_stream stream = {0};
  if (size > UINT32_MAX || wanted > UINT32_MAX || inflateInit(&stream) != Z_OK)
    return 0;
  stream.next_in = (Bytef *)(uintptr_t)from;
  stream.avail_in = (uInt)size;
  stream.next_out = to;
  stream.avail_out = (uInt)wanted;
  inflate(&stream, Z_FINISH);
  int done = stream.avail_out == 0;
  inflateEnd(&stream);
  return done;
}

typedef struct tiff {
  const uint8_t *b;
  uint64_t length;
  int isBig;
} tiff;

static uint32_t word(const tiff *t, uint64_t at, int bytes) {
  if (at + (uint64_t)bytes > t->length)
    return 0;
  return t->isBig ? big(t->b + at, bytes) : little(t->b + at, bytes);
}

/* Value `i` of the entry with `tag`; `missing` where there is none. */
static uint32_t value(const tiff *t, uint64_t directory, uint32_t tag, uint32_t i, uint32_t missing) {
  uint32_t entries = word(t, directory, 2);
  for (uint32_t e = 0; e < entries; ++e) {
    uint64_t at = directory + 2 + 12 * (uint64_t)e;
    if (word(t, at, 2) != tag)
      continue;
    uint32_t type = word(t, at + 2, 2), count = word(t, at + 4, 4);
    int bytes = type == 3 ? 2 : type == 4 ? 4 : 1;
    if (i >= count)
      return missing;
    uint64_t place = (uint64_t)count * (uint64_t)bytes <= 4 ? at + 8 : word(t, at + 8, 4);
    return word(t, place + (uint64_t)i * (uint64_t)bytes, bytes);
  }
  return missing;
}

static int decode_tiff(const uint8_t *b, uint64_t length, int only_size, burin_image *image) {
  if (length < 8)
    return 0;
  tiff t = {b, length, b[0] == 'M'};
  uint64_t d = word(&t, 4, 4);
  image->width = value(&t, d, 256, 0, 0);
  image->height = value(&t, d, 257, 0, 0);
  uint32_t bits = value(&t, d, 258, 0, 1), packing = value(&t, d, 259, 0, 1), meaning = value(&t, d, 262, 0, 1),
           channels = value(&t, d, 277, 0, 1), high = value(&t, d, 278, 0, UINT32_MAX);
  int deflated = packing == 8 || packing == 32946;
  if (bits != 8 || (packing != 1 && !deflated) || value(&t, d, 284, 0, 1) != 1 || value(&t, d, 317, 0, 1) != 1 ||
      channels < 1 || channels > 4 || meaning > 2 || (meaning == 2) != (channels >= 3) || !high ||
      !burin_image_allocate(image, only_size))
    return 0;
  if (only_size)
    return 1;
  if (high > image->height)
    high = (uint32_t)image->height;
  uint64_t stride = (uint64_t)image->width * channels;
  uint8_t *strip = malloc((size_t)(stride * high));
  int done = strip != NULL;
  for (int64_t y = 0, s = 0; y < image->height && done; y += high, ++s) {
    int64_t rows = image->height - y < high ? image->height - y : high;
    uint64_t at = value(&t, d, 273, (uint32_t)s, 0), size = value(&t, d, 279, (uint32_t)s, 0),
             wanted = stride * (uint64_t)rows;
    if (at > length || size > length - at || (!deflated && size < wanted)) {
      done = 0;
      break;
    }
    if (deflated)
      done = inflate_all(b + at, size, strip, wanted);
    else
      memcpy(strip, b + at, wanted);
    for (int64_t i = 0; i < rows * image->width && done; ++i) {
      const uint8_t *p = strip + i * channels;
      uint8_t *to = image->pixels + 3 * (y * image->width + i), grey = meaning == 0 ? (uint8_t)~*p : *p;
      if (channels >= 3)
        put(to, p[0], p[1], p[2]);
      else
        put(to, grey, grey, grey);
    }
  }
  free(strip);
  return done;
}

int burin_image_decode(const uint8_t *bytes, uint64_t length, int only_size, burin_image *image) {
  memset(image, 0, sizeof *image);
  int done = 0;
  if (length < 12)
    return 0;
  if (!memcmp(bytes, "BM", 2))
    done = decode_bmp(bytes, length, only_size, image);
  else if (!memcmp(bytes, "\x89PNG\r\n\x1a\n", 8))
    done = burin_png_decode(bytes, length, only_size, image);
  else if (!memcmp(bytes, "II*\0", 4) || !memcmp(bytes, "MM\0*", 4))
    done = decode_tiff(bytes, length, only_size, image);
  else if (bytes[0] == 0xff && bytes[1] == 0xd8)
    done = burin_jpeg_decode(bytes, length, only_size, image);
  else if (!memcmp(bytes, "RIFF", 4) && !memcmp(bytes + 8, "WEBP", 4))
    done = burin_webp_decode(bytes, length, only_size, image);
  else if (!memcmp(bytes, "\0\0\0\x0cjP  ", 8) || !memcmp(bytes, "\xff\x4f\xff\x51", 4))
    done = burin_j2k_decode(bytes, length, only_size, image);
  else if (bytes[0] == 'P' && (bytes[1] == '2' || bytes[1] == '3' || bytes[1] == '5' || bytes[1] == '6'))
    done = decode_pnm(bytes, length, only_size, image);
  if (!done) {
    free(image->pixels);
    memset(image, 0, sizeof *image);
  }
  return done;
}

int32_t burin_decode_image(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                           burin_tensor *outputs, uint32_t num_outputs) {
  (void)num_inputs, (void)num_outputs;
  int isGrey = 0, isBlueFirst = 0;
  for (uint32_t i = 0; i < call->num_attributes; ++i)
    if (!strcmp(call->attributes[i].name, "pixel_format")) {
      const burin_string *format = call->attributes[i].values;
      isGrey = !strcmp(format->bytes, "Grayscale");
      isBlueFirst = !strcmp(format->bytes, "BGR");
    }
  burin_image image;
  int asks = !outputs->data && outputs->dims[0] < 0, channels = isGrey ? 1 : 3;
  int good = burin_image_decode(inputs->data, (uint64_t)inputs->dims[0], asks, &image);
  if (asks) { /* what is no image gives an empty tensor */
    outputs->dims[0] = image.height;
    outputs->dims[1] = image.width;
    outputs->dims[2] = channels;
    return BURIN_OK;
  }
  if (outputs->dims[0] != image.height || outputs->dims[1] != image.width || outputs->dims[2] != channels) {
    free(image.pixels);
    return good ? BURIN_ERROR_SHAPE : BURIN_ERROR_CALL;
  }
  uint8_t *to = outputs->data;
  for (int64_t i = 0, count = image.height * image.width; i < count; ++i) {
    const uint8_t *p = image.pixels + 3 * i;
    if (isGrey) /* ITU-R BT.601 luma, in sixteenths of a bit */
      to[i] = (uint8_t)((p[0] * 19595u + p[1] * 38470u + p[2] * 7471u + 0x8000u) >> 16);
    else
      put(to + 3 * i, p[isBlueFirst ? 2 : 0], p[1], p[isBlueFirst ? 0 : 2]);
  }
  free(image.pixels);
  return BURIN_OK;
}
