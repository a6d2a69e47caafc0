// Float32 and bfloat16 in memory, float32 in between.

#pragma once

#include <cstdint>
#include <cstring>

namespace {

using float32 = float;

struct bfloat16 {
  uint16_t bits;
};

inline float widen(float value) { return value; }

inline float widen(bfloat16 value) {
  const uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
  float wide;
  std::memcpy(&wide, &bits, sizeof wide);
  return wide;
}

inline void narrow(float value, float& result) { result = value; }

// To the nearest, ties to even; a NaN stays one.
inline void narrow(float value, bfloat16& result) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  const uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  result.bits = static_cast<uint16_t>((bits & 0x7fffffff) > 0x7f800000 ? 0x7fc0 : rounded);
}

}  // namespace
