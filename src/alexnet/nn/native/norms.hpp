// The divisive normalizations of 2012 on CPUs, forward and backward one pass over memory each:
//
//     y  = x base^-beta,   base = k + alpha * (sum of x^2 over a window)
//     dx = g base^-beta - 2 alpha beta x * (sum of  g x base^(-beta-1)  over the places whose windows hold x)
//
// Nothing but x is kept for the backward pass: to compute the base again costs less than to read it. Numbers are
// float32 or bfloat16 in memory, float32 in between. Work goes through buffers that stay in a core's own cache.

#pragma once

#include <cmath>
#include <exception>
#include <vector>

#include "numbers.hpp"

// Of OpenMP, whose header some compilers lack; the functions are in the library that torch has brought.
extern "C" int omp_get_max_threads();
extern "C" int omp_get_thread_num();

namespace {

// Rows of numbers: in memory their beginnings are `apart`, in a buffer `spaced`.
struct Rows {
  int64_t count, length, apart, spaced;
};

// --- The formula -----------------------------------------------------------------------------------------------------

// A window of `size` places begins `before` places ahead of its own and ends `after` behind it.
struct Norm {
  int64_t size, before, after;
  float alpha, beta, k;
};

// base^-beta from 1 / base. The 0.75 of every known net is two roots, a product of which neither overflows; what is left
// is for pow.
template <bool ROOTS>
inline float power(float inverse, float beta) {
  const float root = std::sqrt(inverse);
  return ROOTS ? root * std::sqrt(root) : std::pow(inverse, beta);
}

// SIZE 0: known only at run time.
template <int SIZE>
inline float window_sum(const float* first, int64_t step, int64_t size) {
  float sum = first[0];
  for (int64_t place = 1; place < (SIZE ? SIZE : size); ++place) sum += first[place * step];
  return sum;
}

template <class T>
void square(const T* x, const Rows& rows, float* values, float* squares) {
  for (int64_t row = 0; row < rows.count; ++row)
#pragma omp simd
    for (int64_t place = 0; place < rows.length; ++place) {
      const float value = widen(x[row * rows.apart + place]);
      values[row * rows.spaced + place] = value;
      squares[row * rows.spaced + place] = value * value;
    }
}

// Windows begin with the places of `squares`; those of one window are `step` apart.
template <class T, int SIZE, bool ROOTS>
void scale(const float* values, const float* squares, int64_t step, const Norm& n, const Rows& rows, T* y) {
  for (int64_t row = 0; row < rows.count; ++row)
#pragma omp simd
    for (int64_t place = 0; place < rows.length; ++place) {
      const int64_t here = row * rows.spaced + place;
      const float inverse = 1.0f / (n.k + n.alpha * window_sum<SIZE>(squares + here, step, n.size));
      narrow(values[here] * power<ROOTS>(inverse, n.beta), y[row * rows.apart + place]);
    }
}

// `direct` is the first term of dx, `products` are what the windows of the second are summed over.
template <class T, int SIZE, bool ROOTS>
void differentiate(const T* g, const float* values, const float* squares, int64_t step, const Norm& n,
                   const Rows& rows, float* direct, float* products) {
  for (int64_t row = 0; row < rows.count; ++row)
#pragma omp simd
    for (int64_t place = 0; place < rows.length; ++place) {
      const int64_t here = row * rows.spaced + place;
      const float inverse = 1.0f / (n.k + n.alpha * window_sum<SIZE>(squares + here, step, n.size));
      const float scaled = widen(g[row * rows.apart + place]) * power<ROOTS>(inverse, n.beta);
      direct[here] = scaled;
      products[here] = scaled * values[here] * inverse;
    }
}

template <class T, int SIZE>
void gather(const float* values, const float* direct, const float* products, int64_t step, const Norm& n,
            const Rows& rows, T* dx) {
  const float factor = 2 * n.alpha * n.beta;
  for (int64_t row = 0; row < rows.count; ++row)
#pragma omp simd
    for (int64_t place = 0; place < rows.length; ++place) {
      const int64_t here = row * rows.spaced + place;
      const float indirect = factor * values[here] * window_sum<SIZE>(products + here, step, n.size);
      narrow(direct[here] - indirect, dx[row * rows.apart + place]);
    }
}


// Zeros for every thread, taken before they start: an exception among them would end the process.
class Scratch {
 public:
  bool take(int64_t numbers) {
    each_ = (numbers + 15) / 16 * 16;  // no two threads in one line of the cache
    try {
      memory_.resize(each_ * omp_get_max_threads());
    } catch (const std::exception&) {
      return false;
    }
    return true;
  }
  float* mine() { return memory_.data() + each_ * omp_get_thread_num(); }

