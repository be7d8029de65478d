// The matrices of Winograd convolution: see the header.
#include "dialects/Nn/Winograd.h"

using namespace burin::nn;

Winograd Winograd::get(int64_t results) {
  if (results == 2)
    return {2,
            4,
            1,
            0,
            {1, 0, -1, 0, 0, 1, 1, 0, 0, -1, 1, 0, 0, 1, 0, -1},
            {1, 0, 0, 0.5, 0.5, 0.5, 0.5, -0.5, 0.5, 0, 0, 1},
            {1, 1, 1, 0, 0, 1, -1, -1}};
  // Cook-Toom for the points 0, +-a, +-b and infinity. Row p of B^T holds the product of (x - q) over the other points
  // q, row p of G the powers of p over that product at p, column p of A^T the powers of p.
  double a = 0.625, b = 1.5, a2 = a * a, b2 = b * b, na = 2 * a2 * (a2 - b2), nb = 2 * b2 * (b2 - a2);
  return {4,
          6,
          a,
          b,
          {a2 * b2, 0,       -(a2 + b2), 0,          1, 0, //
           0,       -a * b2, -b2,        a,          1, 0, //
           0,       a * b2,  -b2,        -a,         1, 0, //
           0,       -b * a2, -a2,        b,          1, 0, //
           0,       b * a2,  -a2,        -b,         1, 0, //
           0,       a2 * b2, 0,          -(a2 + b2), 0, 1},
          {1 / (a2 * b2), 0, 0, 1 / na, a / na, a2 / na, 1 / na, -a / na, a2 / na, //
           1 / nb, b / nb, b2 / nb, 1 / nb, -b / nb, b2 / nb, 0, 0, 1},
          {1, 1,      1,       1,      1,       0, //
           0, a,      -a,      b,      -b,      0, //
           0, a2,     a2,      b2,     b2,      0, //
           0, a * a2, -a * a2, b * b2, -b * b2, 1}};
}
