// uint8 crops to what the first layer reads, in one pass: (x scale - mean) gain + shift, colours side by side.

#pragma once

#include "numbers.hpp"

namespace {

constexpr int64_t COLORS = 3, PERIOD = 16 * COLORS;  // after which vectors of 16 meet the colours in the same order

template <class T>
void normalize(const uint8_t* x, T* y, int64_t images, int64_t length, float scale, const float* mean,
               const float* gain, const float* shift) {
#pragma omp parallel for schedule(static)
  for (int64_t image = 0; image < images; ++image) {
    float gains[PERIOD], shifts[PERIOD];
    for (int64_t i = 0; i < PERIOD; ++i) {
      gains[i] = gain[i % COLORS];
      shifts[i] = shift[image * COLORS + i % COLORS];
    }
    const uint8_t* from = x + image * length;
    T* to = y + image * length;
    for (int64_t start = 0; start < length; start += PERIOD) {
      const int64_t count = length - start < PERIOD ? length - start : PERIOD;
#pragma omp simd
      for (int64_t i = 0; i < count; ++i)
        narrow((from[start + i] * scale - mean[start + i]) * gains[i] + shifts[i], to[start + i]);
    }
  }
}

}  // namespace
