/* JPEG (ITU-T T.81), sequential and Huffman coded, 8 bits a sample, one or three components. The numbers follow the
 * definition ONNX gives of ImageDecoder, which is what most decoders do: the accurate integer inverse DCT of Loeffler,
 * Ligtenberg and Moschytz (13-bit constants, 2 extra bits between the passes), triangle filters for chroma halved in
 * width or height, and BT.601 conversion with 16-bit constants. */
#include "runtime/hosted/image.h"

#include <stdlib.h>
#include <string.h>

typedef struct huffman {
  uint8_t symbols[256];
  int32_t first[17], offset[17], count[17]; /* by length: code, index of its symbol, number */
  int defined;
} huffman;

typedef struct component {
  int id, h, v, table, dc, ac, previous;
  int64_t width, height, stride, rows; /* samples that count; samples held, whole blocks */
  uint8_t *samples;
} component;

typedef struct decoder {
  const uint8_t *at, *end;
  uint32_t bits;
  int held, broken, marker;
  uint16_t tables[4][64];
  huffman trees[2][4];
  component parts[3];
  int count, most_h, most_v, restart, transform;
  int64_t width, height;
} decoder;

static const uint8_t zigzag[64] = {0,  1,  8,  16, 9,  2,  3,  10, 17, 24, 32, 25, 18, 11, 4,  5,
                                   12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13, 6,  7,  14, 21, 28,
                                   35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
                                   58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63};

/* --- Bits and Huffman codes
 * --------------------------------------------------------------------------------------------- */

/* A marker ends the data: zeros follow, as decoders agree. */
static int bit(decoder *d) {
  if (!d->held) {
    uint32_t byte = 0;
    if (!d->marker && d->at < d->end) {
      byte = *d->at++;
      if (byte == 0xff) {
        uint32_t next = d->at < d->end ? *d->at : 0xd9;
        if (next == 0) {
          ++d->at;
        } else {
          --d->at;
          d->marker = 1;
          byte = 0;
        }
      }
    } else if (d->at >= d->end && !d->marker) {
      d->broken = 1;
    }
    d->bits = byte;
    d->held = 8;
  }
  return (int)(d->bits >> --d->held & 1);
}

static int receive(decoder *d, int count) {
  int v = 0;
  for (int i = 0; i < count; ++i)
    v = v << 1 | bit(d);
  return v;
}

/* T.81 F.2.2.1: a number of `size` bits, negative where its first bit is 0. */
static int extend(decoder *d, int size) {
  if (!size)
    return 0;
  int v = receive(d, size);
  return v < 1 << (size - 1) ? v - (1 << size) + 1 : v;
}

static int symbol(decoder *d, const huffman *tree) {
  int32_t code = 0;
  for (int length = 1; length <= 16; ++length) {
    code = code << 1 | bit(d);
    if (code - tree->first[length] < tree->count[length] && code >= tree->first[length])
      return tree->symbols[tree->offset[length] + code - tree->first[length]];
  }
  d->broken = 1;
  return 0;
}

/* --- Inverse DCT
 * ---------------------------------------------------------------------------------------------------------- */

/* One dimension over 8 values `step` apart; constants are round(c * 2^13). The caller shifts and rounds. */
static void transform(const int32_t *in, int step, int64_t *even, int64_t *odd) {
  int64_t z1 = ((int64_t)in[2 * step] + in[6 * step]) * 4433;
  int64_t t2 = z1 - (int64_t)in[6 * step] * 15137, t3 = z1 + (int64_t)in[2 * step] * 6270;
  int64_t t0 = ((int64_t)in[0] + in[4 * step]) * 8192, t1 = ((int64_t)in[0] - in[4 * step]) * 8192;
  even[0] = t0 + t3;
  even[3] = t0 - t3;
  even[1] = t1 + t2;
  even[2] = t1 - t2;
  int64_t a = in[7 * step], b = in[5 * step], c = in[3 * step], e = in[step];
  int64_t y1 = a + e, y2 = b + c, y3 = a + c, y4 = b + e, y5 = (y3 + y4) * 9633;
  a *= 2446;
  b *= 16819;
  c *= 25172;
  e *= 12299;
  y1 *= -7373;
  y2 *= -20995;
  y3 = y3 * -16069 + y5;
  y4 = y4 * -3196 + y5;
  odd[3] = a + y1 + y3;
  odd[2] = b + y2 + y4;
  odd[1] = c + y2 + y3;
  odd[0] = e + y1 + y4;
}