 private:
  std::vector<float> memory_;
  int64_t each_ = 0;
};

// --- Across maps -----------------------------------------------------------------------------------------------------
//
// Memory is `blocks` times (maps, pixels): a block is one group of an image, or in channels-last memory one group of a
// pixel. In a buffer a block begins and ends with a gap of zeros, so that windows are clipped to it. A tile is some
// blocks of channels-last memory, or in planar memory some pixels of one: enough that a number is no longer on its way
// to the cache when its neighbours' windows read it.

constexpr int64_t PIXELS = 32, TILE = 512;

template <class T, int SIZE, bool ROOTS>
bool across_maps(const T* gradient, const T* x, T* result, int64_t blocks, int64_t maps, int64_t pixels,
                 const Norm& n) {
  const int64_t gap = n.before > n.after ? n.before : n.after, spaced = maps + gap;
  const int64_t width = pixels < PIXELS ? pixels : PIXELS, pieces = (pixels + width - 1) / width;
  const int64_t together = pixels == 1 && spaced < TILE ? TILE / spaced : 1;
  const int64_t tiles = (blocks + together - 1) / together * pieces;
  const int64_t length = (gap + together * spaced) * width;  // of a tile, with all its gaps
  Scratch scratch;
  if (!scratch.take(4 * length)) return false;
#pragma omp parallel
  {
    float *const memory = scratch.mine(), *const values = memory + gap * width, *const direct = values + length,
          *const squares = direct + length, *const products = squares + length;
    int64_t laid_out = width;
#pragma omp for schedule(static)
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t block = tile / pieces * together, pixel = tile % pieces * width;
      const int64_t here = blocks - block < together ? blocks - block : together;
      const int64_t step = pixels - pixel < width ? pixels - pixel : width;
      const Rows rows = pixels == 1 ? Rows{here, maps, maps, spaced} : Rows{maps, step, pixels, step};
      const int64_t offset = block * maps * pixels + pixel;
      if (step != laid_out) std::memset(memory, 0, 4 * length * sizeof(float));
      laid_out = step;
      square(x + offset, rows, values, squares);
      const float* const windows = squares - n.before * step;
      if (!gradient) {
        scale<T, SIZE, ROOTS>(values, windows, step, n, rows, result + offset);
      } else {
        differentiate<T, SIZE, ROOTS>(gradient + offset, values, windows, step, n, rows, direct, products);
        gather<T, SIZE>(values, direct, products - n.after * step, step, n, rows, result + offset);
      }
    }
  }
  return true;
}

// --- In the same map -------------------------------------------------------------------------------------------------
//
// Channels-last images, LANES maps of one at a time. A square window is summed along its row, then down its column:
// `squares` and `products` are one row with zeros at its ends, `*_across` their sums with rows of zeros above and below.

constexpr int64_t LANES = 32;

template <int SIZE>
void sum_along(const float* row, int64_t step, int64_t count, const Norm& n, float* sums) {
#pragma omp simd
  for (int64_t i = 0; i < count; ++i) sums[i] = window_sum<SIZE>(row + i, step, n.size);
}

template <class T, int SIZE, bool ROOTS>
bool in_same_map(const T* gradient, const T* x, T* result, int64_t images, int64_t height, int64_t width,
                 int64_t maps, const Norm& n) {
  const int64_t pieces = (maps + LANES - 1) / LANES, margin = n.size * LANES;
  const int64_t longest = width * LANES, plane = height * longest, high = (height + n.size) * longest;
  const int64_t length = 2 * plane + 2 * high + 2 * (longest + 2 * margin);
  Scratch scratch;
  if (!scratch.take(length)) return false;
#pragma omp parallel
  {
    float *const memory = scratch.mine(), *const values = memory, *const direct = values + plane,
          *const squares_across = direct + plane, *const products_across = squares_across + high,
          *const squares = products_across + high + margin, *const products = squares + longest + 2 * margin;
    int64_t laid_out = LANES;
#pragma omp for schedule(static)
    for (int64_t piece = 0; piece < images * pieces; ++piece) {
      const int64_t map = piece % pieces * LANES, lanes = maps - map < LANES ? maps - map : LANES;
      const int64_t offset = piece / pieces * height * width * maps + map, row = width * lanes;
      const Rows pixels{width, lanes, maps, lanes};
      if (lanes != laid_out) std::memset(memory, 0, length * sizeof(float));
      laid_out = lanes;
      // A row is finished as soon as the rows are there that its windows reach: they are still in the nearest cache.
      for (int64_t y = 0; y < height + n.after + n.before; ++y) {
        if (y < height) {
          square(x + offset + y * width * maps, pixels, values + y * row, squares);
          sum_along<SIZE>(squares - n.before * lanes, lanes, row, n, squares_across + (n.before + y) * row);
        }
        const int64_t now = y - n.after, at = offset + now * width * maps;
        if (now >= 0 && now < height && gradient) {
          differentiate<T, SIZE, ROOTS>(gradient + at, values + now * row, squares_across + now * row, row, n, pixels,
                                        direct + now * row, products);
          sum_along<SIZE>(products - n.after * lanes, lanes, row, n, products_across + (n.after + now) * row);
        } else if (now >= 0 && now < height) {
          scale<T, SIZE, ROOTS>(values + now * row, squares_across + now * row, row, n, pixels, result + at);
        }
        const int64_t last = now - n.before;
        if (last >= 0 && gradient)
          gather<T, SIZE>(values + last * row, direct + last * row, products_across + last * row, row, n, pixels,
                          result + offset + last * width * maps);
      }
    }
  }
  return true;
}

}  // namespace
