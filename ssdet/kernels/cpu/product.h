// Tiles of a matrix product over pixels, with what follows it.
//
// The maps are (M, K) and (M, N), M pixels. K and N are a few hundred at most, so whole
// rows stay in the cache: a tile of up to 12 pixels by 3 vectors of output channels is
// held in registers while K goes by.
#pragma once

#include "vectors.h"

#include <algorithm>
#include <type_traits>
#include <vector>

namespace {

constexpr long ROWS = 96;  // pixels that are done at a time
enum Activation { NONE, RELU, SILU };

struct Product {
  long rows, inputs, outputs;
  long down, across;  // from a weight to that of the next input, and the next output
};

#if defined(SSDET_AVX512) && defined(__AVX512BF16__)
constexpr bool PAIRS = true;  // two products of bf16 in one instruction
#else
constexpr bool PAIRS = false;
#endif

// Storage S, and whether two neighbours of K are multiplied at once.
template <class S> constexpr long STEP = PAIRS && sizeof(S) == 2 ? 2 : 1;

template <class S> struct Packed;  // of weights: what a vector of them is loaded from
template <> struct Packed<float> { using Type = float; };
template <> struct Packed<double> { using Type = double; };
template <> struct Packed<bf16> { using Type = float; };  // or the bits of two bf16

// Weights of the arithmetic's type as panels of vectors: (N / lanes, K, lanes).
template <class S>
std::vector<typename Packed<S>::Type> pack(const Value<S> *weight, const Product &s) {
  using P = typename Packed<S>::Type;
  constexpr int L = LANES<S>;
  const long panels = (s.outputs + L - 1) / L, depth = (s.inputs + STEP<S> - 1) / STEP<S>;
  std::vector<P> packed(panels * depth * L);
  for (long panel = 0; panel < panels; panel++)
    for (long k = 0; k < depth; k++)
      for (long n = panel * L; n < std::min(s.outputs, (panel + 1) * L); n++) {
        P &to = packed[(panel * depth + k) * L + n - panel * L];
        if (STEP<S> == 1) {
          to = weight[k * s.down + n * s.across];
        } else {
          const Value<S> *from = weight + 2 * k * s.down + n * s.across;
          uint32_t both = narrow(*from).bits;
          if (2 * k + 1 < s.inputs) both |= uint32_t(narrow(from[s.down]).bits) << 16;
          std::memcpy(&to, &both, 4);
        }
      }
  return packed;
}

INLINE Floats spread(const float *x) { return Floats{} + *x; }
INLINE Doubles spread(const double *x) { return Doubles{} + *x; }
INLINE Floats spread(const bf16 *x) {
  if (STEP<bf16> == 1) return Floats{} + widen(*x);
  float both;
  std::memcpy(&both, x, 4);
  return Floats{} + both;
}

template <class S> INLINE void multiply(Vector<S> &sum, Vector<S> x, Vector<S> weight) {
#if defined(SSDET_AVX512) && defined(__AVX512BF16__)
  if constexpr (sizeof(S) == 2) {
    sum = (Floats)_mm512_dpbf16_ps((__m512)sum, (__m512bh)x, (__m512bh)weight);
    return;
  }
#endif
  sum += x * weight;
}

// activation(x @ weight * scale + shift + other) of P pixels and VECTORS vectors.
template <class S, int P, int VECTORS, bool Full>
INLINE void tile(const S *x, const typename Packed<S>::Type *weight, const S *other,
                 const Value<S> *scale, const Value<S> *shift, S *out, long n, int last,
                 int act, const Product &s) {
  using V = Vector<S>;
  constexpr int L = LANES<S>;
  const long depth = (s.inputs + STEP<S> - 1) / STEP<S>;
  V sum[P][VECTORS] = {};
  for (long k = 0; k < depth; k++) {
    V w[VECTORS];
#pragma GCC unroll 3
    for (int v = 0; v < VECTORS; v++) w[v] = load<true>(weight + (v * depth + k) * L, L);
#pragma GCC unroll 12
    for (int p = 0; p < P; p++) {
      V one = spread(x + p * s.inputs + k * STEP<S>);
#pragma GCC unroll 3
      for (int v = 0; v < VECTORS; v++) multiply<S>(sum[p][v], one, w[v]);
    }
  }
#pragma GCC unroll 3
  for (int v = 0; v < VECTORS; v++) {
    const long at = n + v * L;
    const auto finish = [&](auto full) __attribute__((always_inline)) {
      constexpr bool F = decltype(full)::value;
      V factor = {}, term = {};
      if (scale) factor = load<F>(scale + at, last), term = load<F>(shift + at, last);
#pragma GCC unroll 12
      for (int p = 0; p < P; p++) {
        V u = sum[p][v];
        if (scale) u = u * factor + term;
        if (other) u += load<F>(other + p * s.outputs + at, last);
        if (act == RELU) u = positive(u);
        if (act == SILU) u *= sigmoid(u);
        store<F>(out + p * s.outputs + at, u, last);
      }
    };
    if (Full || v < VECTORS - 1)
      finish(std::true_type{});
    else
      finish(std::false_type{});
  }
}

template <class S, int P, int VECTORS>
void column(const S *x, const typename Packed<S>::Type *weight, const S *other,
            const Value<S> *scale, const Value<S> *shift, S *out, long n, long rows,
            int act, const Product &s) {
  const long left = s.outputs - n;
  const int last = int(std::min(left - (VECTORS - 1) * LANES<S>, long(LANES<S>)));
  const bool full = last == LANES<S>;
  long row = 0;
  const auto go = [&](auto pixels, auto whole) __attribute__((always_inline)) {
    tile<S, decltype(pixels)::value, VECTORS, decltype(whole)::value>(
        x + row * s.inputs, weight, other ? other + row * s.outputs : nullptr, scale,
        shift, out + row * s.outputs, n, last, act, s);
    row += decltype(pixels)::value;
  };
  using One = std::integral_constant<int, 1>;
  using Many = std::integral_constant<int, P>;
  while (row < rows)
    if (full && row + P <= rows)
      go(Many{}, std::true_type{});
    else if (row + P <= rows)
      go(Many{}, std::false_type{});
    else if (full)
      go(One{}, std::true_type{});
    else
      go(One{}, std::false_type{});
}

// activation(x @ weight * scale + shift + other) of `rows` pixels.
template <class S>
void multiply_rows(const S *x, const std::vector<typename Packed<S>::Type> &packed,
                   const S *other, const Value<S> *scale, const Value<S> *shift, S *out,
                   long rows, int act, const Product &s) {
  constexpr int L = LANES<S>;
  const long depth = (s.inputs + STEP<S> - 1) / STEP<S>;
  for (long n = 0; n < s.outputs;) {
    const long vectors = (s.outputs - n + L - 1) / L;
    const auto *w = packed.data() + n / L * depth * L;
    if (vectors == 1) {
      column<S, 12, 1>(x, w, other, scale, shift, out, n, rows, act, s);
      n += L;
    } else if (vectors == 2 || vectors == 4) {
      column<S, 12, 2>(x, w, other, scale, shift, out, n, rows, act, s);
      n += 2 * L;
    } else {
      column<S, 8, 3>(x, w, other, scale, shift, out, n, rows, act, s);
      n += 3 * L;
    }
  }
}

}  // namespace