static uint8_t clamp(int64_t v) { return (uint8_t)(v < 0 ? 0 : v > 255 ? 255 : v); }

static void inverse(const int32_t *block, uint8_t *to, int64_t stride) {
  int32_t middle[64];
  int64_t even[4], odd[4];
  for (int x = 0; x < 8; ++x) {
    transform(block + x, 8, even, odd);
    for (int i = 0; i < 4; ++i) {
      middle[8 * i + x] = (int32_t)((even[i] + odd[i] + (1 << 10)) >> 11);
      middle[8 * (7 - i) + x] = (int32_t)((even[i] - odd[i] + (1 << 10)) >> 11);
    }
  }
  for (int y = 0; y < 8; ++y) {
    transform(middle + 8 * y, 1, even, odd);
    for (int i = 0; i < 4; ++i) {
      to[y * stride + i] = clamp(((even[i] + odd[i] + (1 << 17)) >> 18) + 128);
      to[y * stride + 7 - i] = clamp(((even[i] - odd[i] + (1 << 17)) >> 18) + 128);
    }
  }
}

/* --- The file
 * -------------------------------------------------------------------------------------------------------------- */

static int read_tables(decoder *d, const uint8_t *p, const uint8_t *end) {
  while (p < end) {
    int wide = *p >> 4, id = *p & 15;
    ++p;
    if (id > 3 || wide > 1 || end - p < 64 * (wide + 1))
      return 0;
    for (int i = 0; i < 64; ++i, p += wide + 1)
      d->tables[id][zigzag[i]] = (uint16_t)(wide ? p[0] << 8 | p[1] : p[0]);
  }
  return 1;
}

static int read_trees(decoder *d, const uint8_t *p, const uint8_t *end) {
  while (p < end) {
    int kind = *p >> 4, id = *p & 15, total = 0;
    ++p;
    if (kind > 1 || id > 3 || end - p < 16)
      return 0;
    huffman *tree = &d->trees[kind][id];
    int32_t code = 0;
    for (int length = 1; length <= 16; ++length) {
      tree->count[length] = p[length - 1];
      tree->first[length] = code;
      tree->offset[length] = total;
      total += p[length - 1];
      code = (code + p[length - 1]) << 1;
    }
    p += 16;
    if (total > 256 || end - p < total)
      return 0;
    memcpy(tree->symbols, p, (size_t)total);
    tree->defined = 1;
    p += total;
  }
  return 1;
}

static int read_frame(decoder *d, const uint8_t *p, const uint8_t *end) {
  if (end - p < 6 || p[0] != 8 || d->count)
    return 0;
  d->height = p[1] << 8 | p[2];
  d->width = p[3] << 8 | p[4];
  d->count = p[5];
  if ((d->count != 1 && d->count != 3) || end - p < 6 + 3 * d->count || !d->width || !d->height)
    return 0;
  for (int i = 0; i < d->count; ++i) {
    component *c = &d->parts[i];
    const uint8_t *q = p + 6 + 3 * i;
    c->id = q[0];
    c->h = d->count == 1 ? 1 : q[1] >> 4; /* of one component alone, sampling means nothing */
    c->v = d->count == 1 ? 1 : q[1] & 15;
    c->table = q[2];
    if (c->h < 1 || c->h > 4 || c->v < 1 || c->v > 4 || c->table > 3)
      return 0;
    d->most_h = c->h > d->most_h ? c->h : d->most_h;
    d->most_v = c->v > d->most_v ? c->v : d->most_v;
  }
  for (int i = 0; i < d->count; ++i)
    if (d->most_h % d->parts[i].h || d->most_v % d->parts[i].v)
      return 0;
  return 1;
}

static int allocate_parts(decoder *d) {
  int64_t across = (d->width + 8 * d->most_h - 1) / (8 * d->most_h),
          down = (d->height + 8 * d->most_v - 1) / (8 * d->most_v);
  for (int i = 0; i < d->count; ++i) {
    component *c = &d->parts[i];
    c->width = (d->width * c->h + d->most_h - 1) / d->most_h;
    c->height = (d->height * c->v + d->most_v - 1) / d->most_v;
    c->stride = across * c->h * 8;
    c->rows = down * c->v * 8;
    c->samples = calloc((size_t)(c->stride * c->rows), 1);
    if (!c->samples)
      return 0;
  }
  return 1;
}

