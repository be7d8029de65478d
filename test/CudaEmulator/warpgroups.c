/* What warpgroups of sm_90a do together: barriers in shared memory that count arrivals and bytes, copies of boxes of
 * tensors with swizzled rows, products of matrices that descriptors place in shared memory. As the PTX manual has them.
 */
#include "test/CudaEmulator/blocks.h"

#include <string.h>

enum { MOST_BOXES = 64, ROW = 128 };

/* Lies in 8 bytes of shared memory. A phase ends when nobody is missing and all bytes are there. */
typedef struct phase_barrier {
  uint8_t arrivals, missing;
  uint16_t phase;
  int32_t bytes;
} phase_barrier;

typedef struct box_copy {
  char *to;
  emu_map map;
  int32_t at[5];
  phase_barrier *barrier;
} box_copy;

static fiber *block;
static int block_threads;
static box_copy boxes[MOST_BOXES]; /* under way, oldest first */
static int num_boxes;

void emu_begin_warpgroups(fiber *fibers, int count) {
  block = fibers;
  block_threads = count;
  num_boxes = 0;
  for (int i = 0; i < count; ++i)
    fibers[i].num_readings = fibers[i].num_products = fibers[i].is_fenced = 0;
}

void emu_end_warpgroups(void) {
  if (num_boxes)
    emu_fail("a block ends while copies of boxes are under way");
  for (int i = 0; i < block_threads; i += WARP)
    if (block[i].num_readings)
      emu_fail("a block ends while products of warpgroups are under way");
}

/*--------------------------------------------- barriers ---------------------------------------------*/

static phase_barrier *barrier_at(void *address) {
  if ((uintptr_t)address % 8 || (char *)address < emu_shared || (char *)address >= emu_shared + SHARED_WINDOW)
    emu_fail("a barrier that is not 8 aligned bytes of shared memory");
  return address;
}

static void end_phase(phase_barrier *b) {
  if (b->missing || b->bytes)
    return;
  ++b->phase;
  b->missing = b->arrivals;
}

static void make_barrier(emu_thread *t, void *barrier, int32_t arrivals) {
  (void)t;
  *barrier_at(barrier) = (phase_barrier){(uint8_t)arrivals, (uint8_t)arrivals, 0, 0};
}

static void arrive_at(emu_thread *t, void *barrier, int32_t expected_bytes) {
  (void)t;
  phase_barrier *b = barrier_at(barrier);
  if (!b->missing)
    emu_fail("more arrivals at a barrier than it was made for");
  b->bytes += expected_bytes;
  --b->missing;
  end_phase(b);
}

int emu_phase_has_ended(const fiber *f) {
  const phase_barrier *b = f->address;
  return (b->phase & 1) != f->numbers[0];
}

static void wait_for(emu_thread *t, void *barrier, int32_t parity) {
  (void)t;
  fiber *f = emu_current();
  f->address = barrier_at(barrier);
  f->numbers[0] = parity;
  if (!emu_phase_has_ended(f))
    emu_wait(AT_PHASE);
}

/*--------------------------------------------- copies of boxes ---------------------------------------------*/

/* 16-byte units of eight rows change places. */
static uint64_t swizzled(uint64_t place) { return place ^ (place >> 7 & 7) << 4; }

static void perform(const box_copy *copy) {
  const emu_map *map = &copy->map;
  int counts[5] = {1, 1, 1, 1, 1}, rows = 1;
  for (uint32_t d = 0; d < map->rank; ++d) {
    counts[d] = (map->box[d] + map->steps[d] - 1) / map->steps[d];
    rows *= d ? counts[d] : 1;
  }
  for (int i = 0; i < block_threads; i += WARP)
    for (int r = 0; r < block[i].num_readings; ++r)
      if (block[i].readings[r].begin < copy->to + rows * ROW && copy->to < block[i].readings[r].end)
        emu_fail("a copy overwrites what a product under way reads");
  for (int row = 0; row < rows; ++row) {
    const char *from = map->base;
    int is_inside = 1, rest = row;
    for (uint32_t d = 1; d < map->rank; ++d) {
      int64_t at = (int64_t)copy->at[d] + (int64_t)(rest % counts[d]) * map->steps[d];
      rest /= counts[d];
      is_inside &= at >= 0 && at < map->dims[d];
      from += at * (int64_t)map->strides[d - 1];
    }
    for (int i = 0; i < counts[0]; ++i) {
      int64_t at = (int64_t)copy->at[0] + i;
      uint16_t element = 0;
      if (is_inside && at >= 0 && at < map->dims[0])
        memcpy(&element, from + at * 2, 2);
      memcpy(emu_shared + swizzled((uint64_t)(copy->to - emu_shared) + (uint64_t)(row * ROW + i * 2)), &element, 2);
    }
  }
  copy->barrier->bytes -= rows * ROW;
  end_phase(copy->barrier);
}

static void copy_box(emu_thread *t, void *to, const void *map, const int32_t *at, int32_t rank, void *barrier) {
  (void)t;
  box_copy copy = {.to = to, .barrier = barrier_at(barrier)};
  memcpy(&copy.map, map, sizeof copy.map);
  if ((uintptr_t)map % 64 || copy.map.rank != (uint32_t)rank)
    emu_fail("a tensor map at no multiple of 64, or of another rank");
  if ((char *)to < emu_shared || (uintptr_t)to % 1024 || copy.map.box[0] * 2 != ROW)
    emu_fail("a box to a place that is no multiple of 1024, or whose rows have no 128 bytes");
  memcpy(copy.at, at, (size_t)rank * sizeof *at);
  if (emu_copies_are_early)
    perform(&copy);
  else if (num_boxes == MOST_BOXES)
    emu_fail("too many copies of boxes under way");
  else
    boxes[num_boxes++] = copy;
}

