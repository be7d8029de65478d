/* See text.h. Strings are UTF-8; what is not valid UTF-8 is kept as it is, byte by byte. Case is changed by the simple
 * one-to-one rules of Latin, Greek and Cyrillic letters, not by a locale. */
#include "runtime/hosted/text.h"
#include "runtime/hosted/pattern.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Making strings -------------------------------------------------------------------------------------------- */

enum { BLOCK_BYTES = 1 << 16 };

typedef struct block {
  struct block *next;
  uint64_t used, size;
  uint64_t words[]; /* 8-aligned */
} block;

burin_string *burin_string_create(burin_strings *strings, const char *bytes, uint64_t length) {
  if (!strings || length > UINT64_MAX / 2)
    return NULL;
  uint64_t wanted = sizeof(burin_string) + (length + 8) / 8 * 8;
  block *top = strings->blocks;
  if (!top || top->size - top->used < wanted) {
    uint64_t size = wanted > BLOCK_BYTES ? wanted : BLOCK_BYTES;
    block *made = malloc(sizeof(block) + size);
    if (!made)
      return NULL;
    made->used = 0;
    made->size = size;
    made->next = top;
    strings->blocks = top = made;
  }
  burin_string *string = (burin_string *)(void *)((char *)top->words + top->used);
  top->used += wanted;
  string->length = length;
  memset(string->bytes + length / 8 * 8, 0, 8);
  if (bytes)
    memcpy(string->bytes, bytes, length);
  return string;
}

void burin_strings_release(burin_strings *strings) {
  for (block *b = strings->blocks; b;) {
    block *next = b->next;
    free(b);
    b = next;
  }
  strings->blocks = NULL;
}

/* --- What functions share -------------------------------------------------------------------------------------- */

static const burin_string empty_string = {.length = 0};

static const burin_attribute *find(const burin_call *call, const char *name) {
  for (uint32_t i = 0; i < call->num_attributes; ++i)
    if (!strcmp(call->attributes[i].name, name))
      return &call->attributes[i];
  return NULL;
}

static const burin_string *text_attribute(const burin_call *call, const char *name) {
  const burin_attribute *a = find(call, name);
  return a && a->dtype == BURIN_STRING && a->count ? a->values : &empty_string;
}

static int64_t int_attribute(const burin_call *call, const char *name, int64_t missing) {
  const burin_attribute *a = find(call, name);
  return a && a->dtype == BURIN_INT64 && a->count ? *(const int64_t *)a->values : missing;
}

static int64_t count_of(const burin_tensor *tensor) {
  int64_t count = 1;
  for (int32_t d = 0; d < tensor->rank; ++d)
    count *= tensor->dims[d];
  return count;
}

static const burin_string *element(const burin_tensor *tensor, int64_t i) {
  const burin_string *s = ((const burin_string *const *)tensor->data)[i];
  return s ? s : &empty_string; /* memory that nothing wrote yet holds no string */
}

static burin_string *make(const burin_call *call, const char *bytes, uint64_t length) {
  return burin_string_create(call->context->strings, bytes, length);
}

static int same(const burin_string *a, const burin_string *b) {
  return a == b || (a->length == b->length && !memcmp(a->bytes, b->bytes, a->length));
}

/* The strings of a list as an array; NULL when out of memory. */
static const burin_string **list(const burin_attribute *a) {
  uint64_t count = a ? a->count : 0;
  const burin_string **all = malloc((count + 1) * sizeof *all);
  const burin_string *s = a ? a->values : NULL;
  for (uint64_t i = 0; all && i < count; ++i, s = burin_next_string(s))
    all[i] = s;
  return all;
}

static uint64_t hash_bytes(const void *bytes, uint64_t length, uint64_t seed) {
  const unsigned char *p = bytes;
  uint64_t h = seed ^ 0xcbf29ce484222325u;
  for (uint64_t i = 0; i < length; ++i)
    h = (h ^ p[i]) * 0x100000001b3u;
  return h ^ h >> 29;
}

