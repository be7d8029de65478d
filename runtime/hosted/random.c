/* Made-up tensors. No state: what an element is depends on its place alone. */
#include "runtime/hosted/random.h"
#include "runtime/hosted/array.h"

/* SplitMix64: every value of the counter gives 64 mixed bits, so an element depends on its index alone. */
static uint64_t mix(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

void burin_fill_random(burin_tensor *tensor, uint64_t seed) {
  uint64_t count = burin_bytes_of(tensor->dtype, tensor->rank, tensor->dims) / burin_dtype_size(tensor->dtype);
  int complex = tensor->dtype == BURIN_COMPLEX64 || tensor->dtype == BURIN_COMPLEX128;
  for (uint64_t i = 0; i < (complex ? 2 * count : count); ++i) {
    uint64_t bits = mix(seed << 40 ^ i);
    double real = (double)(int64_t)(bits & ~(uint64_t)0x7ff) / 9223372036854775808.0;
    switch (tensor->dtype) {
    case BURIN_FLOAT:
    case BURIN_COMPLEX64:
      ((float *)tensor->data)[i] = (float)((int32_t)(bits >> 40) - (1 << 23)) / (1 << 23);
      break;
    case BURIN_DOUBLE:
    case BURIN_COMPLEX128:
      ((double *)tensor->data)[i] = real;
      break;
    case BURIN_FLOAT16: /* any sign and mantissa, the exponent of 0.5 */
      ((uint16_t *)tensor->data)[i] = (uint16_t)((bits & 0x83ff) | 0x3800);
      break;
    case BURIN_BFLOAT16:
      ((uint16_t *)tensor->data)[i] = (uint16_t)((bits & 0x807f) | 0x3f00);
      break;
    case BURIN_UINT8:
    case BURIN_INT8:
      ((uint8_t *)tensor->data)[i] = (uint8_t)bits;
      break;
    case BURIN_BOOL:
      ((uint8_t *)tensor->data)[i] = bits & 1;
      break;
    case BURIN_FLOAT8E4M3FN: /* any sign and mantissa, exponents below that of 2 */
    case BURIN_FLOAT8E4M3FNUZ:
    case BURIN_FLOAT8E5M2:
    case BURIN_FLOAT8E5M2FNUZ:
      ((uint8_t *)tensor->data)[i] = (uint8_t)((bits & 0x87) | 0x30);
      break;
    case BURIN_FLOAT8E8M0:
      ((uint8_t *)tensor->data)[i] = (uint8_t)(120 + (bits & 7));
      break;
    case BURIN_UINT4:
    case BURIN_INT4:
    case BURIN_FLOAT4E2M1:
      ((uint8_t *)tensor->data)[i] = bits & 15;
      break;
    case BURIN_UINT2:
    case BURIN_INT2:
      ((uint8_t *)tensor->data)[i] = bits & 3;
      break;
    case BURIN_UINT16:
    case BURIN_INT16:
      ((uint16_t *)tensor->data)[i] = bits & 1;
      break;
    case BURIN_UINT32:
    case BURIN_INT32:
      ((uint32_t *)tensor->data)[i] = bits & 1;
      break;
    default:
      ((uint64_t *)tensor->data)[i] = bits & 1;
      break;
    }
  }
}
