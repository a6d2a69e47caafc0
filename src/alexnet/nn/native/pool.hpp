// Maximum over windows of channels-last images, and its gradient. The place of a maximum in its window fits in a byte:
// an eighth of what torch keeps.

#pragma once

#include "numbers.hpp"

namespace {

struct Pool {
  int64_t height, width, maps, out_height, out_width, size, stride;
};

inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

// COUNT 0: known only at run time, as at the far edges.
template <class T, int COUNT>
void largest(const T* const* pixels, const uint8_t* places, int64_t count, int64_t maps, T* y, uint8_t* kept) {
#pragma omp simd
  for (int64_t map = 0; map < maps; ++map) {
    float best = widen(pixels[0][map]);
    int32_t place = places[0];
    for (int64_t i = 1; i < (COUNT ? COUNT : count); ++i) {
      const float value = widen(pixels[i][map]);
      const bool larger = value > best || value != value;  // a NaN is kept, as torch does
      best = larger ? value : best;
      place = larger ? places[i] : place;
    }
    narrow(best, y[map]);
    if (kept) kept[map] = static_cast<uint8_t>(place);
  }
}

template <class T>
void pool_forward(const T* x, T* y, uint8_t* kept, int64_t images, const Pool& p) {
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < images * p.out_height; ++row) {
    const int64_t image = row / p.out_height, top = row % p.out_height * p.stride;
    const int64_t bottom = least(top + p.size, p.height);
    for (int64_t column = 0; column < p.out_width; ++column) {
      const int64_t left = column * p.stride, right = least(left + p.size, p.width);
      const T* pixels[256];
      uint8_t places[256];
      int64_t count = 0;
      for (int64_t i = top; i < bottom; ++i)
        for (int64_t j = left; j < right; ++j, ++count) {
          pixels[count] = x + ((image * p.height + i) * p.width + j) * p.maps;
          places[count] = static_cast<uint8_t>((i - top) * p.size + j - left);
        }
      const int64_t to = (row * p.out_width + column) * p.maps;
      if (count == 9) largest<T, 9>(pixels, places, count, p.maps, y + to, kept ? kept + to : nullptr);
      else largest<T, 0>(pixels, places, count, p.maps, y + to, kept ? kept + to : nullptr);
    }
  }
}

// A pixel takes the gradient of every window whose maximum it was: one write, and no adding in few bits.
template <class T, int COUNT>
void gather_gradient(const T* const* g, const uint8_t* const* kept, const int32_t* places, int64_t maps, T* dx) {
#pragma omp simd
  for (int64_t map = 0; map < maps; ++map) {
    float sum = 0;
    for (int64_t i = 0; i < COUNT; ++i) sum += kept[i][map] == places[i] ? widen(g[i][map]) : 0.0f;
    narrow(sum, dx[map]);
  }
}

template <class T>
void pool_backward(const T* g, const uint8_t* kept, T* dx, int64_t images, const Pool& p) {
#pragma omp parallel for schedule(static)
  for (int64_t row = 0; row < images * p.height; ++row) {
    const int64_t image = row / p.height, y = row % p.height;
    const int64_t first_row = y < p.size ? 0 : (y - p.size) / p.stride + 1, last_row = least(y / p.stride, p.out_height - 1);
    for (int64_t x = 0; x < p.width; ++x) {
      const int64_t first = x < p.size ? 0 : (x - p.size) / p.stride + 1, last = least(x / p.stride, p.out_width - 1);
      const T* gradients[4];
      const uint8_t* chosen[4];
      int32_t places[4];
      int64_t count = 0;
      for (int64_t i = first_row; i <= last_row; ++i)
        for (int64_t j = first; j <= last; ++j, ++count) {
          const int64_t from = ((image * p.out_height + i) * p.out_width + j) * p.maps;
          gradients[count] = g + from;
          chosen[count] = kept + from;
          places[count] = static_cast<int32_t>((y - i * p.stride) * p.size + x - j * p.stride);
        }
      T* const to = dx + (row * p.width + x) * p.maps;
      switch (count) {
        case 0: gather_gradient<T, 0>(gradients, chosen, places, p.maps, to); break;
        case 1: gather_gradient<T, 1>(gradients, chosen, places, p.maps, to); break;
        case 2: gather_gradient<T, 2>(gradients, chosen, places, p.maps, to); break;
        case 4: gather_gradient<T, 4>(gradients, chosen, places, p.maps, to); break;
      }
    }
  }
}

}  // namespace