/* A number as one of any type, in double. */
static double number(const burin_tensor *tensor, int64_t i) {
  const void *data = tensor->data;
  switch (tensor->dtype) {
  case BURIN_FLOAT:
    return ((const float *)data)[i];
  case BURIN_DOUBLE:
    return ((const double *)data)[i];
  case BURIN_INT8:
    return ((const int8_t *)data)[i];
  case BURIN_UINT8:
  case BURIN_BOOL:
    return ((const uint8_t *)data)[i];
  case BURIN_INT16:
    return ((const int16_t *)data)[i];
  case BURIN_UINT16:
    return ((const uint16_t *)data)[i];
  case BURIN_INT32:
    return ((const int32_t *)data)[i];
  case BURIN_UINT32:
    return ((const uint32_t *)data)[i];
  case BURIN_INT64:
    return (double)((const int64_t *)data)[i];
  case BURIN_UINT64:
    return (double)((const uint64_t *)data)[i];
  default:
    return NAN;
  }
}

static int64_t integer(const burin_tensor *tensor, int64_t i) {
  if (tensor->dtype == BURIN_INT64)
    return ((const int64_t *)tensor->data)[i];
  if (tensor->dtype == BURIN_UINT64)
    return (int64_t)((const uint64_t *)tensor->data)[i];
  return (int64_t)number(tensor, i);
}

static int is_float(int32_t dtype) { return dtype == BURIN_FLOAT || dtype == BURIN_DOUBLE; }

/* False for a type without code here. `whole` is what an integer type takes, `real` what a float type does. */
static int put(const burin_tensor *tensor, int64_t i, int64_t whole, double real) {
  void *data = tensor->data;
  switch (tensor->dtype) {
  case BURIN_FLOAT:
    ((float *)data)[i] = (float)real;
    return 1;
  case BURIN_DOUBLE:
    ((double *)data)[i] = real;
    return 1;
  case BURIN_BOOL:
    ((uint8_t *)data)[i] = whole != 0;
    return 1;
  case BURIN_INT8:
  case BURIN_UINT8:
    ((uint8_t *)data)[i] = (uint8_t)whole;
    return 1;
  case BURIN_INT16:
  case BURIN_UINT16:
    ((uint16_t *)data)[i] = (uint16_t)whole;
    return 1;
  case BURIN_INT32:
  case BURIN_UINT32:
    ((uint32_t *)data)[i] = (uint32_t)whole;
    return 1;
  case BURIN_INT64:
  case BURIN_UINT64:
    ((int64_t *)data)[i] = whole;
    return 1;
  default:
    return 0;
  }
}

/* --- Constants, comparison, concatenation ----------------------------------------------------------------------- */

int32_t burin_string_constant(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                              burin_tensor *outputs, uint32_t num_outputs) {
  (void)inputs, (void)num_inputs, (void)num_outputs;
  const burin_attribute *value = find(call, "value");
  int64_t count = count_of(outputs);
  if (!value || value->dtype != BURIN_STRING || (int64_t)value->count != count)
    return BURIN_ERROR_INTERNAL;
  const burin_string *s = value->values;
  for (int64_t i = 0; i < count; ++i, s = burin_next_string(s))
    ((const burin_string **)outputs->data)[i] = s;
  return BURIN_OK;
}

int32_t burin_string_equal(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                           burin_tensor *outputs, uint32_t num_outputs) {
  (void)call, (void)num_inputs, (void)num_outputs;
  for (int64_t i = 0, count = count_of(outputs); i < count; ++i)
    ((uint8_t *)outputs->data)[i] = (uint8_t)same(element(&inputs[0], i), element(&inputs[1], i));
  return BURIN_OK;
}

int32_t burin_string_concat(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                            burin_tensor *outputs, uint32_t num_outputs) {
  (void)num_inputs, (void)num_outputs;
  for (int64_t i = 0, count = count_of(outputs); i < count; ++i) {
    const burin_string *a = element(&inputs[0], i), *b = element(&inputs[1], i);
    burin_string *s = make(call, NULL, a->length + b->length);
    if (!s)
      return BURIN_ERROR_ALLOCATOR;
    memcpy(s->bytes, a->bytes, a->length);
    memcpy(s->bytes + a->length, b->bytes, b->length);
    ((const burin_string **)outputs->data)[i] = s;
  }
  return BURIN_OK;
}

