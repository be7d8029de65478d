/* Regular expressions, strings and images of runtime/hosted, called as a model calls them. */
#include "runtime/hosted/functions.h"
#include "runtime/hosted/image.h"
#include "runtime/hosted/pattern.h"
#include "runtime/hosted/text.h"
#include "test/runtime/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int matches(const char *pattern, const char *text) {
  char why[80];
  burin_pattern *p = burin_pattern_create(pattern, strlen(pattern), why, sizeof why);
  int result = p ? burin_pattern_matches(p, text, strlen(text)) : -2;
  burin_pattern_destroy(p);
  return result;
}

static void patterns(void) {
  CHECK(matches("a+b?", "aaab") == 1);
  CHECK(matches("a+b?", "aaabb") == 0);
  CHECK(matches("", "") == 1);
  CHECK(matches("(?i)Straße|x", "STRAßE") == 1);
  CHECK(matches("(?:ab){2,3}", "ababab") == 1);
  CHECK(matches("(?P<y>\\d{4})-[^\\D0]\\b", "2024-7") == 1);
  CHECK(matches("[[:alpha:]_-]+", "a_b-c") == 1);
  CHECK(matches("\\Qa.b\\E", "a.b") == 1 && matches("\\Qa.b\\E", "axb") == 0);
  CHECK(matches(".", "\n") == 0 && matches("(?s).", "\n") == 1 && matches("\\x{20ac}", "\xe2\x82\xac") == 1);
  CHECK(matches("a$", "a\n") == 0);
  /* Exponential for a backtracking matcher. */
  CHECK(matches("(a*)*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa") == 0);
  CHECK(matches("a(b", "") == -2 && matches("a)", "") == -2 && matches("*a", "") == -2 && matches("[z-a]", "") == -2);
  CHECK(matches("\\pL+", "a\xc3\xa4") == 1 && matches("a{1001}", "") == -2 && matches("\\", "") == -2 &&
        matches("[a", "") == -2);
}

static burin_strings pool;

static burin_tensor strings_of(const char *const *texts, int64_t count, const burin_string **handles) {
  burin_tensor t = {.data = handles, .dtype = BURIN_STRING, .rank = 1, .dims = {count}};
  for (int64_t i = 0; i < count; ++i)
    handles[i] = burin_string_create(&pool, texts[i], strlen(texts[i]));
  return t;
}

static int is_text(const burin_string *s, const char *text) {
  return s && s->length == strlen(text) && !memcmp(s->bytes, text, s->length);
}

static void splitting(void) {
  burin_context context = {.strings = &pool};
  burin_call call = {.context = &context};
  const char *texts[] = {" a  b ", "", "c"};
  const burin_string *handles[3], *parts[6];
  int64_t lengths[3];
  burin_tensor in = strings_of(texts, 3, handles);
  burin_tensor out[] = {{.dtype = BURIN_STRING, .rank = 2, .dims = {-1, -1}},
                        {.dtype = BURIN_INT64, .rank = 1, .dims = {-1}}};
  CHECK(burin_string_split(&call, &in, 1, out, 2) == BURIN_OK);
  CHECK(out[0].dims[0] == 3 && out[0].dims[1] == 2 && out[1].dims[0] == 3);
  out[0].data = parts;
  out[1].data = lengths;
  CHECK(burin_string_split(&call, &in, 1, out, 2) == BURIN_OK);
  CHECK(is_text(parts[0], "a") && is_text(parts[1], "b") && is_text(parts[2], "") && is_text(parts[4], "c"));
  CHECK(lengths[0] == 2 && lengths[1] == 0 && lengths[2] == 1);
}

static void casting(void) {
  burin_context context = {.strings = &pool};
  burin_call call = {.context = &context};
  float numbers[] = {0.1f, -2.5e10f, 1.0f / 0.0f}, back[3];
  const burin_string *handles[3];
  burin_tensor n = {.data = numbers, .dtype = BURIN_FLOAT, .rank = 1, .dims = {3}}, b = n,
               s = {.data = handles, .dtype = BURIN_STRING, .rank = 1, .dims = {3}};
  b.data = back;
  CHECK(burin_string_cast(&call, &n, 1, &s, 1) == BURIN_OK);
  CHECK(is_text(handles[0], "0.1") && is_text(handles[2], "INF"));
  CHECK(burin_string_cast(&call, &s, 1, &b, 1) == BURIN_OK);
  CHECK(!memcmp(numbers, back, sizeof numbers));
  handles[1] = burin_string_create(&pool, "7 apples", 8);
  CHECK(burin_string_cast(&call, &s, 1, &b, 1) == BURIN_ERROR_CALL);
}

static void images(void) {
  const uint8_t pnm[] = "P3 2 1 255  1 2 3  4 5 6";
  uint8_t pixels[6];
  burin_context context = {0};
  burin_call call = {.context = &context};
  burin_tensor in = {.data = (void *)(uintptr_t)pnm, .dtype = BURIN_UINT8, .rank = 1, .dims = {sizeof pnm - 1}},
               out = {.dtype = BURIN_UINT8, .rank = 3, .dims = {-1, -1, -1}};
  CHECK(burin_decode_image(&call, &in, 1, &out, 1) == BURIN_OK);
  CHECK(out.dims[0] == 1 && out.dims[1] == 2 && out.dims[2] == 3);
  out.data = pixels;
  CHECK(burin_decode_image(&call, &in, 1, &out, 1) == BURIN_OK);
  CHECK(pixels[0] == 1 && pixels[5] == 6);
  in.dims[0] = 5; /* not an image any more: an empty tensor */
  burin_tensor none = {.dtype = BURIN_UINT8, .rank = 3, .dims = {-1, -1, -1}};
  CHECK(burin_decode_image(&call, &in, 1, &none, 1) == BURIN_OK && none.dims[0] == 0);
  CHECK(burin_decode_image(&call, &in, 1, &out, 1) == BURIN_ERROR_CALL);
}

/* One file a library: its size, and a broken one is refused. */
static void libraries(const char *folder) {
  static const char *const names[] = {"progressive.jpg", "palette.png", "rgb.webp", "rgb.jp2"};
  for (size_t i = 0; i < sizeof names / sizeof *names; ++i) {
    char path[4096];
    uint8_t bytes[4096];
    snprintf(path, sizeof path, "%s/%s", folder, names[i]);
    FILE *file = fopen(path, "rb");
    size_t length = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    if (file)
      fclose(file);
    burin_image image;
    CHECK(burin_image_decode(bytes, length, 0, &image) == 1);
    CHECK(image.width == 13 && image.height == 9);
    free(image.pixels);
    CHECK(!burin_image_decode(bytes, length / 2, 0, &image) && !image.pixels);
  }
}

int main(int argc, char **argv) {
  patterns();
  if (argc > 1)
    libraries(argv[1]);
  splitting();
  casting();
  images();
  CHECK(burin_find_function("burin_tf_idf") == burin_tf_idf && !burin_find_function("malloc"));
  burin_strings_release(&pool);
  return check_failures;
}