static void decode_block(decoder *d, component *c, int64_t x, int64_t y) {
  int32_t block[64] = {0};
  const uint16_t *table = d->tables[c->table];
  int size = symbol(d, &d->trees[0][c->dc]);
  if (size > 15)
    d->broken = 1;
  c->previous += d->broken ? 0 : extend(d, size);
  c->previous = (int16_t)c->previous;
  block[0] = c->previous * table[0];
  for (int k = 1; k < 64 && !d->broken; ++k) {
    int both = symbol(d, &d->trees[1][c->ac]), run = both >> 4, bits = both & 15;
    if (!bits) {
      if (run != 15)
        break;
      k += 15;
      continue;
    }
    k += run;
    if (k > 63) {
      d->broken = 1;
      break;
    }
    block[zigzag[k]] = extend(d, bits) * table[zigzag[k]];
  }
  if (!d->broken)
    inverse(block, c->samples + 8 * (y * c->stride + x), c->stride);
}

/* After an interval: bits are dropped, and RSTn is passed over. */
static int begin_interval(decoder *d) {
  d->held = 0;
  d->marker = 0;
  for (int i = 0; i < d->count; ++i)
    d->parts[i].previous = 0;
  while (d->at + 1 < d->end && !(d->at[0] == 0xff && d->at[1] >= 0xd0 && d->at[1] <= 0xd7)) {
    if (d->at[0] == 0xff && d->at[1] != 0 && d->at[1] != 0xff)
      return 0;
    ++d->at;
  }
  d->at += 2;
  return d->at <= d->end;
}

/* One scan of all components, or of one. */
static int read_scan(decoder *d, const uint8_t *p, const uint8_t *end) {
  int count = end - p < 1 ? 0 : p[0];
  component *list[3];
  if (count < 1 || count > d->count || end - p < 1 + 2 * count + 3)
    return 0;
  for (int i = 0; i < count; ++i) {
    list[i] = NULL;
    for (int k = 0; k < d->count; ++k)
      if (d->parts[k].id == p[1 + 2 * i])
        list[i] = &d->parts[k];
    if (!list[i])
      return 0;
    list[i]->dc = p[2 + 2 * i] >> 4;
    list[i]->ac = p[2 + 2 * i] & 15;
    list[i]->previous = 0;
    if (list[i]->dc > 3 || list[i]->ac > 3 || !d->trees[0][list[i]->dc].defined || !d->trees[1][list[i]->ac].defined)
      return 0;
  }
  d->held = d->marker = 0;
  int64_t across, down;
  if (count == 1) {
    across = (list[0]->width + 7) / 8;
    down = (list[0]->height + 7) / 8;
  } else {
    across = (d->width + 8 * d->most_h - 1) / (8 * d->most_h);
    down = (d->height + 8 * d->most_v - 1) / (8 * d->most_v);
  }
  for (int64_t unit = 0; unit < across * down && !d->broken; ++unit) {
    if (d->restart && unit && unit % d->restart == 0 && !begin_interval(d))
      return 0;
    int64_t x = unit % across, y = unit / across;
    for (int i = 0; i < count; ++i) {
      int h = count == 1 ? 1 : list[i]->h, v = count == 1 ? 1 : list[i]->v;
      for (int b = 0; b < h * v && !d->broken; ++b)
        decode_block(d, list[i], x * h + b % h, y * v + b / h);
    }
  }
  return !d->broken;
}

/* --- Chroma of fewer samples
 * ------------------------------------------------------------------------------------------------ */

/* Row `y` of a component at the image's full size. `sums`: room for its width. */
static void full_row(const decoder *d, const component *c, int64_t y, int32_t *sums, uint8_t *to) {
  int across = d->most_h / c->h, down = d->most_v / c->v;
  int64_t row = y / down, other = y % 2 ? row + 1 : row - 1;
  const uint8_t *own = c->samples + row * c->stride;
  /* The filters are for 2:1; what is narrower than three samples, or of another ratio, is repeated. */
  int smooth_down = down == 2 && across <= 2 && (across == 1 || c->width > 2),
      smooth_across = across == 2 && down <= 2 && c->width > 2;
  if (smooth_down) {
    other = other < 0 ? 0 : other >= c->height ? c->height - 1 : other;
    const uint8_t *near = c->samples + other * c->stride;
    for (int64_t x = 0; x < c->width; ++x)
      sums[x] = 3 * own[x] + near[x];
  }
  if (smooth_down && across == 1) {
    for (int64_t x = 0; x < d->width; ++x)
      to[x] = (uint8_t)((sums[x] + (y % 2 ? 2 : 1)) >> 2);
  } else if (smooth_across) {
    int scale = smooth_down ? 4 : 2, low = smooth_down ? 8 : 1, high = smooth_down ? 7 : 2;
    for (int64_t x = 0; x < d->width; ++x) {
      int64_t i = x / 2, n = x % 2 ? i + 1 : i - 1;
      int32_t a = smooth_down ? sums[i] : own[i];
      int32_t b = n < 0 || n >= c->width ? a : smooth_down ? sums[n] : own[n];
      to[x] = (uint8_t)((3 * a + b + (x % 2 ? high : low)) >> scale);
    }
  } else {
    for (int64_t x = 0; x < d->width; ++x)
      to[x] = own[x / across];
  }
}