/* --- Splitting --------------------------------------------------------------------------------------------------- */

static int is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

/* The next part of what is left in [*at, end), at most `limit` more splits; 0 when there is none. Like Python's split.
 */
static int next_part(const char **at, const char *end, const burin_string *delimiter, int64_t *limit, int *first,
                     const char **part, uint64_t *length) {
  const char *p = *at;
  if (!delimiter->length) {
    while (p < end && is_space(*p))
      ++p;
    if (p == end)
      return 0;
    *part = p;
    if ((*limit)-- == 0) { /* the rest, without the space at its end */
      const char *stop = end;
      while (stop > p && is_space(stop[-1]))
        --stop;
      *length = (uint64_t)(stop - p);
      *at = end;
      return 1;
    }
    while (p < end && !is_space(*p))
      ++p;
    *length = (uint64_t)(p - *part);
    *at = p;
    return 1;
  }
  if (!p)
    return 0;
  *first = 0;
  *part = p;
  if ((*limit)-- != 0)
    for (const char *q = p; q + delimiter->length <= end; ++q)
      if (!memcmp(q, delimiter->bytes, delimiter->length)) {
        *length = (uint64_t)(q - p);
        *at = q + delimiter->length;
        return 1;
      }
  *length = (uint64_t)(end - p);
  *at = NULL;
  return 1;
}

int32_t burin_string_split(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                           burin_tensor *outputs, uint32_t num_outputs) {
  (void)num_inputs;
  const burin_string *delimiter = text_attribute(call, "delimiter");
  int64_t maxsplit = int_attribute(call, "maxsplit", -1), count = count_of(inputs), widest = 0;
  int asks = !outputs[0].data && outputs[0].dims[0] < 0, first = 1;
  const char *part;
  uint64_t length;
  for (int64_t i = 0; i < count; ++i) {
    const burin_string *s = element(inputs, i);
    const char *at = s->bytes, *end = s->bytes + s->length;
    int64_t limit = maxsplit, parts = 0;
    while (next_part(&at, end, delimiter, &limit, &first, &part, &length))
      ++parts;
    widest = parts > widest ? parts : widest;
    if (!asks && num_outputs > 1 && outputs[1].data)
      ((int64_t *)outputs[1].data)[i] = parts;
  }
  int32_t last = outputs[0].rank - 1;
  if (asks) {
    for (int32_t d = 0; d < inputs->rank; ++d) {
      outputs[0].dims[d] = inputs->dims[d];
      if (num_outputs > 1)
        outputs[1].dims[d] = inputs->dims[d];
    }
    outputs[0].dims[last] = widest;
    return BURIN_OK;
  }
  if (count && outputs[0].dims[last] != widest)
    return BURIN_ERROR_SHAPE;
  for (int64_t i = 0; i < count; ++i) {
    const burin_string *s = element(inputs, i);
    const char *at = s->bytes, *end = s->bytes + s->length;
    const burin_string **row = (const burin_string **)outputs[0].data + i * widest;
    int64_t limit = maxsplit, k = 0;
    while (next_part(&at, end, delimiter, &limit, &first, &part, &length))
      if (!(row[k++] = make(call, part, length)))
        return BURIN_ERROR_ALLOCATOR;
    for (; k < widest; ++k)
      if (!(row[k] = make(call, "", 0)))
        return BURIN_ERROR_ALLOCATOR;
  }
  return BURIN_OK;
}

/* --- Case and stop words ------------------------------------------------------------------------------------------ */

static uint32_t change_case(uint32_t c, int upper) {
  if (c < 128)
    return (uint32_t)(upper ? toupper((int)c) : tolower((int)c));
  if (upper) {
    if ((c >= 0xe0 && c <= 0xfe && c != 0xf7) || (c >= 0x3b1 && c <= 0x3cb && c != 0x3c2) || (c >= 0x430 && c <= 0x44f))
      return c - 32;
    if (c >= 0x450 && c <= 0x45f)
      return c - 80;
    return c == 0xff ? 0x178 : c;
  }
  if ((c >= 0xc0 && c <= 0xde && c != 0xd7) || (c >= 0x391 && c <= 0x3ab && c != 0x3a2) || (c >= 0x410 && c <= 0x42f))
    return c + 32;
  if (c >= 0x400 && c <= 0x40f)
    return c + 80;
  return c == 0x178 ? 0xff : c;
}