int emu_land_copy(void) {
  if (!num_boxes)
    return 0;
  perform(&boxes[0]);
  memmove(boxes, boxes + 1, (size_t)--num_boxes * sizeof *boxes);
  return 1;
}

/*--------------------------------------------- products ---------------------------------------------*/

static void multiply_group(emu_thread *t, uint32_t *sums, uint64_t a, uint64_t b, int32_t columns, int32_t type,
                           int32_t b_by_rows) {
  (void)t;
  fiber *f = emu_current();
  f->words = sums;
  f->descriptors[0] = a;
  f->descriptors[1] = b;
  f->numbers[0] = columns;
  f->numbers[1] = type;
  f->numbers[2] = b_by_rows;
  emu_wait(AT_MULTIPLY_GROUP);
}

static fiber *leader(void) {
  fiber *f = emu_current();
  return (f - block) % WARP ? NULL : f;
}

static void fence_products(emu_thread *t) {
  (void)t;
  if (leader())
    leader()->is_fenced = 1;
}

static void commit_products(emu_thread *t) {
  (void)t;
  if (leader()) {
    ++leader()->num_products;
    leader()->is_fenced = 0;
  }
}

static void wait_products(emu_thread *t, int32_t pending) {
  (void)t;
  fiber *f = leader();
  int kept = 0;
  for (int i = 0; f && i < f->num_readings; ++i)
    if (f->readings[i].group >= f->num_products - pending)
      f->readings[kept++] = f->readings[i];
  if (f)
    f->num_readings = kept;
}

static void read_until_waited(fiber *f, uint64_t begin, uint64_t bytes) {
  if (f->num_readings == MOST_READS)
    emu_fail("too many products of warpgroups under way");
  else
    f->readings[f->num_readings++] = (reading){emu_shared + begin, emu_shared + begin + bytes, f->num_products};
}

typedef struct matrix {
  uint64_t begin, leading, stride;
} matrix;

static matrix described(uint64_t descriptor) {
  if (descriptor >> 62 != 1 || (descriptor >> 49 & 7))
    emu_fail("a matrix in shared memory whose rows of 128 bytes are not swizzled");
  return (matrix){(descriptor & 0x3fff) << 4, (descriptor >> 16 & 0x3fff) << 4, (descriptor >> 32 & 0x3fff) << 4};
}

static double element(uint64_t place, int type) {
  uint16_t bits;
  memcpy(&bits, emu_shared + swizzled(place), sizeof bits);
  return type ? emu_as_float((uint32_t)bits << 16) : emu_from_half(bits); /* NVVM's number of f16 is 0 */
}

/* D[64][columns] += A[64][16] B[16][columns], of which a warp has 16 rows. */
void emu_exchange_group(fiber *lanes) {
  int columns = lanes[0].numbers[0], type = lanes[0].numbers[1], b_by_rows = lanes[0].numbers[2];
  int first_row = (int)((lanes - block) / WARP % 4) * 16;
  static double a[16][16], b[16][256];
  if (!lanes[0].is_fenced)
    emu_fail("a product of warpgroups without a fence in front");
  for (int i = 1; i < WARP; ++i)
    if (memcmp(lanes[i].descriptors, lanes[0].descriptors, sizeof lanes[i].descriptors))
      emu_fail("lanes of a warp give different descriptors");
  matrix ma = described(lanes[0].descriptors[0]), mb = described(lanes[0].descriptors[1]);
  read_until_waited(lanes, ma.begin / 1024 * 1024, 8 * ma.stride);
  if (b_by_rows)
    read_until_waited(lanes, mb.begin / 1024 * 1024, (uint64_t)columns / 8 * mb.stride);
  for (int n = 0; n < columns && !b_by_rows; n += 64)
    read_until_waited(lanes, mb.begin + (uint64_t)n / 64 * mb.leading, 2 * mb.stride);
  for (int r = 0; r < 16; ++r)
    for (int k = 0; k < 16; ++k) {
      uint64_t row = (uint64_t)(first_row + r);
      a[r][k] = element(ma.begin + row / 8 * ma.stride + row % 8 * ROW + (uint64_t)k * 2, type);
    }
  for (uint64_t n = 0; n < (uint64_t)columns; ++n)
    for (uint64_t k = 0; k < 16; ++k)
      b[k][n] = element(b_by_rows ? mb.begin + n / 8 * mb.stride + n % 8 * ROW + k * 2
                                  : mb.begin + n / 64 * mb.leading + k / 8 * mb.stride + k % 8 * ROW + n % 64 * 2,
                        type);
  for (int lane = 0; lane < WARP; ++lane)
    for (int i = 0; i < columns / 2; ++i) {
      int row = lane / 4 + i / 2 % 2 * 8, column = i / 4 * 8 + lane % 4 * 2 + i % 2;
      double sum = 0;
      for (int k = 0; k < 16; ++k)
        sum += a[row][k] * b[k][column];
      float result = (float)(emu_as_float(lanes[lane].words[i]) + sum);
      memcpy(&lanes[lane].words[i], &result, sizeof result);
    }
}

void emu_fill_warpgroup_table(emu_thread *thread) {
  thread->make_barrier = make_barrier;
  thread->arrive_at = arrive_at;
  thread->wait_for = wait_for;
  thread->copy_box = copy_box;
  thread->multiply_group = multiply_group;
  thread->fence_products = fence_products;
  thread->commit_products = commit_products;
  thread->wait_products = wait_products;
}
