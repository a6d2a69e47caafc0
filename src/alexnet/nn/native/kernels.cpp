// What Python calls, for float32 and for bfloat16. Compiled for the processor at hand on first use: see compiler.py.

#include "input.hpp"
#include "norms.hpp"
#include "pool.hpp"

// Windows of 5 and the power 0.75 are those of every ImageNet net.
#define CHOOSE(FUNCTION, T, ...)                                                       \
  const Norm n{size, size / 2, size - 1 - size / 2, alpha, beta, k};                   \
  const bool roots = beta == 0.75f;                                                    \
  if (size == 5 && roots) return FUNCTION<T, 5, true>(g, x, result, __VA_ARGS__, n);   \
  if (roots) return FUNCTION<T, 0, true>(g, x, result, __VA_ARGS__, n);                \
  return FUNCTION<T, 0, false>(g, x, result, __VA_ARGS__, n)

#define EXPORT(T)                                                                                                    \
  extern "C" bool across_maps_##T(const T* g, const T* x, T* result, int64_t blocks, int64_t maps, int64_t pixels,   \
                                  int64_t size, float alpha, float beta, float k) {                                  \
    CHOOSE(across_maps, T, blocks, maps, pixels);                                                                    \
  }                                                                                                                  \
  extern "C" bool in_same_map_##T(const T* g, const T* x, T* result, int64_t images, int64_t height, int64_t width,  \
                                  int64_t maps, int64_t size, float alpha, float beta, float k) {                    \
    CHOOSE(in_same_map, T, images, height, width, maps);                                                             \
  }                                                                                                                  \
  extern "C" bool pool_forward_##T(const T* x, T* y, uint8_t* kept, int64_t images, int64_t height, int64_t width,   \
                                   int64_t maps, int64_t out_height, int64_t out_width, int64_t size,                \
                                   int64_t stride) {                                                                 \
    pool_forward(x, y, kept, images, Pool{height, width, maps, out_height, out_width, size, stride});                \
    return true;                                                                                                     \
  }                                                                                                                  \
  extern "C" bool pool_backward_##T(const T* g, const uint8_t* kept, T* dx, int64_t images, int64_t height,          \
                                    int64_t width, int64_t maps, int64_t out_height, int64_t out_width,              \
                                    int64_t size, int64_t stride) {                                                  \
    pool_backward(g, kept, dx, images, Pool{height, width, maps, out_height, out_width, size, stride});              \
    return true;                                                                                                     \
  }                                                                                                                  \
  extern "C" bool normalize_##T(const uint8_t* x, T* y, const float* mean, const float* gain, const float* shift,    \
                                int64_t images, int64_t length, float scale) {                                       \
    normalize(x, y, images, length, scale, mean, gain, shift);                                                       \
    return true;                                                                                                     \
  }

EXPORT(float32)
EXPORT(bfloat16)