/* Latin Extended-A: capital and small letters take turns, and where they begin changes. */
static uint32_t change_latin(uint32_t c, int upper) {
  int even = (c >= 0x100 && c <= 0x137) || (c >= 0x14a && c <= 0x177),
      odd = (c >= 0x139 && c <= 0x148) || (c >= 0x179 && c <= 0x17e);
  if (c == 0x130 || c == 0x131 || !(even || odd))
    return change_case(c, upper);
  int capital = even ? !(c & 1) : (c & 1) != 0;
  return upper && !capital ? c - 1 : !upper && capital ? c + 1 : c;
}

/* The code point at `bytes`, of which there is at least one, and its number of bytes; U+FFFD and 1 where it is not
 * UTF-8. */
static uint64_t decode_utf8(const char *bytes, uint64_t left, uint32_t *code) {
  const unsigned char *b = (const unsigned char *)bytes;
  static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
  uint64_t length = b[0] < 0x80                   ? 1
                    : b[0] >= 0xf0 && b[0] < 0xf8 ? 4
                    : b[0] >= 0xe0 && b[0] < 0xf0 ? 3
                    : b[0] >= 0xc0 && b[0] < 0xe0 ? 2
                                                  : 0;
  uint32_t c = length == 1 ? b[0] : length ? b[0] & (0xffu >> (length + 1)) : 0;
  int good = length && length <= left;
  for (uint64_t i = 1; good && i < length; ++i) {
    good = (b[i] & 0xc0) == 0x80;
    c = c << 6 | (b[i] & 0x3f);
  }
  if (!good || (length > 1 && c < least[length]) || c > 0x10ffff) {
    *code = 0xfffd;
    return 1;
  }
  *code = c;
  return length;
}

/* Every rule above keeps the number of bytes, but for y with diaeresis: both have two. */
static void recase(char *bytes, uint64_t length, int upper) {
  for (uint64_t i = 0; i < length;) {
    uint32_t c;
    uint64_t taken = decode_utf8(bytes + i, length - i, &c);
    uint32_t changed = taken <= 2 ? change_latin(c, upper) : c;
    if (taken == 1 && c < 128) {
      bytes[i] = (char)changed;
    } else if (taken == 2) {
      bytes[i] = (char)(0xc0 | changed >> 6);
      bytes[i + 1] = (char)(0x80 | (changed & 63));
    }
    i += taken;
  }
}

static int is_stopword(const burin_string *s, const burin_string *const *stops, uint64_t count, int sensitive) {
  for (uint64_t i = 0; i < count; ++i) {
    if (s->length != stops[i]->length)
      continue;
    if (sensitive ? !memcmp(s->bytes, stops[i]->bytes, s->length) : 0)
      return 1;
    if (sensitive)
      continue;
    char *both = malloc(2 * s->length + 1);
    if (!both)
      return -1;
    memcpy(both, s->bytes, s->length);
    memcpy(both + s->length, stops[i]->bytes, s->length);
    recase(both, s->length, 0);
    recase(both + s->length, s->length, 0);
    int equal = !memcmp(both, both + s->length, s->length);
    free(both);
    if (equal)
      return 1;
  }
  return 0;
}