static void convert_row(const decoder *d, uint8_t *const *rows, uint8_t *to) {
  for (int64_t x = 0; x < d->width; ++x, to += 3) {
    int y = rows[0][x], cb = d->count == 3 ? rows[1][x] - 128 : 0, cr = d->count == 3 ? rows[2][x] - 128 : 0;
    if (d->count == 3 && !d->transform) {
      to[0] = rows[0][x];
      to[1] = rows[1][x];
      to[2] = rows[2][x];
      continue;
    }
    to[0] = clamp(y + ((91881 * cr + 32768) >> 16));
    to[1] = clamp(y + ((-22554 * cb - 46802 * cr + 32768) >> 16));
    to[2] = clamp(y + ((116130 * cb + 32768) >> 16));
  }
}

static int write_pixels(const decoder *d, burin_image *image) {
  uint8_t *rows[3];
  uint8_t *room = malloc((size_t)d->width * 3);
  int32_t *sums = malloc((size_t)d->width * sizeof *sums);
  if (room && sums)
    for (int64_t y = 0; y < d->height; ++y) {
      for (int i = 0; i < d->count; ++i) {
        rows[i] = room + i * d->width;
        full_row(d, &d->parts[i], y, sums, rows[i]);
      }
      convert_row(d, rows, image->pixels + y * d->width * 3);
    }
  int done = room && sums;
  free(room);
  free(sums);
  return done;
}

/* Marker by marker up to the end; 1 when the pixels are there (or only the size was wanted). */
static int read_file(decoder *d, int only_size, burin_image *image) {
  int scans = 0;
  for (;;) {
    while (d->at < d->end && *d->at != 0xff)
      ++d->at;
    while (d->at < d->end && *d->at == 0xff)
      ++d->at;
    if (d->at >= d->end)
      return scans && write_pixels(d, image);
    int marker = *d->at++;
    if (marker == 0xd9)
      return scans && write_pixels(d, image);
    if (marker == 0 || marker == 1 || (marker >= 0xd0 && marker <= 0xd8))
      continue;
    if (d->end - d->at < 2)
      return 0;
    int64_t size = d->at[0] << 8 | d->at[1];
    if (size < 2 || size > d->end - d->at)
      return 0;
    const uint8_t *p = d->at + 2, *end = d->at + size;
    d->at = end;
    int good = 1;
    if (marker == 0xdb)
      good = read_tables(d, p, end);
    else if (marker == 0xc4)
      good = read_trees(d, p, end);
    else if (marker == 0xdd)
      good = end - p >= 2 && (d->restart = p[0] << 8 | p[1], 1);
    else if (marker == 0xee && end - p >= 12 && !memcmp(p, "Adobe", 5))
      d->transform = p[11] != 0;
    else if (marker == 0xc0 || marker == 0xc1) {
      good = read_frame(d, p, end);
      image->height = d->height;
      image->width = d->width;
      good = good && burin_image_allocate(image, only_size);
      if (good && only_size)
        return 1;
      good = good && allocate_parts(d);
    } else if (marker == 0xda) {
      good = d->count && read_scan(d, p, end);
      scans += good;
    } else if (marker >= 0xc0 && marker <= 0xcf && marker != 0xc8 && marker != 0xcc) {
      return 0; /* progressive, lossless or arithmetic coded */
    }
    if (!good)
      return 0;
  }
}

int burin_jpeg_decode(const uint8_t *bytes, uint64_t length, int only_size, burin_image *image) {
  decoder *d = calloc(1, sizeof *d);
  if (!d)
    return 0;
  d->at = bytes + 2;
  d->end = bytes + length;
  d->transform = 1;
  int done = read_file(d, only_size, image);
  for (int i = 0; i < d->count && i < 3; ++i)
    free(d->parts[i].samples);
  free(d);
  return done;
}
