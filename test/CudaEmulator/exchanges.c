/* What threads do together: barriers, exchanges in a warp, products of fragments as the PTX manual lays them out, and
 * asynchronous copies. */
#include "test/CudaEmulator/blocks.h"

#include <math.h>
#include <string.h>

int emu_copies_are_early;

static void barrier(emu_thread *t) {
  (void)t;
  emu_wait(AT_BARRIER);
}

static uint32_t shuffle(emu_thread *t, uint32_t value, int32_t distance) {
  (void)t;
  fiber *f = emu_current();
  f->value = value;
  f->numbers[0] = distance;
  emu_wait(AT_SHUFFLE);
  return f->value;
}

static void load_matrix(emu_thread *t, const void *row, int32_t count, int32_t transposed, uint32_t *result) {
  (void)t;
  fiber *f = emu_current();
  f->address = row;
  f->numbers[0] = count;
  f->numbers[1] = transposed;
  f->words = result;
  emu_wait(AT_LOAD_MATRIX);
}

static void multiply(emu_thread *t, uint32_t *words, int32_t a, int32_t b, int32_t k) {
  (void)t;
  fiber *f = emu_current();
  f->words = words;
  f->numbers[0] = a;
  f->numbers[1] = b;
  f->numbers[2] = k;
  emu_wait(AT_MULTIPLY);
}

/*--------------------------------------------- asynchronous copies ---------------------------------------------*/

static void perform(const async_copy *copy) {
  memcpy(copy->to, copy->from, (size_t)copy->valid);
  memset(copy->to + copy->valid, 0, (size_t)(copy->bytes - copy->valid));
}

static void copy_async(emu_thread *t, void *to, const void *from, int32_t bytes, int32_t valid) {
  (void)t;
  fiber *f = emu_current();
  if ((uintptr_t)to % (uintptr_t)bytes || (valid && (uintptr_t)from % (uintptr_t)bytes))
    emu_fail("an asynchronous copy at an address that is no multiple of its size");
  if (f->num_copies == MOST_COPIES) {
    emu_fail("too many asynchronous copies under way");
    return;
  }
  async_copy copy = {to, from, bytes, valid, f->num_committed};
  if (emu_copies_are_early)
    perform(&copy);
  else
    f->copies[f->num_copies++] = copy;
}

static void commit_copies(emu_thread *t) {
  (void)t;
  ++emu_current()->num_committed;
}

static void wait_copies(emu_thread *t, int32_t pending) {
  (void)t;
  fiber *f = emu_current();
  int kept = 0;
  for (int i = 0; i < f->num_copies; ++i)
    if (f->copies[i].group < f->num_committed - pending)
      perform(&f->copies[i]);
    else
      f->copies[kept++] = f->copies[i];
  f->num_copies = kept;
}

/*--------------------------------------------- exchanges ---------------------------------------------*/

static void exchange_values(fiber *lanes) {
  uint32_t before[WARP];
  for (int i = 0; i < WARP; ++i)
    before[i] = lanes[i].value;
  for (int i = 0; i < WARP; ++i)
    lanes[i].value = before[(i ^ lanes[i].numbers[0]) % WARP];
}

/* Lane 8 m + r gives the address of row r of matrix m, 16 bytes. */
static void exchange_matrices(fiber *lanes) {
  int count = lanes[0].numbers[0], transposed = lanes[0].numbers[1];
  for (int m = 0; m < count; ++m) {
    uint16_t rows[8][8];
    for (int r = 0; r < 8; ++r) {
      const char *row = lanes[m * 8 + r].address;
      if ((uintptr_t)row % 16)
        emu_fail("a row of ldmatrix at an address that is no multiple of 16");
      memcpy(rows[r], row, 16);
    }
    for (int lane = 0; lane < WARP; ++lane) {
      int r = lane / 4, c = lane % 4 * 2;
      uint32_t low = transposed ? rows[c][r] : rows[r][c], high = transposed ? rows[c + 1][r] : rows[r][c + 1];
      lanes[lane].words[m] = low | high << 16;
    }
  }
}

/* Numbers of NVVM's types. */
enum { F16 = 0, TF32 = 2, U8 = 3, S8 = 4, BF16 = 9 };

float emu_as_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

float emu_from_half(uint32_t bits) {
  int exponent = bits >> 10 & 31;
  float fraction = (float)(bits & 1023), value;
  if (exponent == 31)
    value = bits & 1023 ? NAN : INFINITY;
  else if (exponent)
    value = ldexpf(fraction + 1024, exponent - 25);
  else
    value = ldexpf(fraction, -24);
  return bits & 0x8000 ? -value : value;
}

/* Element `e` of a register of four bytes. */
static double element(uint32_t word, int type, int e) {
  switch (type) {
  case F16:
    return emu_from_half(word >> 16 * e & 0xffff);
  case BF16:
    return emu_as_float(word >> 16 * e << 16);
  case TF32: /* the hardware ignores the last 13 bits */
    return emu_as_float(word & ~0x1fffu);
  case U8:
    return word >> 8 * e & 255;
  case S8:
    return (int8_t)(word >> 8 * e & 255);
  }
  emu_fail("a product of unknown types");
  return 0;
}

/* D[16][8] = A[16][k] B[k][8] + C. Of every shape a register holds 1, 2 or 4 elements side by side along k; the
 * registers of A are (row g, first half of k), (g + 8, first), (g, second), (g + 8, second), those of B the halves of
 * k. */
static void exchange_products(fiber *lanes) {
  int type_a = lanes[0].numbers[0], type_b = lanes[0].numbers[1], k = lanes[0].numbers[2], side = k / 8;
  int is_integer = type_a == U8 || type_a == S8;
  double a[16][32], b[32][8];
  for (int lane = 0; lane < WARP; ++lane) {
    int g = lane / 4, t = lane % 4;
    for (int r = 0; r < 4; ++r)
      for (int e = 0; e < side; ++e)
        a[g + 8 * (r & 1)][t * side + e + (r >> 1) * (k / 2)] = element(lanes[lane].words[r], type_a, e);
    for (int r = 0; r < 2; ++r)
      for (int e = 0; e < side; ++e)
        b[t * side + e + r * (k / 2)][g] = element(lanes[lane].words[4 + r], type_b, e);
  }
  for (int lane = 0; lane < WARP; ++lane)
    for (int r = 0; r < 4; ++r) {
      int row = lane / 4 + (r >= 2 ? 8 : 0), column = lane % 4 * 2 + (r & 1);
      double sum = 0;
      for (int i = 0; i < k; ++i)
        sum += a[row][i] * b[i][column];
      uint32_t *word = &lanes[lane].words[6 + r];
      if (is_integer) {
        *word += (uint32_t)(int32_t)sum;
      } else {
        float result = (float)(emu_as_float(*word) + sum);
        memcpy(word, &result, sizeof result);
      }
    }
}

void emu_exchange(fiber *lanes, fiber_state state) {
  if (state == AT_SHUFFLE)
    exchange_values(lanes);
  else if (state == AT_LOAD_MATRIX)
    exchange_matrices(lanes);
  else if (state == AT_MULTIPLY)
    exchange_products(lanes);
  else if (state == AT_MULTIPLY_GROUP)
    emu_exchange_group(lanes);
}

void emu_fill_table(emu_thread *thread) {
  thread->barrier = barrier;
  thread->shuffle = shuffle;
  thread->load_matrix = load_matrix;
  thread->multiply = multiply;
  thread->copy_async = copy_async;
  thread->commit_copies = commit_copies;
  thread->wait_copies = wait_copies;
  emu_fill_warpgroup_table(thread);
}