int32_t burin_string_normalize(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                               burin_tensor *outputs, uint32_t num_outputs) {
  (void)num_inputs, (void)num_outputs;
  const burin_attribute *words = find(call, "stopwords");
  const burin_string *action = text_attribute(call, "case_change_action");
  int sensitive = int_attribute(call, "is_case_sensitive", 0) != 0;
  int upper = action->length == 5 && !memcmp(action->bytes, "UPPER", 5);
  int lower = action->length == 5 && !memcmp(action->bytes, "LOWER", 5);
  const burin_string **stops = list(words);
  if (!stops)
    return BURIN_ERROR_ALLOCATOR;
  int64_t count = count_of(inputs), kept = 0;
  int32_t last = outputs->rank - 1, status = BURIN_OK;
  int asks = !outputs->data && outputs->dims[last] < 0;
  int64_t room = asks ? INT64_MAX : outputs->dims[last];
  for (int64_t i = 0; i < count && status == BURIN_OK; ++i) {
    const burin_string *s = element(inputs, i);
    int stop = is_stopword(s, stops, words ? words->count : 0, sensitive);
    if (stop < 0)
      status = BURIN_ERROR_ALLOCATOR;
    if (stop)
      continue;
    if (kept >= room) {
      status = BURIN_ERROR_SHAPE;
    } else if (!asks) {
      burin_string *made = make(call, s->bytes, s->length);
      if (!made)
        status = BURIN_ERROR_ALLOCATOR;
      else if (upper || lower)
        recase(made->bytes, made->length, upper);
      ((const burin_string **)outputs->data)[kept] = made;
    }
    ++kept;
  }
  free(stops);
  if (status != BURIN_OK)
    return status;
  if (asks) {
    outputs->dims[0] = 1;
    outputs->dims[last] = kept ? kept : 1;
    return BURIN_OK;
  }
  if (!kept) {
    if (room < 1 || !(((const burin_string **)outputs->data)[0] = make(call, "", 0)))
      return BURIN_ERROR_SHAPE;
    kept = 1;
  }
  return kept == room ? BURIN_OK : BURIN_ERROR_SHAPE;
}

/* --- Patterns ----------------------------------------------------------------------------------------------------- */

int32_t burin_string_match(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                           burin_tensor *outputs, uint32_t num_outputs) {
  (void)num_inputs, (void)num_outputs;
  const burin_string *text = text_attribute(call, "pattern");
  char why[8];
  burin_pattern *pattern = burin_pattern_create(text->bytes, text->length, why, sizeof why);
  if (!pattern)
    return BURIN_ERROR_CALL;
  int32_t status = BURIN_OK;
  for (int64_t i = 0, count = count_of(outputs); i < count && status == BURIN_OK; ++i) {
    const burin_string *s = element(inputs, i);
    int matches = burin_pattern_matches(pattern, s->bytes, s->length);
    if (matches < 0)
      status = BURIN_ERROR_ALLOCATOR;
    ((uint8_t *)outputs->data)[i] = matches > 0;
  }
  burin_pattern_destroy(pattern);
  return status;
}

/* --- Casts -------------------------------------------------------------------------------------------------------- */

/* The shortest decimal text that reads back as the same number. */
static int print_real(char *text, size_t size, double value, int is_double) {
  if (isnan(value))
    return snprintf(text, size, "NaN");
  if (isinf(value))
    return snprintf(text, size, value < 0 ? "-INF" : "INF");
  for (int digits = is_double ? 15 : 6; digits < (is_double ? 17 : 9); ++digits) {
    snprintf(text, size, "%.*g", digits, value);
    double back = strtod(text, NULL);
    if (is_double ? back == value : (float)back == (float)value)
      return (int)strlen(text);
  }
  return snprintf(text, size, "%.*g", is_double ? 17 : 9, value);
}

