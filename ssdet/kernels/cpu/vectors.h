// Vectors of 64 bytes: what every kernel here is written with.
//
// Storage S is float, double or bf16; arithmetic is done in Value<S>: double for double,
// float for the others. Loads and stores take `Full` (all lanes) or the number of lanes.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512VL__)
#include <immintrin.h>
#define SSDET_AVX512 1
#endif

struct bf16 {
  uint16_t bits;
};

typedef float Floats __attribute__((vector_size(64)));
typedef double Doubles __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));

template <class S> struct Traits;
template <> struct Traits<float> {
  using Value = float;
  using Vector = Floats;
};
template <> struct Traits<bf16> {
  using Value = float;
  using Vector = Floats;
};
template <> struct Traits<double> {
  using Value = double;
  using Vector = Doubles;
};
template <class S> using Value = typename Traits<S>::Value;
template <class S> using Vector = typename Traits<S>::Vector;
template <class S> constexpr int LANES = 64 / sizeof(Value<S>);

#define INLINE static inline __attribute__((always_inline))

INLINE float widen(bf16 x) {
  uint32_t bits = uint32_t(x.bits) << 16;
  float out;
  std::memcpy(&out, &bits, 4);
  return out;
}

INLINE bf16 narrow(float x) {  // to the nearest, ties to even
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  if (x != x) return {uint16_t((bits >> 16) | 64)};
  return {uint16_t((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}

template <bool Full> INLINE Floats load(const float *p, int n) {
  Floats v = {};
#ifdef SSDET_AVX512
  if (!Full) return (Floats)_mm512_maskz_loadu_ps(__mmask16((1u << n) - 1), p);
#endif
  if (Full)
    std::memcpy(&v, p, 64);
  else
    for (int i = 0; i < n; i++) v[i] = p[i];
  return v;
}

template <bool Full> INLINE Doubles load(const double *p, int n) {
  Doubles v = {};
#ifdef SSDET_AVX512
  if (!Full) return (Doubles)_mm512_maskz_loadu_pd(__mmask8((1u << n) - 1), p);
#endif
  if (Full)
    std::memcpy(&v, p, 64);
  else
    for (int i = 0; i < n; i++) v[i] = p[i];
  return v;
}

template <bool Full> INLINE Floats load(const bf16 *p, int n) {
#ifdef SSDET_AVX512
  __m256i half = Full ? _mm256_loadu_si256((const __m256i *)p)
                      : _mm256_maskz_loadu_epi16(__mmask16((1u << n) - 1), p);
  return (Floats)_mm512_slli_epi32(_mm512_cvtepu16_epi32(half), 16);
#else
  Floats v = {};
  for (int i = 0; i < (Full ? 16 : n); i++) v[i] = widen(p[i]);
  return v;
#endif
}

template <bool Full> INLINE void store(float *p, Floats v, int n) {
#ifdef SSDET_AVX512
  if (!Full) return _mm512_mask_storeu_ps(p, __mmask16((1u << n) - 1), (__m512)v);
#endif
  if (Full)
    std::memcpy(p, &v, 64);
  else
    for (int i = 0; i < n; i++) p[i] = v[i];
}

template <bool Full> INLINE void store(double *p, Doubles v, int n) {
#ifdef SSDET_AVX512
  if (!Full) return _mm512_mask_storeu_pd(p, __mmask8((1u << n) - 1), (__m512d)v);
#endif
  if (Full)
    std::memcpy(p, &v, 64);
  else
    for (int i = 0; i < n; i++) p[i] = v[i];
}

template <bool Full> INLINE void store(bf16 *p, Floats v, int n) {
#if defined(SSDET_AVX512) && defined(__AVX512BF16__)
  __m256i half = (__m256i)_mm512_cvtneps_pbh((__m512)v);
  if (Full)
    _mm256_storeu_si256((__m256i *)p, half);
  else
    _mm256_mask_storeu_epi16(p, __mmask16((1u << n) - 1), half);
#else
  for (int i = 0; i < (Full ? 16 : n); i++) p[i] = narrow(v[i]);
#endif
}

template <class V> INLINE V positive(V x) { return x < 0 ? V{} : x; }  // NaN stays

INLINE Floats exponential(Floats x) {
  // 2^k e^f with |f| <= ln(2) / 2; the polynomial is exact to float's last digit or two
  x = x < -87.0f ? Floats{} - 87.0f : x;
  x = x > 88.0f ? Floats{} + 88.0f : x;
  const float magic = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer
  Floats shifted = x * 1.44269504f + magic;
  Floats k = shifted - magic;
  Floats f = x - k * 0.693359375f;
  f = f + k * 2.12194440e-4f;
  Floats p = Floats{} + 1.9875691500e-4f;
  p = p * f + 1.3981999507e-3f;
  p = p * f + 8.3334519073e-3f;
  p = p * f + 4.1665795894e-2f;
  p = p * f + 1.6666665459e-1f;
  p = p * f + 5.0000001201e-1f;
  p = p * f * f + f + 1.0f;
  Ints power = (Ints)shifted << 23;
  return (Floats)((Ints)p + power);
}

INLINE Doubles exponential(Doubles x) {
  for (int i = 0; i < 8; i++) x[i] = std::exp(x[i]);
  return x;
}

template <class V> INLINE V sigmoid(V x) { return 1 / (1 + exponential(-x)); }

// Calls body(channel, lanes) with Full known to the compiler, for all channels.
#define FOR_CHANNELS(S, channels, c, n, ...)             \
  {                                                      \
    long c = 0;                                          \
    for (; c + LANES<S> <= (channels); c += LANES<S>) {  \
      constexpr bool Full = true;                        \
      constexpr int n = LANES<S>;                        \
      __VA_ARGS__                                        \
    }                                                    \
    if (c < (channels)) {                                \
      constexpr bool Full = false;                       \
      const int n = int((channels) - c);                 \
      __VA_ARGS__                                        \
    }                                                    \
  }