int32_t burin_string_cast(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                          burin_tensor *outputs, uint32_t num_outputs) {
  (void)num_inputs, (void)num_outputs;
  char text[64];
  for (int64_t i = 0, count = count_of(outputs); i < count; ++i) {
    if (outputs->dtype == BURIN_STRING) {
      int length;
      if (is_float(inputs->dtype))
        length = print_real(text, sizeof text, number(inputs, i), inputs->dtype == BURIN_DOUBLE);
      else if (inputs->dtype == BURIN_BOOL)
        length = snprintf(text, sizeof text, number(inputs, i) != 0 ? "True" : "False");
      else if (inputs->dtype == BURIN_UINT64)
        length = snprintf(text, sizeof text, "%llu", (unsigned long long)integer(inputs, i));
      else
        length = snprintf(text, sizeof text, "%lld", (long long)integer(inputs, i));
      if (!(((const burin_string **)outputs->data)[i] = make(call, text, (uint64_t)length)))
        return BURIN_ERROR_ALLOCATOR;
      continue;
    }
    const burin_string *s = element(inputs, i); /* its bytes end in NUL */
    char *end;
    int64_t whole;
    double real = 0;
    if (is_float(outputs->dtype)) {
      real = strtod(s->bytes, &end);
      whole = 0;
    } else if (outputs->dtype == BURIN_UINT64) {
      whole = (int64_t)strtoull(s->bytes, &end, 10);
    } else {
      whole = strtoll(s->bytes, &end, 10);
    }
    while (is_space(*end))
      ++end;
    if (end == s->bytes || *end || !put(outputs, i, whole, real))
      return BURIN_ERROR_CALL;
  }
  return BURIN_OK;
}

/* --- Labels ------------------------------------------------------------------------------------------------------- */

/* keys, values: one list each, as written by the lower stage; missing: one value. Of equal keys the last counts. */
typedef struct labels {
  const burin_attribute *keys, *values, *missing;
  const burin_string **key_strings, **value_strings;
  uint32_t *table; /* index of a key + 1, open addressing */
  uint64_t mask;
} labels;

static uint64_t hash_number(double value) {
  if (isnan(value))
    return 7;
  value += 0.0; /* -0 is 0 */
  return hash_bytes(&value, sizeof value, 0);
}

static uint64_t hash_key(const labels *l, uint64_t i) {
  if (l->key_strings)
    return hash_bytes(l->key_strings[i]->bytes, l->key_strings[i]->length, 0);
  return l->keys->dtype == BURIN_INT64 ? hash_bytes((const int64_t *)l->keys->values + i, 8, 0)
                                       : hash_number(((const double *)l->keys->values)[i]);
}

static int is_key(const labels *l, uint64_t i, const burin_string *text, int64_t whole, double real) {
  if (l->key_strings)
    return same(l->key_strings[i], text);
  if (l->keys->dtype == BURIN_INT64)
    return ((const int64_t *)l->keys->values)[i] == whole;
  double key = ((const double *)l->keys->values)[i];
  return key == real || (isnan(key) && isnan(real));
}

/* The index of an element's key, or -1. */
static int64_t look_up(const labels *l, const burin_tensor *tensor, int64_t i) {
  const burin_string *text = NULL;
  int64_t whole = 0;
  double real = 0;
  uint64_t hash;
  if (l->key_strings) {
    text = element(tensor, i);
    hash = hash_bytes(text->bytes, text->length, 0);
  } else if (l->keys->dtype == BURIN_INT64) {
    whole = integer(tensor, i);
    hash = hash_bytes(&whole, 8, 0);
  } else {
    real = number(tensor, i);
    hash = hash_number(real);
  }
  for (uint64_t at = hash & l->mask; l->table[at]; at = (at + 1) & l->mask)
    if (is_key(l, l->table[at] - 1, text, whole, real))
      return (int64_t)l->table[at] - 1;
  return -1;
}

static void release_labels(labels *l) {
  free(l->key_strings);
  free(l->value_strings);
  free(l->table);
}

static int32_t open_labels(const burin_call *call, labels *l, const burin_tensor *input) {
  memset(l, 0, sizeof *l);
  l->keys = find(call, "keys");
  l->values = find(call, "values");
  l->missing = find(call, "missing");
  if (!l->keys || (input->dtype == BURIN_STRING) != (l->keys->dtype == BURIN_STRING))
    return BURIN_ERROR_INTERNAL;
  uint64_t size = 4;
  while (size < 2 * l->keys->count)
    size *= 2;
  l->mask = size - 1;
  l->table = calloc(size, sizeof *l->table);
  int failed = !l->table;
  if (l->keys->dtype == BURIN_STRING)
    failed |= !(l->key_strings = list(l->keys));
  if (l->values && l->values->dtype == BURIN_STRING)
    failed |= !(l->value_strings = list(l->values));
  if (failed)
    return BURIN_ERROR_ALLOCATOR;
  for (uint64_t i = 0; i < l->keys->count; ++i) {
    const burin_string *text = l->key_strings ? l->key_strings[i] : NULL;
    int64_t whole = l->keys->dtype == BURIN_INT64 ? ((const int64_t *)l->keys->values)[i] : 0;
    double real = l->keys->dtype == BURIN_DOUBLE ? ((const double *)l->keys->values)[i] : 0;
    uint64_t at = hash_key(l, i) & l->mask;
    while (l->table[at] && !is_key(l, l->table[at] - 1, text, whole, real))
      at = (at + 1) & l->mask;
    l->table[at] = (uint32_t)i + 1;
  }
  return BURIN_OK;
}

int32_t burin_label_encode(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                           burin_tensor *outputs, uint32_t num_outputs) {
  (void)num_inputs, (void)num_outputs;
  labels l;
  int32_t status = open_labels(call, &l, inputs);
  if (status == BURIN_OK &&
      (!l.values || !l.missing || l.values->dtype != l.missing->dtype || l.values->count < l.keys->count ||
       (outputs->dtype == BURIN_STRING) != (l.values->dtype == BURIN_STRING)))
    status = BURIN_ERROR_INTERNAL;
  for (int64_t i = 0, count = count_of(inputs); i < count && status == BURIN_OK; ++i) {
    int64_t at = look_up(&l, inputs, i);
    const burin_attribute *from = at < 0 ? l.missing : l.values;
    uint64_t k = at < 0 ? 0 : (uint64_t)at;
    if (l.value_strings) {
      ((const burin_string **)outputs->data)[i] = at < 0 ? l.missing->values : l.value_strings[k];
      continue;
    }
    int whole = from->dtype == BURIN_INT64;
    int64_t w = whole ? ((const int64_t *)from->values)[k] : (int64_t)((const double *)from->values)[k];
    double r = whole ? (double)((const int64_t *)from->values)[k] : ((const double *)from->values)[k];
    if (!put(outputs, i, w, r))
      status = BURIN_ERROR_INTERNAL;
  }
  release_labels(&l);
  return status;
}

int32_t burin_label_one_hot(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs,
                            burin_tensor *outputs, uint32_t num_outputs) {
  (void)num_inputs, (void)num_outputs;
  labels l;
  int32_t status = open_labels(call, &l, inputs);
  int64_t width = status == BURIN_OK ? (int64_t)l.keys->count : 0;
  for (int64_t i = 0, count = count_of(inputs); i < count && status == BURIN_OK; ++i) {
    int64_t at = look_up(&l, inputs, i);
    if (at < 0 && !int_attribute(call, "zeros", 1))
      status = BURIN_ERROR_CALL;
    for (int64_t k = 0; k < width; ++k)
      put(outputs, i * width + k, k == at, k == at);
  }
  release_labels(&l);
  return status;
}

/* --- n-grams ------------------------------------------------------------------------------------------------------ */

/* The n-grams of the pool by what they consist of: an index into the pool and a length. */
typedef struct gram {
  uint64_t begin, id;
  int64_t length; /* 0: no entry */
} gram;

typedef struct grams {
  const burin_string **texts; /* the pool; or */
  const int64_t *numbers;
  gram *table;
  uint64_t mask;
} grams;

static uint64_t hash_token(const burin_string *text, int64_t number_value, uint64_t seed) {
  return text ? hash_bytes(text->bytes, text->length, seed * 31 + 1) : hash_bytes(&number_value, 8, seed * 31 + 1);
}

int32_t burin_tf_idf(const burin_call *call, const burin_tensor *inputs, uint32_t num_inputs, burin_tensor *outputs,
                     uint32_t num_outputs) {
  (void)num_inputs, (void)num_outputs;
  const burin_attribute *counts = find(call, "ngram_counts"), *indexes = find(call, "ngram_indexes"),
                        *weights = find(call, "weights"), *texts = find(call, "pool_strings"),
                        *ints = find(call, "pool_int64s");
  int64_t shortest = int_attribute(call, "min_gram_length", 1), longest = int_attribute(call, "max_gram_length", 1),
          skips = int_attribute(call, "max_skip_count", 0);
  const burin_string *mode = text_attribute(call, "mode");
  int is_tf = mode->length == 2, is_idf = mode->length == 3;
  const burin_attribute *pool = texts && texts->count ? texts : ints;
  if (!counts || !indexes || !pool)
    return BURIN_ERROR_INTERNAL;
  grams g = {NULL, pool == ints ? ints->values : NULL, NULL, 3};
  while (g.mask + 1 < 2 * indexes->count)
    g.mask = 2 * g.mask + 1;
  g.table = calloc(g.mask + 1, sizeof *g.table);
  g.texts = pool == texts ? list(texts) : NULL;
  int32_t status = g.table && (pool == ints || g.texts) ? BURIN_OK : BURIN_ERROR_ALLOCATOR;
  uint64_t id = 0;
  for (uint64_t level = 0; level < counts->count && status == BURIN_OK; ++level) {
    uint64_t begin = (uint64_t)((const int64_t *)counts->values)[level];
    uint64_t end = level + 1 < counts->count ? (uint64_t)((const int64_t *)counts->values)[level + 1] : pool->count;
    int64_t length = (int64_t)level + 1;
    for (; begin + (uint64_t)length <= end && end <= pool->count && id < indexes->count;
         begin += (uint64_t)length, ++id) {
      uint64_t hash = (uint64_t)length;
      for (int64_t k = 0; k < length; ++k)
        hash = hash_token(g.texts ? g.texts[begin + (uint64_t)k] : NULL, g.numbers ? g.numbers[begin + (uint64_t)k] : 0,
                          hash);
      uint64_t at = hash & g.mask;
      while (g.table[at].length)
        at = (at + 1) & g.mask;
      g.table[at] = (gram){begin, id, length};
    }
  }
  int64_t rows = inputs->rank == 2 ? inputs->dims[0] : 1, size = inputs->rank ? inputs->dims[inputs->rank - 1] : 1;
  int64_t width = outputs->dims[outputs->rank - 1];
  float *out = outputs->data;
  if (status == BURIN_OK)
    memset(out, 0, (size_t)(rows * width) * sizeof *out);
  for (int64_t row = 0; row < rows && status == BURIN_OK; ++row, out += width)
    for (int64_t step = 1; step <= skips + 1; ++step)
      /* Single tokens are the same whatever is skipped between: counted once. */
      for (int64_t length = step > 1 && shortest < 2 ? 2 : shortest; length <= longest; ++length)
        for (int64_t start = 0; start + (length - 1) * step < size; ++start) {
          uint64_t hash = (uint64_t)length;
          for (int64_t k = 0; k < length; ++k) {
            int64_t at = row * size + start + k * step;
            hash = hash_token(g.texts ? element(inputs, at) : NULL, g.numbers ? integer(inputs, at) : 0, hash);
          }
          const gram *found = NULL;
          for (uint64_t at = hash & g.mask; g.table[at].length && !found; at = (at + 1) & g.mask) {
            const gram *candidate = &g.table[at];
            int equal = candidate->length == length;
            for (int64_t k = 0; k < length && equal; ++k) {
              int64_t token = row * size + start + k * step;
              equal = g.texts ? same(g.texts[candidate->begin + (uint64_t)k], element(inputs, token))
                              : g.numbers[candidate->begin + (uint64_t)k] == integer(inputs, token);
            }
            found = equal ? candidate : NULL;
          }
          int64_t to = found ? ((const int64_t *)indexes->values)[found->id] : -1;
          if (to >= 0 && to < width)
            out[to] += 1;
        }
  out = outputs->data;
  for (int64_t i = 0; i < rows * width && status == BURIN_OK && !is_tf; ++i) {
    uint64_t k = (uint64_t)(i % width);
    float weight = weights && k < weights->count ? ((const float *)weights->values)[k] : 1;
    out[i] = is_idf ? (out[i] > 0 ? weight : 0) : out[i] * weight;
  }
  free(g.table);
  free(g.texts);
  return status;
}
